/** What is wrong between two, and where, in sentences. Pure. */

import type { EchoView, HopView, PartyView } from '../api.ts';

export interface Findings {
  readonly from: PartyView;
  readonly to: PartyView;
  readonly echoes: readonly EchoView[];
  readonly path: readonly HopView[];
  /** Between the two hosts themselves; absent when both are on one, or it is not known where one is. */
  readonly wire: EchoView | undefined;
}

/** Bytes that a VXLAN takes of each packet: IP, UDP, VXLAN and Ethernet headers (RFC 7348 §5). */
const VXLAN = { 4: 50, 6: 70 } as const;

export function problemsOf(findings: Findings): string[] {
  const { echoes, path, to } = findings;
  const onPath = path.flatMap((hop) =>
    hop.problem === undefined ? [] : [`on ${hop.host}: ${placeOf(hop)} ${hop.problem}`],
  );
  if (echoes.length === 0) return [...onPath, `${nameOf(to)} has no address that could be asked`];
  const silent = echoes.filter(({ received }) => received === 0);
  const causes =
    silent.length === 0 ? [] : silent.map((echo) => `${echo.address} does not answer: ${causeOf(echo, findings)}`);
  const losses = echoes
    .filter(({ sent, received }) => received > 0 && received < sent)
    .map(
      ({ address, sent, received }) => `${address} answers ${received} of ${sent} packets: some are lost on the way`,
    );
  return [...causes, ...onPath, ...losses, ...echoes.flatMap((echo) => mtuProblem(echo, findings) ?? [])];
}

export const nameOf = ({ kind, name, host }: PartyView): string =>
  kind === 'host' ? `the host ${name}` : `${host}/${name}`;

const kinds: Readonly<Record<HopView['kind'], string>> = {
  interface: 'the interface',
  veth: 'the veth',
  bridge: 'the bridge',
  vxlan: 'the VXLAN device',
  underlay: 'the interface',
  uplink: 'the uplink',
  wire: 'the wire',
  host: 'the host',
};

const placeOf = ({ kind, name }: HopView): string => `${kinds[kind]} ${name}`.trim();

function causeOf({ address, obstacles }: EchoView, { from, to, path, wire }: Findings): string {
  const own = new Set(from.addresses);
  for (const { code, from: who } of obstacles) {
    const said = who === undefined || own.has(who) ? undefined : who;
    if (code === 'ENETUNREACH' && said === undefined) return `${nameOf(from)} has no route to it`;
    if (code === 'EHOSTUNREACH' && said === undefined)
      return `nobody on its network says where ${address} is (no answer to ARP or neighbour discovery)`;
    if (said !== undefined) return `${said} says that it cannot be reached (${code})`;
    if (code === 'EACCES' || code === 'EPERM') return `a filter on ${from.host} forbids it (${code})`;
  }
  const first = path.find(({ problem }) => problem !== undefined);
  if (first !== undefined) return `the path is broken at ${placeOf(first)} on ${first.host}`;
  if (wire !== undefined && wire.received === 0)
    return `nothing comes back from ${wire.address} either: ${to.host} is down, or the network between the hosts drops packets`;
  if (from.host !== to.host && wire !== undefined)
    return `the hosts reach each other, and every link is in order: a firewall between them or on one of them drops the packets of the tunnel, or one in the container drops echoes`;
  return 'every link is in order: a filter in the container, or on its host, drops echoes';
}

function mtuProblem(echo: EchoView, { wire, path }: Findings): string | undefined {
  const { mtu, interfaceMtu, address } = echo;
  if (mtu === undefined || interfaceMtu === undefined || mtu >= interfaceMtu) return undefined;
  const narrow = path.find((hop) => hop.kind !== 'wire' && hop.mtu !== undefined && hop.mtu < interfaceMtu);
  const tunnel = path.some(({ kind }) => kind === 'vxlan');
  const carried = wire?.mtu === undefined || !tunnel ? undefined : wire.mtu - VXLAN[wire.address.includes(':') ? 6 : 4];
  const where =
    narrow !== undefined
      ? `${placeOf(narrow)} on ${narrow.host} takes ${narrow.mtu}`
      : carried !== undefined && carried < interfaceMtu
        ? `between the hosts packets of ${wire!.mtu} bytes pass, which leaves ${carried} in the tunnel`
        : 'some link between them takes no more';
  return `packets to ${address} of more than ${mtu} bytes are lost, while the interface sends up to ${interfaceMtu}: ${where}`;
}
