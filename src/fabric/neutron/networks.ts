/**
 * Networks: made with two calls, or taken as they are and marked as used by this host. What this host has made goes with Docker's
 * network, unless somebody else uses it by then; what was there before is left as it was.
 */

import { formatAddress, parseAddress } from '../../model/address.ts';
import { BerthError } from '../../model/errors.ts';
import type { NetworkId } from '../../model/ids.ts';
import { formatPrefix, samePrefix } from '../../model/prefix.ts';
import type { Bounds } from '../../openstack/bounds.ts';
import { detailsOf } from '../../openstack/failure.ts';
import type { Neutron } from '../../openstack/neutron/neutron.ts';
import type { Network, Subnet } from '../../openstack/neutron/objects.ts';
import type { SubnetRequest } from '../../openstack/neutron/requests.ts';
import type { NetworkRequest } from '../fabric.ts';
import { ETHERNET_MTU } from '../mtu.ts';
import type { Book } from './book.ts';
import type { Departures } from './departures.ts';
import { existingNetwork, existingSubnets } from './existing.ts';
import { findOne } from './find.ts';
import { freeRanges } from './free-ranges.ts';
import { createNetworkWishes } from './network-wishes.ts';
import { type Reference, readWishes, type Wishes } from './options.ts';
import type { NetworkRecord, PoolRecord } from './records.ts';
import type { NetworkSettings, SubnetSettings } from './settings.ts';
import { OUR_TAGS, tagOf } from './tags.ts';
import { leftToLook, mayYetBeDone } from './unanswered.ts';

export interface NetworksParts {
  readonly book: Pick<Book, 'networks' | 'pools'>;
  readonly neutron: Pick<Neutron, 'networks' | 'subnets' | 'subnetPools' | 'ports' | 'securityGroups' | 'qosPolicies'>;
  readonly departures: Departures;
  /** As what we make and mark is known to be of this host. */
  readonly host: string;
  /** Milliseconds for which Neutron may still be at what it has not answered. */
  readonly settle: number;
  now(): number;
  readonly defaults: { readonly dhcp: boolean; readonly interfacePrefix: string };
  /** Tells whoever follows events of what has been left in Neutron, because others use it. */
  left(network: NetworkId, sentence: string): void;
}

export interface Networks {
  /**
   * Makes it in Neutron, or finds it there. Safe to repeat: what an earlier attempt has made is removed.
   *
   * @param pools of its subnets, in their order; they are its own from now on.
   * @throws BerthError BAD_OPTION, NEUTRON_…, OPENSTACK_…: then nothing of it stays in Neutron.
   */
  open(request: NetworkRequest, pools: readonly PoolRecord[], bounds: Bounds): Promise<NetworkSettings>;
  /** Docker has no such network any more. Written down when it resolves; Neutron hears of it in the background. */
  close(network: NetworkId): Promise<void>;
  recover(): Promise<void>;
}

/** Of whichever host. */
const OURS = 'berth/';
/** Description of a network that Berth has made, once its Docker network is gone and others are on it. */
const LEFT_BEHIND = 'berth/left-behind';

/** How objects of a Docker network are known in Neutron: in the description of what we made, or by a tag on what was there (`tagOf`). */
export const markOf = (host: string, network: NetworkId): string => `berth/${host}/${network.slice(0, 12)}`;

