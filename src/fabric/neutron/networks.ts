/**
 * Networks: made with two calls, or taken as they are and marked as used by this host. What this host has made goes with Docker's
 * network, unless somebody else uses it by then; what was there before is left as it was.
 */

import { BerthError } from '../../model/errors.ts';
import type { NetworkId } from '../../model/ids.ts';
import type { Bounds } from '../../openstack/bounds.ts';
import { detailsOf } from '../../openstack/failure.ts';
import type { Neutron } from '../../openstack/neutron/neutron.ts';
import type { Network, Subnet } from '../../openstack/neutron/objects.ts';
import type { NetworkRequest } from '../fabric.ts';
import type { Book } from './book.ts';
import { AGAIN, type Departures } from './departures.ts';
import { createDescribing, wishesOf } from './describe.ts';
import { existingNetwork, findOrMakeSubnets } from './existing.ts';
import { findOne } from './find.ts';
import { leaveKuryrs, removePools } from './kuryr-removal.ts';
import { isUsedByOthers } from './marks.ts';
import { createNetworkWishes } from './network-wishes.ts';
import type { Reference, Wishes } from './options.ts';
import type { NetworkRecord, PoolRecord } from './records.ts';
import { closeWayOut, detachRouters, openWayOut, resolveWayOut, toBeMade } from './router.ts';
import type { NetworkSettings } from './settings.ts';
import { LEFT_BEHIND, mark, marksFor, withdraw } from './sharing.ts';
import { prefixName, subnetRequest } from './subnets.ts';
import { retag, tagOf } from './tags.ts';
import { leftToLook, mayYetBeDone, wasNotDone } from './unanswered.ts';

export interface NetworksParts {
  readonly book: Pick<Book, 'networks' | 'pools' | 'ports'>;
  readonly neutron: Pick<
    Neutron,
    'networks' | 'subnets' | 'subnetPools' | 'ports' | 'securityGroups' | 'qosPolicies' | 'routers' | 'floatingIps'
  >;
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
   * @param shared other engines have it as well, and hear nothing of its being made: they find it by its tags.
   * @throws BerthError BAD_OPTION, NEUTRON_…, OPENSTACK_…: then nothing of it stays in Neutron.
   */
  open(
    request: NetworkRequest,
    pools: readonly PoolRecord[],
    bounds: Bounds,
    shared?: boolean,
  ): Promise<NetworkSettings>;
  /** What containers on a network must know, as a user wants it. @param subnets of Neutron, in the order of the pools. */
  describe(
    request: NetworkRequest,
    pools: readonly PoolRecord[],
    found: { readonly network: Network; readonly subnets: readonly Subnet[] },
    bounds: Bounds,
  ): Promise<NetworkSettings>;
  /** Docker has no such network any more. Written down when it resolves; Neutron hears of it in the background. */
  close(network: NetworkId): Promise<void>;
  /** One that is shared is recorded, and so Docker's: from now on it goes when any of the engines removes it. */
  handOver(network: NetworkId): Promise<void>;
  /** The same as `close`, of a network that all engines had: whichever host has made it. */
  withdraw(network: NetworkId): Promise<void>;
  /** This host has nothing more to do with it. What all engines have stays in Neutron, for one of them has it removed. */
  leave(network: NetworkId): Promise<void>;
  recover(): Promise<void>;
}

/** Of whichever host. */
const OURS = 'berth/';
/** Milliseconds after which a network looks again whether its ports have gone. */
const PORTS_FIRST = 500;

/** How objects of a Docker network are known in Neutron: in the description of what we made, or by a tag on what was there (`tagOf`). */
export const markOf = (host: string, network: NetworkId): string => `berth/${host}/${network.slice(0, 12)}`;

