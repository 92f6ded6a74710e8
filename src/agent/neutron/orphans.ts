/**
 * What is orphaned between Neutron and this host: objects there that say they are this host's and that no record knows, and records
 * whose object is gone. What another host, another project or a user has made is never among them.
 */

import type { EngineNetwork } from '../../docker/engine.ts';
import type { Book } from '../../fabric/neutron/book.ts';
import { kuryrMarks } from '../../fabric/neutron/marks.ts';
import type { NetworkRecord, PortRecord } from '../../fabric/neutron/records.ts';
import { OUR_TAGS, tagOf } from '../../fabric/neutron/tags.ts';
import { formatAddress } from '../../model/address.ts';
import type { NetworkId } from '../../model/ids.ts';
import type { Bounds } from '../../openstack/bounds.ts';
import type { Neutron } from '../../openstack/neutron/neutron.ts';
import type { Network, Port, Subnet } from '../../openstack/neutron/objects.ts';
import type { GarbageView } from '../api.ts';
import type { State } from '../state.ts';
import { findOutsideOrphans } from './orphans-outside.ts';

export interface Orphan extends Pick<GarbageView, 'kind' | 'id' | 'reason'> {
  /** Absent: it is the user's to end. */
  readonly remove?: (bounds: Bounds) => Promise<unknown>;
}

export interface OrphansParts {
  readonly book: Book;
  readonly client: Pick<Neutron, 'ports' | 'networks' | 'subnets' | 'routers' | 'floatingIps' | 'securityGroups'>;
  readonly state: Pick<State, 'networks' | 'endpoints'>;
  readonly host: string;
}

/**
 * Looks once, in the order in which they can be removed. What is on its way, to Neutron or from it, is none.
 *
 * @param engine all networks of the engine that Berth serves. What they use is spared, also when no record knows it: our store may
 * have been lost while the containers run.
 * @throws BerthError OPENSTACK_…, KEYSTONE_REFUSED
 */
export async function findOrphans(
  parts: OrphansParts,
  engine: readonly EngineNetwork[],
  bounds: Bounds,
): Promise<readonly Orphan[]> {
  const { book, client, host } = parts;
  // Records are written before Neutron is asked and go after it was: who is in either look was known when Neutron answered.
  const before = { ports: book.ports.all(), networks: book.networks.all() };
  const [ports, networks, subnets] = await Promise.all([
    client.ports.list({ description: `berth/${host}` }, { ...bounds, fields: PORT_FIELDS }),
    client.networks.list({}, { ...bounds, fields: NETWORK_FIELDS }),
    client.subnets.list({}, { ...bounds, fields: SUBNET_FIELDS }),
  ]);
  const records = {
    ports: [...before.ports, ...book.ports.all()],
    networks: [...before.networks, ...book.networks.all()],
  };
  const marks = { isOurs: markOf(host), used: marksInUse(records.networks, engine, host) };
  const isLostTag = (tag: string): boolean => marks.isOurs.tag(tag) && !marks.used.has(tag);
  const isLostMark = (mark = ''): boolean => marks.isOurs.description(mark) && !marks.used.has(mark);

  const lostPorts = ports.filter(isLostPort(records.ports, engine, host));
  const lostNetworks = networks.filter(({ id, description }) => {
    return isLostMark(description) && !records.networks.some(({ network }) => network === id);
  });
  const going = new Set(lostNetworks.map(({ id }) => id));
  // Whoever has a Docker network on it may use its subnets, whoever made them; the last of them takes them away.
  const others = new Map(
    networks.map(({ id, tags = [] }) => [
      id,
      tags.filter((tag) => SHARED.test(tag) || (tag.startsWith(OUR_TAGS) && !isLostTag(tag))),
    ]),
  );
  const lostSubnets = subnets.filter(({ description, network_id }) => {
    return isLostMark(description) && !going.has(network_id) && (others.get(network_id) ?? []).length === 0;
  });
  const lostTags = networks.flatMap(({ id, name, tags = [] }) =>
    going.has(id) ? [] : tags.filter(isLostTag).map((tag) => ({ id, name, tag })),
  );

  const outside = await findOutsideOrphans(
    parts,
    engine,
    { isLost: isLostMark, isUsed: (network) => (others.get(network) ?? []).length > 0 },
    bounds,
  );

  return [
    ...lostPorts.map(
      (port): Orphan => ({
        kind: 'neutron port',
        id: port.id,
        reason: `no container of ${host} has this port (${addressesOf(port).join(', ') || 'without an address'})`,
        remove: (within) => client.ports.remove(port.id, within),
      }),
    ),
    ...outside,
    // As when a Docker network goes: of two hosts that leave at the same time, one finds that it is the last.
    ...lostTags.map(
      ({ id, name, tag }): Orphan => ({
        kind: 'neutron tag',
        id: `${id} ${tag}`,
        reason: `no network of ${host} is on the network '${name}' of Neutron`,
        remove: (within) => client.networks.removeTag(id, tag, within),
      }),
    ),
    ...lostSubnetTags(subnets, networks, [...records.networks, ...engine]),
    ...lostSubnets.map(
      ({ id, cidr }): Orphan => ({
        kind: 'neutron subnet',
        id,
        reason: `no network of ${host} has this subnet (${cidr})`,
        remove: (within) => client.subnets.remove(id, within),
      }),
    ),
    ...lostNetworks.map((network) => networkOrphan(network, others.get(network.id) ?? [], parts)),
    ...(await recordsWithout(parts, before, new Set(networks.map(({ id }) => id)), bounds)),
  ];
}

