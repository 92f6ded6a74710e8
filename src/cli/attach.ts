/** `berth attach` and `berth detach`. */

import type { AttachmentView } from '../agent/api.ts';
import { type ExitCode, exitCode, Failure } from './failure.ts';
import type { Session } from './session.ts';

type Words = readonly (string | readonly string[] | undefined)[];
type Options = Readonly<Record<string, unknown>>;

/** What making a bridge of a NIC may take, with its check whether the gateway still answers. */
const PATIENCE = 60_000;

/** Those flags of ours that are options of a LAN network under the same name. */
const NETWORK_FLAGS = ['bridge', 'parent', 'mode', 'vlan'] as const;

export async function attach(session: Session, [container]: Words, options: Options): Promise<ExitCode> {
  const named = typeof options.network === 'string';
  const network = {
    ...pick(options, NETWORK_FLAGS),
    ...(options.dhcp === true ? { dhcp: 'true' } : {}),
    ...(named ? {} : pick(options, ['mtu'])),
    ...pairs(options.opt),
  };
  const body = {
    container,
    ...pick(options, ['network', 'interface', 'mac']),
    addresses: options.address === false ? [] : (options.address ?? []),
    noAddress: options.address === false,
    gateways: options.gateway ?? [],
    keep: options.keep === true,
    options: network,
    endpointOptions: {
      ...(named ? pick(options, ['mtu']) : {}),
      ...ofInterface(options),
      ...pairs(options.driverOpt),
    },
  };
  const work = session.client.post<AttachmentView>('/v1/attachments', body, { timeout: PATIENCE });
  const view = await session.progress('plugging the container in', work);
  session.show(view, (it) => {
    const at = it.addresses.length === 0 ? 'without an address' : `at ${it.addresses.join(', ')}`;
    const waits = it.state === 'plugged' ? '' : `, once it runs${it.problem === undefined ? '' : `: ${it.problem}`}`;
    return `${it.container} has ${it.interface} ${at} (${it.mac})${waits}\n`;
  });
  return exitCode.ok;
}

export async function detach(session: Session, [container, link]: Words): Promise<ExitCode> {
  const path = [container, link].flatMap((part) => (part === undefined ? [] : encodeURIComponent(part as string)));
  const views = await session.client.delete<readonly AttachmentView[]>(`/v1/attachments/${path.join('/')}`);
  session.show(views, (all) => all.map((it) => `${it.container} has no ${it.interface} any more\n`).join(''));
  return exitCode.ok;
}

/** The flags about the interface, as the options of an endpoint that they stand for. */
function ofInterface(options: Options): Record<string, string> {
  const given = {
    rate_in: options.rateIn,
    rate_out: options.rateOut,
    burst: options.burst,
    route: joined(options.route),
    rule: joined(options.rule),
    sysctl: joined(options.sysctl),
  };
  return pick(given, Object.keys(given));
}

function joined(words: unknown): string | undefined {
  return Array.isArray(words) ? words.join(', ') : undefined;
}

function pick(options: Options, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => (typeof options[name] === 'string' ? [[name, options[name]] as const] : [])),
  );
}

/** @throws Failure for what is not `key=value`. */
function pairs(given: unknown): Record<string, string> {
  const words = Array.isArray(given) ? (given as readonly string[]) : [];
  return Object.fromEntries(
    words.map((word) => {
      const [, key, value] = /^([^=]+)=(.*)$/s.exec(word) ?? [];
      if (key === undefined || value === undefined) {
        throw new Failure(`'${word}' is not of the form key=value`, {
          exitCode: exitCode.usage,
          next: 'Write it as in: -o mode=macvlan',
        });
      }
      return [key, value];
    }),
  );
}
