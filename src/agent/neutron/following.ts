/** Networks that another host has made, for engines that share them: known by their tags in Neutron as soon as a container needs them. */

import type { Book } from '../../fabric/neutron/book.ts';
import type { Finding, Found } from '../../fabric/neutron/finding.ts';
import { isKuryrs, kuryrPoolOn, poolOn, readFacts } from '../../fabric/neutron/marks.ts';
import { markOf, type Networks } from '../../fabric/neutron/networks.ts';
import type { PoolRecord } from '../../fabric/neutron/records.ts';
import { gatewayOn } from '../../fabric/neutron/sharing.ts';
import { parseAddress } from '../../model/address.ts';
import type { NetworkId, PoolId } from '../../model/ids.ts';
import type { Network, Subnet } from '../../model/network.ts';
import { contains, parsePrefix } from '../../model/prefix.ts';
import type { Bounds } from '../../openstack/bounds.ts';
import type { Lifecycle } from '../lifecycle.ts';
import type { State } from '../state.ts';

export interface FollowingParts {
  readonly state: Pick<State, 'networks'>;
  readonly lifecycle: Pick<Lifecycle, 'serialise' | 'addNetwork'>;
  readonly book: Book;
  readonly finding: Finding;
  readonly networks: Pick<Networks, 'describe'>;
  readonly host: string;
  now(): number;
}

export interface Following {
  /** The pool that an engine names and that nobody has asked for here. */
  pool(id: PoolId, plugin: string, bounds: Bounds): Promise<PoolRecord | undefined>;
  /** Whether there is such a network now. */
  network(id: NetworkId, plugin: string, bounds: Bounds): Promise<boolean>;
}

export function createFollowing(parts: FollowingParts): Following {
  const { state, lifecycle, book, finding, networks, host, now } = parts;

  async function take({ id, network: found, subnets: all }: Found, plugin: string, bounds: Bounds): Promise<void> {
    const facts = readFacts(id, found.tags ?? []);
    const told = all.flatMap((subnet) => {
      const kuryr = isKuryrs(id, found) ? kuryrPoolOn(subnet) : undefined;
      const pool = kuryr === undefined ? poolOn(id, subnet) : { id: kuryr };
      const prefix = parsePrefix(subnet.cidr);
      if (pool === undefined || prefix === undefined) return [];
      const auxiliary = facts.auxiliary.filter((address) => contains(prefix, address));
      const gateway = parseAddress(gatewayOn(subnet.cidr, subnet.gateway_ip, facts) ?? '');
      const record: PoolRecord = {
        ...pool,
        subnet: prefix,
        options: {},
        auxiliary,
        ...(gateway && { gateway: { address: gateway, chosen: false } }),
        network: id,
        createdAt: now(),
      };
      const names = auxiliary.map((address, index) => [`address-${index + 1}`, address] as const);
      const on: Subnet = { prefix, auxiliary: Object.fromEntries(names), ...(gateway && { gateway }) };
      return [{ subnet, record, on }];
    });
    const plan = { id, plugin, subnets: told.map(({ on }) => on), internal: facts.internal, options: {} };
    const pools = told.map(({ record }) => record);
    const of = { network: found, subnets: told.map(({ subnet }) => subnet) };
    const { internal: _said, gateways: _told, auxiliary: _kept, router: _attached, ...wanted } = facts;
    const settings = { ...(await networks.describe(plan, pools, of, bounds)), ...wanted } as Network['settings'];
    await book.networks.put({
      id,
      phase: 'held',
      origin: 'shared',
      key: markOf(host, id),
      network: found.id,
      subnets: [],
      tags: [],
    });
    for (const pool of pools) await book.pools.put(pool);
    await lifecycle.addNetwork({
      ...plan,
      fabric: 'neutron',
      leased: true,
      pools: pools.map((pool) => pool.id),
      settings,
      createdAt: now(),
    });
  }

  const once = (found: Found, plugin: string, bounds: Bounds): Promise<void> =>
    lifecycle.serialise(found.id, async () => {
      if (!state.networks.has(found.id)) await take(found, plugin, bounds);
    });

  return {
    async pool(id, plugin, bounds) {
      const found = await finding.byPool(id, bounds);
      if (found !== undefined) await once(found, plugin, bounds);
      return book.pools.get(id);
    },
    async network(id, plugin, bounds) {
      const found = await finding.byNetwork(id, bounds);
      if (found !== undefined) await once(found, plugin, bounds);
      return state.networks.has(id);
    },
  };
}
