/** What is in a network: endpoints and leased addresses, which agents write, and addresses of services, which are leased here. */

import { encodeLease } from '../ipam/codec.ts';
import { formatAddress, parseAddress } from '../model/address.ts';
import { BerthError } from '../model/errors.ts';
import { keys } from '../model/keys.ts';
import type { Draft } from '../model/objects/change.ts';
import { reservedRanges } from '../model/objects/group.ts';
import type { Allocated, ClusterObject, Objects } from '../model/objects/kind.ts';
import { networkSubnet } from '../model/objects/network.ts';
import { parseAddressRange, type Range, without } from '../model/objects/ranges.ts';
import type { Condition, Operation, Store } from '../store/store.ts';
import { type ClusterEndpoint, decodeClusterEndpoint, isHostEndpoint } from './codec.ts';
import { gateOpen } from './gate.ts';
import { checkNotLeased, networkPool } from './pools.ts';

/** The IPv4 addresses of a network that are leased. @throws BerthError STORE_UNAVAILABLE */
export async function leasedAddresses(store: Store, network: ClusterObject): Promise<Range[]> {
  const prefix = keys.poolLeases(networkPool(network));
  const { entries } = await store.list(prefix);
  return entries.flatMap(({ key }) => {
    const address = parseAddress(key.slice(prefix.length));
    return address === undefined ? [] : [{ first: address.value, last: address.value }];
  });
}

/** The containers on a network. @throws BerthError STORE_UNAVAILABLE, STORE_CORRUPT, STORE_NEWER */
export async function networkEndpoints(store: Store, network: string): Promise<ClusterEndpoint[]> {
  const { entries } = await store.list(keys.networkEndpoints(network));
  return entries.map(decodeClusterEndpoint);
}

/**
 * With the gate closed: nothing is in the network or group that is to go, and no address of the range that a group takes is
 * somebody's.
 *
 * @throws BerthError OBJECT_IN_USE, OBJECT_CONFLICT
 */
export async function checkUnused(
  store: Store,
  { kind, key, existing, config }: Pick<Draft, 'kind' | 'key' | 'existing'> & Partial<Pick<Draft, 'config'>>,
  objects: Objects,
): Promise<void> {
  if (kind.name === 'network') {
    // Hosts leave by themselves.
    const active = (await networkEndpoints(store, key)).filter((endpoint) => !isHostEndpoint(endpoint));
    if (active.length === 0) return await checkNotLeased(store, existing!);
    throw new BerthError('OBJECT_IN_USE', 'Error: Network has active endpoints');
  }
  const of = existing?.config ?? config!;
  const network = `${of.tenantName as string}:${of.networkName as string}`;
  if (existing !== undefined) {
    const active = (await networkEndpoints(store, network)).some((endpoint) => endpoint.group === key);
    if (active) throw new BerthError('OBJECT_IN_USE', `Error: EPG ${of.groupName as string} has active endpoints`);
    return;
  }
  const pool = parseAddressRange(of.ipPool as string)!;
  const found = objects.get('network', network);
  const leased = found === undefined ? [] : await leasedAddresses(store, found);
  const taken = leased.find(({ first }) => first >= pool.first && first <= pool.last);
  if (taken === undefined) return;
  const address = formatAddress({ family: 4, value: taken.first });
  throw new BerthError('OBJECT_CONFLICT', `ip address ${address} is not available`);
}

/**
 * An incoming rule for one address: a container of the one group that the rule's policy is of must have it.
 *
 * @throws BerthError OBJECT_CONFLICT
 */
export async function checkRuleAddress(store: Store, { kind, config }: Draft, objects: Objects): Promise<void> {
  const address = config.toIpAddress;
  if (kind.name !== 'rule' || config.direction !== 'in' || address === '') return;
  const tenant = config.tenantName as string;
  const [group] = objects
    .ofTenant('endpointGroup', tenant)
    .filter(({ config: of }) => (of.policies as readonly string[]).includes(config.policyName as string));
  const endpoints = await networkEndpoints(store, `${tenant}:${group!.config.networkName as string}`);
  if (endpoints.some(({ group: of, addresses }) => of === group!.key && addresses.includes(address as string))) return;
  const shown = `${group!.config.groupName as string}:${tenant}`;
  throw new BerthError('OBJECT_CONFLICT', `failed to configure ${String(address)}, ip address is not in epg ${shown}`);
}

export interface Claim {
  readonly allocated: Allocated;
  readonly conditions: readonly Condition[];
  readonly operations: readonly Operation[];
}

/**
 * The address of a new service, as a lease in its network's pool.
 *
 * @returns undefined for what is no service.
 * @throws BerthError OBJECT_CONFLICT when the address is taken, POOL_EXHAUSTED when all are.
 */
export async function claimVip(
  store: Store,
  { kind, config }: Draft,
  objects: Objects,
  createdAt: number,
): Promise<Claim | undefined> {
  if (kind.name !== 'serviceLB') return undefined;
  const network = objects.get('network', `${config.tenantName as string}:${config.networkName as string}`)!;
  const reserved = reservedRanges(network, objects);
  const { hosts, prefix } = networkSubnet(network);
  const taken = [...reserved, ...(await leasedAddresses(store, network))];
  const free = hosts === undefined ? [] : without(hosts, taken);
  const wanted = config.ipAddress as string;
  const address = wanted === '' ? lowest(free) : parseAddress(wanted);
  if (address === undefined) {
    const subnet = `${formatAddress(prefix.address)}/${prefix.length}`;
    throw new BerthError('POOL_EXHAUSTED', `auto allocation failed - address exhaustion in subnet ${subnet}`);
  }
  if (!free.some(({ first, last }) => address.value >= first && address.value <= last)) {
    throw new BerthError('OBJECT_CONFLICT', `ip address ${formatAddress(address)} is not available`);
  }
  const pool = networkPool(network);
  const key = keys.lease(pool, address);
  const value = encodeLease({ pool, address, holder: { kind: 'auxiliary' }, engine: 'cluster', createdAt });
  return {
    allocated: { vip: formatAddress(address) },
    conditions: [{ key, is: 'absent' }, ...gateOpen(network.key)],
    operations: [{ do: 'put', key, value }],
  };
}

function lowest([range]: readonly Range[]) {
  return range === undefined ? undefined : ({ family: 4, value: range.first } as const);
}

/** Gives back the addresses of services that go. */
export function releaseVip(gone: readonly ClusterObject[], objects: Objects): Operation[] {
  return gone.flatMap(({ kind, config, allocated }): Operation[] => {
    if (kind !== 'serviceLB' || allocated.vip === undefined) return [];
    const network = objects.get('network', `${config.tenantName as string}:${config.networkName as string}`);
    if (network === undefined) return [];
    return [{ do: 'delete', key: keys.lease(networkPool(network), parseAddress(allocated.vip)!) }];
  });
}