/**
 * On networks that engines share. The tags of a network are the last that go, and the last that come: so another host may be about to
 * make it, and it is the user who knows.
 */
function lostSubnetTags(
  subnets: readonly Pick<Subnet, (typeof SUBNET_FIELDS)[number]>[],
  networks: readonly Pick<Network, (typeof NETWORK_FIELDS)[number]>[],
  known: readonly { readonly id: NetworkId }[],
): readonly Orphan[] {
  return subnets.flatMap(({ id, cidr, network_id, tags = [] }) => {
    const on = networks.find((network) => network.id === network_id)?.tags ?? [];
    const lost = tags
      .flatMap((tag) => /^bnet:([0-9a-f]{12}):/.exec(tag)?.[1] ?? [])
      .filter(
        (docker) =>
          !on.some((tag) => tag.startsWith(kuryrMarks(docker)[0]!)) && !known.some((one) => one.id.startsWith(docker)),
      );
    return [...new Set(lost)].map(
      (docker): Orphan => ({
        kind: 'neutron tag',
        id: `${id} bnet:${docker}:`,
        reason: `the subnet ${cidr} is tagged as one of Docker's network ${docker}, and its network is not; if no engine has that network any more: openstack subnet unset --tag`,
      }),
    );
  });
}

const PORT_FIELDS = ['id', 'device_id', 'fixed_ips', 'binding:host_id'] as const;
const NETWORK_FIELDS = ['id', 'name', 'description', 'tags', 'revision_number'] as const;
const SUBNET_FIELDS = ['id', 'cidr', 'description', 'network_id', 'tags'] as const;

/** On networks that engines share, of which each host may be asked, and on those of kuryr-libnetwork (`marks.ts`). */
const SHARED = /^(?:kuryr\.net\.|bnet:)/;

/** `berth/HOST/` and the beginning of the id of a network of Docker; the name of another host may begin with ours. */
function markOf(host: string) {
  const isIt =
    (beginning: string) =>
    (text: string): boolean =>
      text.startsWith(beginning) && /^[0-9a-f]{12}$/.test(text.slice(beginning.length));
  const beginning = `berth/${host}/`;
  return { description: isIt(beginning), tag: isIt(tagOf(beginning)) };
}

