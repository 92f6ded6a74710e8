/** `berth reserve` and `berth unreserve`. */

import type { ReservationView } from '../agent/api.ts';
import { type ExitCode, exitCode } from './failure.ts';
import type { Session } from './session.ts';

type Words = readonly (string | readonly string[] | undefined)[];
type Options = Readonly<Record<string, unknown>>;

export async function reserve(session: Session, [address]: Words, options: Options): Promise<ExitCode> {
  const { network, pool, mac, for: name } = options;
  const body = { address, network, pool, mac, name };
  const view = await session.client.post<ReservationView>('/v1/reservations', body);
  session.show(view, (it) => {
    const now = it.heldBy === undefined ? '' : `; ${it.heldBy} has it now, and keeps it`;
    return `${it.address}${ofNetwork(it)} is reserved for ${whose(it)}${now}\n`;
  });
  return exitCode.ok;
}

export async function unreserve(session: Session, [address]: Words, { network }: Options): Promise<ExitCode> {
  const path = `/v1/reservations/${encodeURIComponent(address as string)}`;
  const of = network === undefined ? '' : `?network=${encodeURIComponent(network as string)}`;
  const views = await session.client.delete<readonly ReservationView[]>(`${path}${of}`);
  session.show(views, (all) => all.map((it) => `${it.address}${ofNetwork(it)} is not reserved any more\n`).join(''));
  return exitCode.ok;
}

const ofNetwork = ({ network }: ReservationView): string => (network === undefined ? '' : ` of ${network}`);

function whose({ container, mac }: ReservationView): string {
  if (container !== undefined) return mac === undefined ? container : `${container} (${mac})`;
  return mac ?? 'who asks for it';
}