export function createNetworks(parts: NetworksParts): Networks {
  const { book, neutron, departures, host, settle, now, defaults, left } = parts;
  const { networks } = book;
  const wished = createNetworkWishes(neutron);

  function subnetRequest(
    pool: PoolRecord,
    key: string,
    network: string,
    wishes: Wishes,
    request: NetworkRequest,
  ): SubnetRequest {
    const { subnet, range, auxiliary, subnetPool, gateway } = pool;
    const told = request.subnets.find(({ prefix }) => samePrefix(prefix, subnet))?.gateway;
    const via = request.internal ? undefined : told;
    const kept = [
      ...auxiliary,
      ...(via === undefined ? [] : [via]),
      ...(gateway === undefined ? [] : [gateway.address]),
    ];
    const pools = range === undefined && auxiliary.length === 0 ? undefined : freeRanges(subnet, range, kept);
    return {
      network_id: network,
      name: `${prefixName(request)}-subnet-${formatPrefix(subnet)}`,
      description: key,
      ip_version: subnet.address.family,
      cidr: formatPrefix(subnet),
      gateway_ip: via === undefined ? null : formatAddress(via),
      enable_dhcp: wishes.dhcp ?? defaults.dhcp,
      ...(pools && {
        allocation_pools: pools.map(({ first, last }) => ({ start: formatAddress(first), end: formatAddress(last) })),
      }),
      ...(subnetPool && { subnetpool_id: subnetPool }),
    };
  }

  async function create(request: NetworkRequest, pools: readonly PoolRecord[], wishes: Wishes, bounds: Bounds) {
    const key = markOf(host, request.id);
    const policy = await wished.policy(wishes, bounds);
    const record: NetworkRecord = { id: request.id, phase: 'making', origin: 'created', key, subnets: [], tags: [] };
    await networks.put(record);
    try {
      const network = await neutron.networks.create(
        {
          name: `${prefixName(request)}-net-${request.id.slice(0, 8)}`,
          description: key,
          admin_state_up: true,
          ...(wishes.shared === undefined ? {} : { shared: wishes.shared }),
          ...(wishes.mtu === undefined ? {} : { mtu: wishes.mtu }),
          ...(wishes.portSecurity === undefined ? {} : { port_security_enabled: wishes.portSecurity }),
          ...(policy === undefined ? {} : { qos_policy_id: policy }),
          ...(wishes.dnsDomain === undefined ? {} : { dns_domain: wishes.dnsDomain }),
        },
        bounds,
      );
      await networks.put({ ...record, network: network.id });
      const wanted = pools.map((pool) => subnetRequest(pool, key, network.id, wishes, request));
      const subnets = await neutron.subnets.createMany(wanted, bounds);
      // Subnets that are made together count as one change of their network.
      const revision = network.revision_number === undefined ? {} : { revision: network.revision_number + 1 };
      await networks.put({ ...record, network: network.id, phase: 'held', ...revision });
      return { network, subnets };
    } catch (error) {
      await undo(request.id, error);
      throw error;
    }
  }

  async function adopt(
    request: NetworkRequest,
    pools: readonly PoolRecord[],
    wishes: Wishes & { network: Reference },
    bounds: Bounds,
  ) {
    const network = await findOne(neutron.networks, 'network', wishes.network, bounds);
    if (wishes.shared !== undefined && wishes.shared !== (network.shared ?? false))
      throw new BerthError(
        'BAD_OPTION',
        `the network '${network.name}' of Neutron is ${network.shared === true ? '' : 'not '}shared, other than neutron.net.shared says`,
      );
    const key = markOf(host, request.id);
    const record: NetworkRecord = {
      id: request.id,
      phase: 'making',
      origin: 'adopted',
      key,
      network: network.id,
      subnets: [],
      tags: [tagOf(key)],
    };
    await networks.put(record);
    try {
      // First: who leaves after this lets the subnets be.
      await neutron.networks.addTag(network.id, tagOf(key), bounds);
      const there = await neutron.subnets.list({ network_id: network.id }, bounds);
      const found = existingSubnets(pools, there, wishes);
      const missing = pools.filter((_pool, index) => found[index] === undefined);
      const made = await neutron.subnets.createMany(
        missing.map((pool) => subnetRequest(pool, key, network.id, wishes, request)),
        bounds,
      );
      await networks.put({ ...record, phase: 'held', subnets: made.map(({ id }) => id) });
      const rest = [...made];
      return { network, subnets: found.map((subnet) => subnet ?? rest.shift()!) };
    } catch (error) {
      await undo(request.id, error);
      throw error;
    }
  }

  /** Goes also where the store will not be written just now. @param failure of what was asked for last, if it failed. */
  async function begone(id: NetworkId, failure?: unknown): Promise<void> {
    const record = networks.get(id);
    if (record === undefined) return;
    const leaving: NetworkRecord = {
      ...record,
      phase: 'leaving',
      ...(mayYetBeDone(failure) ? { unanswered: now() } : {}),
    };
    try {
      await networks.put(leaving);
    } finally {
      leave(leaving);
    }
  }

  /** What the store says to that is not what went wrong. */
  const undo = (id: NetworkId, failure: unknown): Promise<void> => begone(id, failure).catch(() => {});

  function leave(record: NetworkRecord): void {
    const { id } = record;
    void departures.begin(`network ${id}`, async (bounds) => {
      const known = networks.get(id);
      if (known === undefined) return undefined;
      if (known.phase !== 'leaving') await networks.put(record);
      const current = known.phase === 'leaving' ? known : record;
      const found = await (current.origin === 'created'
        ? removeCreated(current, bounds)
        : leaveAdopted(current, bounds));
      const left = found ? undefined : leftToLook(current.unanswered, settle, now());
      if (left === undefined) await networks.delete(id);
      return left;
    });
  }

  /** @returns whether there was one. */
  async function removeCreated({ id, key, network, revision }: NetworkRecord, bounds: Bounds): Promise<boolean> {
    if (network !== undefined && revision !== undefined) {
      const removed = await unlessChanged(
        unlessInUse(
          neutron.networks.remove(network, { ...bounds, ifRevision: revision }),
          id,
          { network_id: network },
          bounds,
        ),
      );
      if (removed) return true;
    }
    // Without an id, Neutron's answer never reached us, or was never given.
    const found =
      network === undefined
        ? await neutron.networks.list({ description: key }, bounds)
        : [await neutron.networks.get(network, bounds)];
    for (const one of found) {
      if (one === undefined) continue;
      if (isUsedByOthers(one, key)) {
        // From now on, the last of them removes it.
        await neutron.networks.update(
          one.id,
          { description: LEFT_BEHIND },
          { ...bounds, ifRevision: one.revision_number },
        );
        left(id, `the network ${one.id} stays in Neutron as long as others use it`);
      } else {
        const removal = neutron.networks.remove(one.id, { ...bounds, ifRevision: one.revision_number });
        await unlessInUse(removal, id, { network_id: one.id }, bounds);
      }
    }
    return found.length > 0;
  }

  /** Another host has a Docker network on it. */
  const isUsedByOthers = ({ tags = [] }: Network, key: string): boolean =>
    tags.some((tag) => tag.startsWith(OUR_TAGS) && tag !== tagOf(key));

  /**
   * Our tag goes first: of two hosts that leave at the same time, at least one then finds that it is the last. The last takes away the
   * subnets of those that have left before, for whom somebody was still there.
   *
   * @returns false: none of what was asked for can be known not to come.
   */
  async function leaveAdopted({ id, network, key, tags }: NetworkRecord, bounds: Bounds): Promise<boolean> {
    for (const tag of tags) await neutron.networks.removeTag(network!, tag, bounds);
    const subnets = await neutron.subnets.list({ network_id: network! }, { ...bounds, fields: ['id', 'description'] });
    const made = subnets.filter(({ description = '' }) => description.startsWith(OURS));
    if (made.length === 0) return false;
    const found = await neutron.networks.get(network!, bounds);
    if (found === undefined) return false;
    if (isUsedByOthers(found, key)) {
      left(id, `its subnets stay in the network ${found.id} of Neutron: others have Docker networks there`);
      return false;
    }
    if (found.description === LEFT_BEHIND) {
      const removal = neutron.networks.remove(found.id, { ...bounds, ifRevision: found.revision_number });
      await unlessInUse(removal, id, { network_id: found.id }, bounds);
      return false;
    }
    // Whoever made the network has no tag on it.
    const isOfMaker = (description: string): boolean =>
      found.description?.startsWith(OURS) === true && description !== key;
    for (const { id: subnet, description = '' } of made)
      if (!isOfMaker(description))
        await unlessInUse(
          neutron.subnets.remove(subnet, bounds),
          id,
          { network_id: found.id, fixed_ips: `subnet_id=${subnet}` },
          bounds,
        );
    return false;
  }

  /** Ports that are not ours keep it: then it stays. Ours are on their way out. @param where it has ports. */
  async function unlessInUse(
    removal: Promise<boolean>,
    id: NetworkId,
    where: { readonly network_id: string; readonly fixed_ips?: string },
    bounds: Bounds,
  ): Promise<void> {
    try {
      await removal;
    } catch (error) {
      if (detailsOf(error)?.status !== 409) throw error;
      const ports = await neutron.ports.list(where, { ...bounds, fields: ['device_owner', 'description'] });
      const others = ports.filter(
        ({ device_owner = '', description = '' }) => device_owner !== 'network:dhcp' && description !== `berth/${host}`,
      );
      if (others.length === 0) throw error;
      const what = where.fixed_ips === undefined ? 'the network' : 'a subnet of the network';
      left(
        id,
        `${what} ${where.network_id} stays in Neutron: ${others.length} port${others.length === 1 ? '' : 's'} of others are on it`,
      );
    }
  }

  return {
    async open(request, asked, bounds) {
      const earlier = networks.get(request.id);
      if (earlier !== undefined) {
        await begone(request.id);
        if (!(await departures.done(`network ${request.id}`, bounds)))
          throw new BerthError('OPENSTACK_TIMEOUT', 'what an earlier attempt has left in Neutron is not removed yet');
      }
      const wishes = wishesOf(request, asked);
      const pools = await wished.cutFrom(asked, wishes, bounds);
      const securityGroups = await wished.groups(wishes.securityGroups, bounds);
      const existing = await existingNetwork(neutron.subnets, wishes, bounds);
      const { network, subnets } =
        existing === undefined
          ? await create(request, pools, wishes, bounds)
          : await adopt(request, pools, { ...wishes, network: existing }, bounds);
      try {
        const settings = settingsOf(network, subnets, pools, wishes);
        for (const pool of pools) await book.pools.put({ ...pool, network: request.id });
        const adoptedPolicy = existing === undefined ? undefined : await wished.policy(wishes, bounds);
        return {
          ...settings,
          interfacePrefix: wishes.interfacePrefix ?? defaults.interfacePrefix,
          ...(securityGroups && { securityGroups: [...securityGroups] }),
          // Of a network that we have made, these are its own.
          ...(existing !== undefined && wishes.portSecurity !== undefined && { portSecurity: wishes.portSecurity }),
          ...(adoptedPolicy && { qosPolicy: adoptedPolicy }),
        };
      } catch (error) {
        await undo(request.id, error);
        throw error;
      }
    },

    async close(id) {
      for (const pool of book.pools.all()) if (pool.network === id) await book.pools.delete(pool.id);
      await begone(id);
    },

    async recover() {
      for (const record of networks.all()) {
        const { id, phase } = record;
        if (phase === 'making') await networks.put({ ...record, unanswered: now() }).then(() => begone(id));
        else if (phase === 'leaving') leave(record);
      }
    },
  };
}

