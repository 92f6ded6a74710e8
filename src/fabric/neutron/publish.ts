/** Published ports as port forwardings of one floating IP, which the containers of a network share as they share a host's address. */

import type { PublishedPort } from '../../docker/driver.ts';
import { formatAddress } from '../../model/address.ts';
import { BerthError } from '../../model/errors.ts';
import type { Bounds } from '../../openstack/bounds.ts';
import { detailsOf } from '../../openstack/failure.ts';
import type { Neutron } from '../../openstack/neutron/neutron.ts';
import type { Inside } from './floating.ts';
import type { Forwarding } from './records.ts';

/** Neutron's own names (neutron_lib.constants, IPTABLES_PROTOCOL_MAP). */
const NAMES: Readonly<Record<number, string>> = { 6: 'tcp', 17: 'udp', 132: 'sctp' };
const nameOf = (protocol: number): string => NAMES[protocol] ?? `protocol ${protocol}`;

/** Of a name of Neutron's; undefined for what Docker does not publish. */
export function protocolNumber(name: string): number | undefined {
  const [number] = Object.entries(NAMES).find(([, known]) => known === name) ?? [];
  return number === undefined ? undefined : Number(number);
}

/** As `docker port` would put it. */
export const forwardingText = (address: string, { protocol, internal, external }: Forwarding): string =>
  `${internal}/${nameOf(protocol)} -> ${address}:${external}`;

/**
 * That published ports are asked for in a way that leads past this host: an address of the host leads nowhere else.
 *
 * @throws BerthError BAD_OPTION
 */
export function checkPublished(published: readonly PublishedPort[], floatingIp?: string): void {
  const bound = published.find(({ at }) => at !== undefined && formatAddress(at) !== floatingIp);
  if (bound?.at === undefined) return;
  throw new BerthError(
    'BAD_OPTION',
    `-p names the address ${formatAddress(bound.at)} of the host, where this network does not publish (neutron.publish)`,
  );
}

/**
 * Which port outside leads to which inside: the first of the wanted ones that is free; where none is wanted, the same as inside.
 *
 * @param taken on the same floating IP.
 * @throws BerthError BAD_OPTION, NEUTRON_CONFLICT
 */
export function planForwardings(
  published: readonly PublishedPort[],
  taken: readonly Forwarding[],
): readonly Forwarding[] {
  const planned: Forwarding[] = [];
  for (const { protocol, port, outside } of published) {
    const wanted = outside ?? { first: port, last: port };
    const before = planned.find((one) => one.protocol === protocol && one.internal === port);
    if (before !== undefined) {
      if (before.external >= wanted.first && before.external <= wanted.last) continue;
      throw new BerthError(
        'BAD_OPTION',
        `Neutron forwards only one port to ${port}/${nameOf(protocol)}, and -p asks for several`,
      );
    }
    const isTaken = (external: number) =>
      [...taken, ...planned].some((one) => one.protocol === protocol && one.external === external);
    let external = wanted.first;
    while (external <= wanted.last && isTaken(external)) external++;
    if (external > wanted.last)
      throw new BerthError(
        'NEUTRON_CONFLICT',
        `the port ${wanted.first === wanted.last ? wanted.first : `${wanted.first}-${wanted.last}`}/${nameOf(protocol)} of the network's floating IP is another container's`,
      );
    planned.push({ protocol, internal: port, external });
  }
  return planned;
}

export interface PublishParts {
  readonly neutron: Pick<Neutron, 'portForwardings'>;
}

/** All or none, in one call. */
export async function makeForwardings(
  { neutron }: PublishParts,
  floatingIp: string,
  ports: readonly Forwarding[],
  { port, address }: Inside,
  bounds: Bounds,
): Promise<void> {
  const wanted = ports.map(({ protocol, internal, external }) => ({
    protocol: nameOf(protocol),
    internal_port_id: port,
    internal_ip_address: address,
    internal_port: internal,
    external_port: external,
  }));
  await neutron.portForwardings(floatingIp).createMany(wanted, bounds);
}

/** All that lead to this port: it is a container's, so nobody else has made any. */
export async function removeForwardings(
  { neutron }: PublishParts,
  floatingIp: string,
  port: string,
  bounds: Bounds,
): Promise<void> {
  const forwardings = neutron.portForwardings(floatingIp);
  for (const { id } of await listed(forwardings, port, bounds)) await forwardings.remove(id, bounds);
}

async function listed(forwardings: ReturnType<Neutron['portForwardings']>, port: string, bounds: Bounds) {
  try {
    return await forwardings.list({ internal_port_id: port }, { ...bounds, fields: ['id'] });
  } catch (error) {
    // The floating IP is gone, and all that was of it.
    if (detailsOf(error)?.status === 404) return [];
    throw error;
  }
}
