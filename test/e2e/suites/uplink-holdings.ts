/** All that hangs on an interface of a host, as iproute2 shows it, so that two interfaces can be compared. */

import assert from 'node:assert/strict';
import type { Host } from '../bed/host.ts';
import type { Lan } from '../bed/lan.ts';
import type { Machine } from '../bed/machine.ts';

/** Settings of an interface that a new one does not have. */
export const settings = {
  'ipv4/conf/NAME/rp_filter': '2',
  'ipv4/conf/NAME/arp_announce': '2',
  'ipv4/conf/NAME/proxy_arp': '1',
  'ipv6/conf/NAME/accept_ra': '2',
  'ipv6/conf/NAME/use_tempaddr': '1',
};

export const setting = (path: string, link: string) => `/proc/sys/net/${path.replace('NAME', link)}`;

// biome-ignore lint/suspicious/noExplicitAny: what iproute2 prints is described nowhere
export type Shown = Readonly<Record<string, any>>;

export interface Hanging {
  readonly addresses: readonly Shown[];
  readonly routes: readonly Shown[];
  readonly rules: readonly Shown[];
  readonly neighbours: readonly Shown[];
}
export const nothing: Hanging = { addresses: [], routes: [], rules: [], neighbours: [] };

export const withoutLifetime = ({ valid_life_time: _valid, preferred_life_time: _preferred, ...rest }: Shown): Shown =>
  rest;

/** Lifetimes in thousands of seconds, rounded up: they run down. */
const coarse = (seconds: number) => (seconds > 4e9 ? seconds : Math.ceil(seconds / 1000));

/** What hangs on a link, with LINK for its name; the kernel's own multicast and local routes are left out. */
export async function hanging(host: Host, link: string): Promise<Hanging> {
  const ask = async (...words: string[]) =>
    JSON.parse(((await host.net(['ip', '-j', ...words])).stdout.trim() || '[]').replaceAll(link, 'LINK')) as Shown[];
  const both = async (...words: string[]) => [...(await ask('-4', ...words)), ...(await ask('-6', ...words))];
  const [[shown], routes, rules, neighbours, proxies] = await Promise.all([
    ask('address', 'show', 'dev', link),
    both('route', 'show', 'table', 'all', 'dev', link),
    both('rule'),
    both('neigh', 'show', 'nud', 'permanent', 'dev', link),
    ask('neigh', 'show', 'proxy'),
  ]);
  return {
    addresses: (shown!.addr_info as Shown[]).map(
      ({ nodad: _nodad, dynamic: _dynamic, valid_life_time, preferred_life_time, ...info }) => ({
        ...info,
        valid_life_time: coarse(valid_life_time),
        preferred_life_time: coarse(preferred_life_time),
      }),
    ),
    routes: routes
      .filter(({ type }) => !['local', 'broadcast', 'multicast', 'anycast'].includes(type))
      .map((route) => (route.expires === undefined ? route : { ...route, expires: coarse(route.expires) }))
      .toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)),
    rules: rules.filter(({ iif, oif }) => iif === 'LINK' || oif === 'LINK'),
    neighbours: [...neighbours, ...proxies.filter(({ dev }) => dev === 'LINK')],
  };
}

/** That, and what the link itself is. */
export async function everything(host: Host, link: string): Promise<Hanging & { readonly link: Shown }> {
  const [[shown], found] = await Promise.all([
    host.net(['ip', '-j', 'link', 'show', link]).then(({ stdout }) => JSON.parse(stdout) as Shown[]),
    hanging(host, link),
  ]);
  const values = await Promise.all(
    [...Object.keys(settings), 'ipv6/conf/NAME/addr_gen_mode'].map((path) =>
      host.sh(`cat ${setting(path, link)}`).then(({ stdout }) => stdout.trim()),
    ),
  );
  assert.deepEqual(
    found.addresses.filter(({ tentative }) => tentative),
    [],
    `an address of ${link} cannot be used yet`,
  );
  return { ...found, link: { mac: shown!.address, mtu: shown!.mtu, settings: values } };
}

/** The MAC behind the host's addresses as the other machine knows it, and the port of the switch behind which that is. */
export async function seenFromOutside(lan: Lan, other: Machine, addresses: readonly string[]): Promise<unknown> {
  const known = async (address: string) => {
    const { stdout } = await other.net(['ip', '-j', 'neigh', 'show', address]);
    return (JSON.parse(stdout) as Shown[])[0]?.lladdr as string;
  };
  const macs = await Promise.all(addresses.map(known));
  const { stdout } = await lan.switch.net(['bridge', '-j', 'fdb', 'show', 'br', 'sw']);
  const ports = (JSON.parse(stdout) as Shown[]).filter(({ mac }) => mac === macs[0]).map(({ ifname }) => ifname);
  assert.equal(ports.length, 1);
  assert.deepEqual([...new Set(macs)], [macs[0]]);
  return { macs, ports };
}
