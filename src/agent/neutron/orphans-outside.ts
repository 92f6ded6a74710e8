/**
 * What leads to containers from outside and is orphaned: floating IPs, interfaces of routers, security groups for open ports; and records
 * of what of these is gone.
 */

import type { EngineNetwork } from '../../docker/engine.ts';
import type { Book } from '../../fabric/neutron/book.ts';
import { isGroupName } from '../../fabric/neutron/exposed.ts';
import { orNone } from '../../fabric/neutron/find.ts';
import { detachInterface, INTERFACE_NAME } from '../../fabric/neutron/router.ts';
import { networkSettings } from '../../fabric/neutron/settings.ts';
import type { Bounds } from '../../openstack/bounds.ts';
import type { Neutron } from '../../openstack/neutron/neutron.ts';
import type { State } from '../state.ts';
import type { Orphan } from './orphans.ts';

export interface OutsideOrphansParts {
  readonly book: Pick<Book, 'outside' | 'groups'>;
  readonly client: Pick<Neutron, 'ports' | 'routers' | 'floatingIps' | 'securityGroups'>;
  readonly state: Pick<State, 'networks' | 'endpoints'>;
  readonly host: string;
}

/** What is known of the networks. */
export interface NetworkMarks {
  /** Whether a description says that something of this host is meant, and that is no network that there is. */
  isLost(mark: string): boolean;
  /** Whether Docker networks are on this network of Neutron. */
  isUsed(network: string): boolean;
}

/**
 * In the order in which they can be removed: before their subnets and networks, after ports.
 *
 * @param engine as for `findOrphans`.
 * @throws BerthError OPENSTACK_…, KEYSTONE_REFUSED
 */
export async function findOutsideOrphans(
  parts: OutsideOrphansParts,
  engine: readonly EngineNetwork[],
  marks: NetworkMarks,
  bounds: Bounds,
): Promise<readonly Orphan[]> {
  const { book, client, state, host } = parts;
  const before = { outside: book.outside.all(), groups: book.groups.all() };
  const [floatingIps, interfaces, groups] = await Promise.all([
    orNone(client.floatingIps.list({}, { ...bounds, fields: ['id', 'description', 'floating_ip_address'] })),
    client.ports.list({ name: INTERFACE_NAME }, { ...bounds, fields: INTERFACE_FIELDS }),
    orNone(client.securityGroups.list({}, { ...bounds, fields: ['id', 'name'] })),
  ]);
  const records = {
    outside: [...before.outside, ...book.outside.all()],
    groups: [...before.groups, ...book.groups.all()],
  };

  const containers = new Set([
    ...records.outside.map(({ endpoint }) => endpoint),
    ...engine.flatMap(({ endpoints }) => endpoints.map(({ id }) => id)),
  ]);
  const ofContainers = new Set([...containers].map((id) => `berth/${host}/${id.slice(0, 12)}`));
  const lostFloatingIps = floatingIps.filter(
    ({ description = '' }) => marks.isLost(description) && !ofContainers.has(description),
  );
  const lostInterfaces = interfaces.filter(
    ({ description = '', network_id }) => marks.isLost(description) && !marks.isUsed(network_id),
  );
  const spare = groups.filter(
    ({ id, name }) => isGroupName(name) && !records.groups.some((record) => record.name === name || record.id === id),
  );
  const lostGroups = await unheld(client, spare, bounds);

  return [
    ...lostFloatingIps.map(
      ({ id, floating_ip_address }): Orphan => ({
        kind: 'neutron floating IP',
        id,
        reason: `nothing of ${host} has this floating IP (${floating_ip_address})`,
        remove: (within) => client.floatingIps.remove(id, within),
      }),
    ),
    ...lostInterfaces.map(
      ({ id, device_id, device_owner }): Orphan => ({
        kind: 'neutron interface',
        id,
        reason: `no network of ${host} is attached to a router by this port`,
        remove: (within) =>
          device_id !== undefined && device_owner?.startsWith('network:') === true
            ? detachInterface(client, device_id, id, within)
            : client.ports.remove(id, within),
      }),
    ),
    // Whoever is about to give it to a port finds that it is gone, and makes it anew.
    ...lostGroups.map(
      ({ id, name }): Orphan => ({
        kind: 'neutron group',
        id,
        reason: `no port has the security group ${name}`,
        remove: (within) => client.securityGroups.remove(id, within),
      }),
    ),
    ...recordsWithout(parts, before, new Set(floatingIps.map(({ id }) => id)), new Set(groups.map(({ id }) => id))),
    ...[...state.networks.values()].flatMap((network): Orphan[] => {
      const floating = network.fabric === 'neutron' ? networkSettings(network).floatingIp : undefined;
      if (floating === undefined || floatingIps.some(({ id }) => id === floating.id)) return [];
      const reason = `Neutron has the floating IP ${floating.address} of this network's published ports no more: make the network ${network.id.slice(0, 12)} anew`;
      return [{ kind: 'neutron record', id: floating.id, reason }];
    }),
  ];
}

const INTERFACE_FIELDS = ['id', 'network_id', 'device_id', 'device_owner', 'description'] as const;

async function unheld<Group extends { readonly id: string }>(
  client: Pick<Neutron, 'ports'>,
  groups: readonly Group[],
  bounds: Bounds,
): Promise<readonly Group[]> {
  if (groups.length === 0) return [];
  const holders = await client.ports.list(
    { security_groups: groups.map(({ id }) => id) },
    { ...bounds, fields: ['security_groups'] },
  );
  const held = new Set(holders.flatMap(({ security_groups = [] }) => security_groups));
  return groups.filter(({ id }) => !held.has(id));
}

function recordsWithout(
  { book, state }: OutsideOrphansParts,
  before: { readonly outside: ReturnType<Book['outside']['all']>; readonly groups: ReturnType<Book['groups']['all']> },
  floatingIps: ReadonlySet<string>,
  groups: ReadonlySet<string>,
): readonly Orphan[] {
  const kind = 'neutron record';
  return [
    ...before.outside.flatMap((record): Orphan[] => {
      const { endpoint, phase, floating, forwardings } = record;
      const id = floating?.id ?? forwardings?.floatingIp;
      // It may have begun to leave meanwhile.
      if (phase !== 'held' || id === undefined || floatingIps.has(id) || book.outside.get(endpoint) !== record)
        return [];
      const reason = 'Neutron has no such floating IP any more';
      if (state.endpoints.has(endpoint))
        return [{ kind, id, reason: `${reason}; its container is not reached by it until it is started again` }];
      const remove = async () => book.outside.get(endpoint) === record && book.outside.delete(endpoint);
      return [{ kind, id, reason, remove }];
    }),
    ...before.groups.flatMap((record): Orphan[] => {
      const { key, id, phase } = record;
      if (phase !== 'held' || id === undefined || groups.has(id) || book.groups.get(key) !== record) return [];
      // The next container that needs it has it made.
      const remove = async () => book.groups.get(key) === record && book.groups.delete(key);
      return [{ kind, id, reason: `Neutron has the security group ${record.name} no more`, remove }];
    }),
  ];
}