/** Descriptions and tags. */
function marksInUse(
  records: readonly NetworkRecord[],
  engine: readonly EngineNetwork[],
  host: string,
): ReadonlySet<string> {
  const marks = [...records.map(({ key }) => key), ...engine.map(({ id }) => `berth/${host}/${id.slice(0, 12)}`)];
  return new Set([...marks, ...marks.map(tagOf)]);
}

function isLostPort(records: readonly PortRecord[], engine: readonly EngineNetwork[], host: string) {
  const known = new Set(records.flatMap(({ key, port }) => (port === undefined ? [key] : [key, port])));
  const plugged = new Set(
    engine.flatMap(({ endpoints }) =>
      endpoints.flatMap(({ addresses }) => addresses.map(({ address }) => formatAddress(address))),
    ),
  );
  return (port: Pick<Port, (typeof PORT_FIELDS)[number]>): boolean => {
    const { id, device_id = '', 'binding:host_id': bound } = port;
    // Ports of containers in a virtual machine are bound nowhere, and not everybody is told of a binding.
    if (known.has(id) || known.has(device_id) || (bound && bound !== host)) return false;
    return !addressesOf(port).some((address) => plugged.has(address));
  };
}

const addressesOf = ({ fixed_ips = [] }: Pick<Port, 'fixed_ips'>): readonly string[] =>
  fixed_ips.map(({ ip_address }) => ip_address);

function networkOrphan(
  { id, name, revision_number }: Pick<Network, (typeof NETWORK_FIELDS)[number]>,
  others: readonly string[],
  { client, host }: OrphansParts,
): Orphan {
  const orphan: Orphan = { kind: 'neutron network', id, reason: `no network of ${host} is '${name}' of Neutron` };
  if (others.length > 0)
    return { ...orphan, reason: `${orphan.reason}; it stays, for others use it: ${others.join(', ')}` };
  return { ...orphan, remove: (bounds) => client.networks.remove(id, { ...bounds, ifRevision: revision_number }) };
}

/** What Docker still has is Docker's to end: its record goes with it. */
async function recordsWithout(
  { book, client, state }: OrphansParts,
  { ports, networks }: { readonly ports: readonly PortRecord[]; readonly networks: readonly NetworkRecord[] },
  there: ReadonlySet<string>,
  bounds: Bounds,
): Promise<readonly Orphan[]> {
  const held = ports.filter(({ phase, port }) => (phase === 'held' || phase === 'warm') && port !== undefined);
  const found = new Set(
    (await client.ports.list({ id: held.map(({ port }) => port!) }, { ...bounds, fields: ['id'] })).map(({ id }) => id),
  );
  return [
    ...held.flatMap((record): Orphan[] => {
      // It may have begun to leave meanwhile.
      if (found.has(record.port!) || book.ports.get(record.key) !== record) return [];
      const endpoint = record.endpoint === undefined ? undefined : state.endpoints.get(record.endpoint);
      const orphan: Orphan = { kind: 'neutron record', id: record.port!, reason: 'Neutron has no such port any more' };
      if (endpoint !== undefined)
        return [{ ...orphan, reason: `${orphan.reason}; its container is cut off until it is started again` }];
      return [
        { ...orphan, remove: async () => book.ports.get(record.key) === record && book.ports.delete(record.key) },
      ];
    }),
    ...networks.flatMap((record): Orphan[] => {
      const { id, network, phase } = record;
      if (phase !== 'held' || network === undefined || there.has(network) || book.networks.get(id) !== record)
        return [];
      const orphan: Orphan = { kind: 'neutron record', id: network, reason: 'Neutron has no such network any more' };
      if (state.networks.has(id))
        return [{ ...orphan, reason: `${orphan.reason}; Docker still has it: docker network rm ${id.slice(0, 12)}` }];
      return [{ ...orphan, remove: async () => book.networks.get(id) === record && book.networks.delete(id) }];
    }),
  ];
}