/** @returns false when somebody has changed it since. */
async function unlessChanged(removal: Promise<void>): Promise<boolean> {
  try {
    await removal;
    return true;
  } catch (error) {
    if (error instanceof BerthError && error.code === 'NEUTRON_CHANGED') return false;
    throw error;
  }
}

const prefixName = ({ plugin }: NetworkRequest): string => (plugin === 'kuryr' ? 'kuryr' : 'berth');

/** Users give the same options to the driver and to IPAM, or to either. @throws BerthError BAD_OPTION */
function wishesOf({ options }: NetworkRequest, pools: readonly PoolRecord[]): Wishes {
  const wishes = [...pools.map((pool) => readWishes(pool.options)), readWishes(options)];
  return {
    ...Object.assign({}, ...wishes),
    subnets: Object.assign({}, ...wishes.map(({ subnets }) => subnets)),
    pools: Object.assign({}, ...wishes.map((one) => one.pools)),
  };
}

function settingsOf(network: Network, subnets: readonly Subnet[], pools: readonly PoolRecord[], wishes: Wishes) {
  const carried = network.mtu ?? ETHERNET_MTU;
  if (wishes.mtu !== undefined && wishes.mtu > carried)
    throw new BerthError(
      'BAD_OPTION',
      `the network of Neutron carries packets of ${carried} bytes, not of mtu=${wishes.mtu}`,
    );
  return {
    network: network.id,
    mtu: wishes.mtu ?? carried,
    subnets: pools.map((pool, index): SubnetSettings => {
      const subnet = subnets[index]!;
      const choose = choiceFor(pool, subnet);
      return {
        id: subnet.id,
        prefix: subnet.cidr,
        ...(subnet.gateway_ip && { gateway: subnet.gateway_ip }),
        pool: pool.id,
        routes: (subnet.host_routes ?? []).map(({ destination, nexthop }) => ({ destination, via: nexthop })),
        ...(choose && { choose }),
      };
    }),
  };
}

/** Undefined where all that Neutron would give out is what Docker's network may have. */
function choiceFor({ subnet, range, gateway, auxiliary }: PoolRecord, { allocation_pools = [], gateway_ip }: Subnet) {
  // Docker's network may have another gateway than the subnet, which has its own all the same.
  const own = parseAddress(gateway_ip ?? '');
  const kept = [...auxiliary, ...(gateway === undefined ? [] : [gateway.address]), ...(own === undefined ? [] : [own])];
  const [usable] = freeRanges(subnet, range);
  if (usable === undefined) return undefined;
  const { first, last } = usable;
  const given = allocation_pools.map(({ start, end }) => ({ start: parseAddress(start)!, end: parseAddress(end)! }));
  const isOurs = given.every(
    ({ start, end }) =>
      start.value >= first.value &&
      end.value <= last.value &&
      !kept.some(({ value }) => value >= start.value && value <= end.value),
  );
  if (isOurs && given.length > 0) return undefined;
  return { first: formatAddress(first), last: formatAddress(last), except: kept.map(formatAddress) };
}