export function createNetworks(parts: NetworksParts): Networks {
  const { book, neutron, departures, host, settle, now, defaults, left } = parts;
  const { networks } = book;
  const wished = createNetworkWishes(neutron);
  const describe = createDescribing(wished, defaults);

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
      const wanted = pools.map((pool) => subnetRequest(pool, key, network.id, wishes, request, defaults.dhcp));
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
    const key = markOf(host, request.id);
    const { network: wanted, shared } = wishes;
    const draft: NetworkRecord = {
      id: request.id,
      phase: 'making',
      origin: 'adopted',
      key,
      subnets: [],
      tags: [tagOf(key)],
    };
    // Its tag first: who leaves after this lets the subnets be. Where it is sure which network it is, that need not be waited for.
    const atOnce = 'uuid' in wanted && shared === undefined;
    const begin = async (network: string): Promise<void> => {
      await networks.put({ ...draft, network });
      await neutron.networks.addTag(network, tagOf(key), bounds);
    };
    let tagging: unknown;
    try {
      const [look, begun] = await Promise.allSettled([
        findOne(neutron.networks, 'network', wanted, bounds),
        atOnce ? begin(wanted.uuid) : undefined,
      ]);
      if (begun.status === 'rejected') tagging = begun.reason;
      if (look.status === 'rejected') throw look.reason;
      if (begun.status === 'rejected') throw tagging;
      const network = look.value;
      if (shared !== undefined && shared !== (network.shared ?? false))
        throw new BerthError(
          'BAD_OPTION',
          `the network '${network.name}' of Neutron is ${network.shared === true ? '' : 'not '}shared, other than neutron.net.shared says`,
        );
      if (!atOnce) await begin(network.id);
      const { subnets, made } = await findOrMakeSubnets(
        neutron.subnets,
        network,
        pools,
        wishes,
        (pool) => subnetRequest(pool, key, network.id, wishes, request, defaults.dhcp),
        bounds,
      );
      await networks.put({ ...draft, phase: 'held', network: network.id, subnets: made.map(({ id }) => id) });
      return { network, subnets };
    } catch (error) {
      await undo(request.id, mayYetBeDone(tagging) ? tagging : error);
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
  async function undo(id: NetworkId, failure: unknown): Promise<void> {
    // There is nothing to look for then.
    const isNothing = networks.get(id)?.network === undefined && wasNotDone(failure);
    await (isNothing ? networks.delete(id) : begone(id, failure)).catch(() => {});
  }

  function leave(record: NetworkRecord): void {
    const { id } = record;
    void departures.begin(`network ${id}`, async (bounds) => {
      const known = networks.get(id);
      if (known === undefined) return undefined;
      if (known.phase !== 'leaving') await networks.put(record);
      const current = known.phase === 'leaving' ? known : record;
      // Its ports are on their way out. Until they are, this host is on the network: whoever leaves last removes what is left of it.
      if (book.ports.all().some(({ network }) => network === id)) return PORTS_FIRST;
      // What of a shared one is to go stands in its tags, which `withdraw` needs.
      const isSettled =
        current.origin === 'shared' || (await closeWayOut(neutron, current, (sentence) => left(id, sentence), bounds));
      const found = await remove(current, bounds);
      const wait = found && isSettled ? undefined : leftToLook(current, settle, now());
      return wait ?? ((await networks.delete(id, current)) ? undefined : AGAIN);
    });
  }

  /** @returns whether there was one, as far as it may still come into being. */
  async function remove(record: NetworkRecord, bounds: Bounds): Promise<boolean> {
    const removal = { neutron, removing: unlessInUse, left };
    if (record.origin === 'adopted' && record.subnetPools !== undefined)
      return await leaveKuryrs(removal, record, bounds).then(() => true);
    if (record.origin === 'adopted') return await leaveAdopted(record, bounds);
    const found =
      record.origin === 'created'
        ? await removeCreated(record, bounds)
        : await withdraw(removal, record.id, bounds).then(() => true);
    await removePools(removal, record, bounds);
    return found;
  }

  /** @returns whether there was one. */
  async function removeCreated({ id, key, network, revision }: NetworkRecord, bounds: Bounds): Promise<boolean> {
    if (network !== undefined && revision !== undefined) {
      const removed = await unlessChanged(neutron.networks.remove(network, { ...bounds, ifRevision: revision }));
      if (removed) return true;
    }
    // Without an id, Neutron's answer never reached us, or was never given.
    const found =
      network === undefined
        ? await neutron.networks.list({ description: key }, bounds)
        : [await neutron.networks.get(network, bounds)];
    for (const one of found) {
      if (one === undefined) continue;
      if (isUsedByOthers(one.tags ?? [], id)) {
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

  /**
   * Our tag goes first: of two hosts that leave at the same time, at least one then finds that it is the last. The last takes away the
   * subnets of those that have left before, for whom somebody was still there.
   *
   * @returns false: none of what was asked for can be known not to come.
   */
  async function leaveAdopted(record: NetworkRecord, bounds: Bounds): Promise<boolean> {
    const { id, network, key, tags, subnetTags = [] } = record;
    for (const { subnet, tag } of subnetTags) await retag(neutron.subnets, subnet, { remove: [tag] }, bounds);
    if (subnetTags.length === 0) for (const tag of tags) await neutron.networks.removeTag(network!, tag, bounds);
    else await retag(neutron.networks, network!, { remove: tags }, bounds);
    const subnets = await neutron.subnets.list({ network_id: network! }, { ...bounds, fields: ['id', 'description'] });
    const made = subnets.filter(({ description = '' }) => description.startsWith(OURS));
    if (made.length === 0) return false;
    const found = await neutron.networks.get(network!, bounds);
    if (found === undefined) return false;
    if (isUsedByOthers(found.tags ?? [], id)) {
      left(id, `its subnets stay in the network ${found.id} of Neutron: others have Docker networks there`);
      return false;
    }
    if (found.description === LEFT_BEHIND) {
      await detachRouters(neutron, found.id, bounds);
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
        ({ device_owner = '', description = '' }) =>
          device_owner !== 'network:dhcp' &&
          // Of a network that all engines have, Docker has made sure that no container is left on any host.
          !(networks.get(id)?.origin === 'shared' ? description.startsWith('berth/') : description === `berth/${host}`),
      );
      if (others.length === 0) throw error;
      const what = where.fixed_ips === undefined ? 'the network' : 'a subnet of the network';
      left(
        id,
        `${what} ${where.network_id} stays in Neutron: ${others.length} port${others.length === 1 ? '' : 's'} of others are on it`,
      );
    }
  }

  async function close(id: NetworkId): Promise<void> {
    for (const pool of book.pools.all()) if (pool.network === id) await book.pools.delete(pool.id);
    await begone(id);
  }

  /** Written down before it is done: until all of it is, the network goes as one that is this host's alone. */
  async function share(
    request: NetworkRequest,
    pools: readonly PoolRecord[],
    settings: NetworkSettings & { readonly router?: string | undefined },
    made: { readonly network: Network; readonly subnets: readonly Subnet[] },
    bounds: Bounds,
  ): Promise<void> {
    const { revision: _changes, ...record } = networks.get(request.id)!;
    const existing = record.origin === 'adopted';
    const marks = marksFor(request, pools, settings, made.network.mtu, existing);
    const subnetTags = made.subnets.flatMap(({ id: subnet }, index) =>
      marks.subnets[index]!.map((tag) => ({ subnet, tag })),
    );
    const marked = existing ? { ...record, tags: [...record.tags, ...marks.network], subnetTags } : record;
    await networks.put({ ...marked, phase: 'making' });
    // Our own tag has been put on it meanwhile.
    const tags = [...(made.network.tags ?? []), ...record.tags];
    await mark(neutron, { ...made, network: { ...made.network, tags } }, marks, bounds);
    await networks.put({ ...marked, phase: 'held' });
  }

  return {
    async open(request, asked, bounds, shared = false) {
      const earlier = networks.get(request.id);
      if (earlier !== undefined) {
        await begone(request.id);
        if (!(await departures.done(`network ${request.id}`, bounds)))
          throw new BerthError('OPENSTACK_TIMEOUT', 'what an earlier attempt has left in Neutron is not removed yet');
      }
      const wishes = wishesOf(request, asked);
      const [pools, securityGroups, wayOut, existing] = await Promise.all([
        wished.cutFrom(asked, wishes, bounds),
        wished.groups(wishes.securityGroups, bounds),
        resolveWayOut(neutron, wishes, request, bounds),
        existingNetwork(neutron.subnets, wishes, bounds),
      ]);
      const { network, subnets } =
        existing === undefined
          ? await create(request, pools, wishes, bounds)
          : await adopt(request, pools, { ...wishes, network: existing }, bounds);
      try {
        const settings = await describe(wishes, pools, { network, subnets }, securityGroups, bounds);
        for (const pool of pools) await book.pools.put({ ...pool, network: request.id });
        const record = networks.get(request.id)!;
        if (wayOut !== undefined) await networks.put({ ...record, ...toBeMade(wayOut) });
        const whole = { ...settings, ...(wayOut && (await openWayOut(neutron, wayOut, record, settings, bounds))) };
        // Last: the other engines find it as soon as they are told.
        if (shared) await share(request, pools, { ...whole, router: wayOut?.router }, { network, subnets }, bounds);
        return whole;
      } catch (error) {
        await undo(request.id, error);
        throw error;
      }
    },

    async describe(request, pools, found, bounds) {
      const wishes = wishesOf(request, pools);
      return await describe(wishes, pools, found, await wished.groups(wishes.securityGroups, bounds), bounds);
    },

    close,

    async handOver(id) {
      const record = networks.get(id);
      if (record?.phase === 'held') await networks.put({ ...record, origin: 'shared' });
    },

    async withdraw(id) {
      const key = markOf(host, id);
      const known = networks.get(id);
      // Not yet told to others.
      if (known !== undefined && known.origin !== 'shared') return await close(id);
      if (known?.phase === 'leaving') return;
      const record: NetworkRecord = { key, subnets: [], tags: [], ...known, id, phase: 'leaving', origin: 'shared' };
      await networks.put(record);
      for (const pool of book.pools.all()) if (pool.network === id) await book.pools.delete(pool.id);
      leave(record);
    },

    async leave(id) {
      if (networks.get(id)?.origin !== 'shared') return await close(id);
      for (const pool of book.pools.all()) if (pool.network === id) await book.pools.delete(pool.id);
      if (networks.get(id)?.phase === 'held') await networks.delete(id);
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

/** @returns false when somebody has changed it since, or uses it: that Neutron finds out before it looks at the revision. */
async function unlessChanged(removal: Promise<unknown>): Promise<boolean> {
  try {
    await removal;
    return true;
  } catch (error) {
    const isChanged = error instanceof BerthError && error.code === 'NEUTRON_CHANGED';
    if (isChanged || detailsOf(error)?.status === 409) return false;
    throw error;
  }
}
