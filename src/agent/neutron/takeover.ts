/**
 * Takes up a network that the engine has and that we have no record of: kuryr-libnetwork served it until now, or our store was lost. What
 * it is called and which containers are on it, the engine says; what stands for them, Neutron. Nothing there is changed.
 */

import type { EngineEndpoint, EngineNetwork, EngineSubnet } from '../../docker/engine.ts';
import { planContainer } from '../../fabric/container-options.ts';
import type { Book } from '../../fabric/neutron/book.ts';
import { wishesOf } from '../../fabric/neutron/describe.ts';
import type { Finding, Found } from '../../fabric/neutron/finding.ts';
import {
  existingMark,
  isKuryrs,
  isMadeFor,
  kuryrMarks,
  kuryrPoolOn,
  poolMark,
  poolOn,
} from '../../fabric/neutron/marks.ts';
import { markOf, type Networks } from '../../fabric/neutron/networks.ts';
import { networkOptions } from '../../fabric/neutron/options.ts';
import { findOutside, findWayOut, toldWayOut } from '../../fabric/neutron/outside-found.ts';
import { bindingOf } from '../../fabric/neutron/port-state.ts';
import type { NetworkRecord, PoolRecord, PortRecord } from '../../fabric/neutron/records.ts';
import type { NetworkSettings } from '../../fabric/neutron/settings.ts';
import { tagOf } from '../../fabric/neutron/tags.ts';
import { formatAddress, parseAddress } from '../../model/address.ts';
import { BerthError } from '../../model/errors.ts';
import type { NetworkId, PoolId } from '../../model/ids.ts';
import { parseMac } from '../../model/mac.ts';
import type { Endpoint, Json, Network, Subnet } from '../../model/network.ts';
import { readPoolId } from '../../model/pool.ts';
import { formatPrefix, type Prefix, parsePrefix, samePrefix } from '../../model/prefix.ts';
import { type Bounds, within } from '../../openstack/bounds.ts';
import type { Neutron } from '../../openstack/neutron/neutron.ts';
import type { Subnet as NeutronSubnet, Port } from '../../openstack/neutron/objects.ts';
import type { Events } from '../events.ts';
import type { Lifecycle } from '../lifecycle.ts';
import type { State } from '../state.ts';

export interface TakeoverParts {
  readonly state: Pick<State, 'networks'>;
  readonly lifecycle: Pick<Lifecycle, 'adopt'>;
  readonly book: Book;
  readonly finding: Finding;
  readonly networks: Pick<Networks, 'describe'>;
  readonly neutron: Pick<Neutron, 'subnetPools' | 'ports' | 'networks' | 'floatingIps' | 'portForwardings'>;
  readonly events: Pick<Events, 'emit'>;
  readonly host: string;
  /** How subnet pools are called that kuryr makes. */
  readonly kuryrPools: string;
  /** This host is a virtual machine of Neutron's, and containers are on its ports. */
  readonly nested: boolean;
  now(): number;
}

/** Of a container that runs. */
type HeldPort = PortRecord & { readonly port: string; readonly endpoint: Endpoint['id'] };

export interface Takeover {
  /** Whether a network of the engine's is to be taken up. */
  isUnknown(id: NetworkId): boolean;
  /**
   * Safe to repeat.
   *
   * @param shared its plugin is served in scope global.
   * @throws BerthError NEUTRON_NOT_FOUND when nothing in Neutron is marked as it, NEUTRON_…, OPENSTACK_…
   */
  adopt(seen: EngineNetwork, plugin: string, shared: boolean): Promise<void>;
}

/** Of a look at Neutron, with all containers of a network. Milliseconds. */
const PATIENCE = 30_000;
/** Pools whose ids nobody knows but the engine, which will name them when it next asks. */
const LOST = 'lost-';

export function createTakeover(parts: TakeoverParts): Takeover {
  const { state, lifecycle, book, finding, networks, neutron, events, host, now } = parts;

  const isUnknown = (id: NetworkId): boolean => !state.networks.has(id) || book.networks.get(id) === undefined;

  async function recordOf(found: Found, pools: readonly PoolRecord[], bounds: Bounds): Promise<NetworkRecord> {
    const { id, network, subnets } = found;
    const { tags = [] } = network;
    const key = markOf(host, id);
    const own: NetworkRecord = {
      id,
      phase: 'held',
      origin: 'created',
      key,
      network: network.id,
      subnets: [],
      tags: [],
    };
    if (isMadeFor(id, network)) return own;
    const made = subnets.filter((subnet) => isMadeFor(id, subnet)).map((subnet) => subnet.id);
    if (!isKuryrs(id, network))
      return { ...own, origin: 'adopted', subnets: made, tags: tags.filter((tag) => tag === tagOf(key)) };
    const ids = pools.map((pool) => pool.id as string);
    const ofKuryr = await neutron.subnetPools.list({ id: ids }, { ...bounds, fields: ['id', 'name', 'tags'] });
    const subnetPools = ofKuryr
      .filter((pool) => pool.name.startsWith(parts.kuryrPools) && pool.tags?.includes(EXISTING_POOL) !== true)
      .map((pool) => pool.id);
    if (!tags.includes(existingMark(id))) return { ...own, subnetPools };
    const ofItsPools = subnets.filter(
      ({ name, subnetpool_id: pool = '' }) => name.startsWith('kuryr-subnet-') && ids.includes(pool),
    );
    const others = subnets.filter((subnet) => !ofItsPools.includes(subnet));
    return {
      ...own,
      origin: 'adopted',
      subnets: [...made, ...ofItsPools.map((subnet) => subnet.id)],
      tags: [existingMark(id), ...kuryrMarks(id)],
      subnetTags: others.flatMap((subnet) =>
        ids.filter((tag) => subnet.tags?.includes(tag)).map((tag) => ({ subnet: subnet.id, tag })),
      ),
      subnetPools,
    };
  }

  function poolFor(
    found: Found,
    subnet: NeutronSubnet,
    told: EngineSubnet,
    options: PoolRecord['options'],
  ): PoolRecord {
    const { id } = found;
    const known = isKuryrs(id, found.network) ? kuryrPoolOn(subnet) : poolOn(id, subnet)?.id;
    const lost = `${LOST}${id.slice(0, 12)}/${formatPrefix(told.subnet).replace('/', '-')}` as PoolId;
    const gateway = told.gateway ?? parseAddress(subnet.gateway_ip ?? '');
    return {
      id: known ?? lost,
      subnet: told.subnet,
      ...(told.range && { range: told.range }),
      options,
      ...(gateway && { gateway: { address: gateway, chosen: false } }),
      auxiliary: Object.values(told.auxiliary),
      network: id,
      createdAt: now(),
    };
  }

  function holdingOf(
    network: Network,
    { subnets }: NetworkSettings,
    { id, addresses, mac, name }: EngineEndpoint,
    ports: readonly Port[],
  ): { readonly endpoint: Endpoint; readonly port: HeldPort } | undefined {
    const texts = addresses.map(({ address }) => formatAddress(address));
    const port = ports.find(({ fixed_ips = [] }) => fixed_ips.some(({ ip_address }) => texts.includes(ip_address)));
    const known = mac ?? parseMac(port?.mac_address ?? '');
    if (port === undefined || known === undefined) {
      const sentence = `the container ${name} has ${texts.join(', ') || 'no address'}, for which Neutron has no port`;
      events.emit('neutron.left', sentence, { network: network.id, endpoint: id });
      return undefined;
    }
    const binding = bindingOf(port, parts.nested);
    const held = (port.fixed_ips ?? []).flatMap(({ subnet_id, ip_address }) => {
      const subnet = subnets.find((one) => one.id === subnet_id);
      const address = parseAddress(ip_address);
      if (subnet === undefined || address === undefined) return [];
      const on = { address, length: parsePrefix(subnet.prefix)!.length };
      return [{ pool: subnet.pool as PoolId, on, taken: texts.includes(ip_address) }];
    });
    const settings = { ...(planContainer(network, {}) as object), port: port.id, vif: binding as unknown as Json };
    const endpoint: Endpoint = {
      id,
      network: network.id,
      phase: 'attached',
      addresses,
      mac: known,
      publishes: false,
      options: {},
      settings: settings as Json,
      createdAt: now(),
    };
    const { key, ...rest } = holdOf(port, id, host);
    return {
      endpoint,
      port: {
        key,
        phase: 'held',
        ...rest,
        network: network.id,
        port: port.id,
        mac: known,
        addresses: held,
        endpoint: id,
        binding,
        createdAt: now(),
      },
    };
  }

  return {
    isUnknown,

    async adopt(seen, plugin, shared) {
      // It has been made, or Docker has removed it, since the engine was asked.
      if (!isUnknown(seen.id) || book.networks.get(seen.id)?.phase === 'leaving') return;
      const bounds = within(PATIENCE);
      const found = await finding.byNetwork(seen.id, bounds);
      if (found === undefined)
        throw new BerthError('NEUTRON_NOT_FOUND', 'no network in Neutron is marked as this network of Docker');
      const told = seen.subnets.filter(({ subnet }) => subnet.length > 0);
      const options = known(seen.options);
      const of = told.map((one) => subnetOf(found, one));
      const pools = told.map((one, index) => poolFor(found, of[index]!, one, known(seen.ipamOptions)));
      const subnets = pools.map(
        ({ subnet, gateway }, index): Subnet => ({
          prefix: subnet,
          ...(gateway && { gateway: gateway.address }),
          auxiliary: told[index]!.auxiliary,
        }),
      );
      const plan = { id: seen.id, plugin, subnets, internal: seen.internal, options };
      const described = await networks.describe(plan, pools, { network: found.network, subnets: of }, bounds);
      const key = markOf(host, seen.id);
      const wayOut = shared
        ? toldWayOut(seen.id, found.network.tags ?? [])
        : await findWayOut(neutron, wishesOf(plan, pools), { key, network: found.network.id }, bounds);
      const settings = { ...described, ...wayOut.settings };
      const network: Network = {
        ...plan,
        fabric: 'neutron',
        leased: true,
        pools: pools.map((pool) => pool.id),
        settings,
        createdAt: now(),
      };
      const here = seen.endpoints.filter(({ container }) => !container.startsWith('ep-'));
      const ports = here.length === 0 ? [] : await finding.portsOn(found.network, bounds);
      const held = here.flatMap((endpoint) => holdingOf(network, settings, endpoint, ports) ?? []);
      const outside = await findOutside(
        neutron,
        host,
        wayOut.settings,
        held.map(({ port }) => port),
        bounds,
      );
      const record = { ...(await recordOf(found, pools, bounds)), ...wayOut.record };
      // The owners first: what has none goes from Neutron after a while. The network last: until it is there, all this is repeated.
      await lifecycle.adopt(
        network,
        held.map(({ endpoint }) => endpoint),
      );
      for (const { port } of held) await book.ports.put(port);
      for (const one of outside) await book.outside.put(one);
      for (const pool of pools) await book.pools.put(pool);
      await book.networks.put(shared ? { ...record, origin: 'shared' } : record);
    },
  };
}

const EXISTING_POOL = 'kuryr.subnetpool.existing';

/** Kuryr ignores options that it does not know. */
function known(options: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const names = new Set(networkOptions.flatMap(({ name, aliases = [] }) => [name, ...aliases]));
  return Object.fromEntries(Object.entries(options).filter(([name]) => names.has(name)));
}

/** Kuryr makes a subnet of Neutron of the range, where Docker has one. */
function subnetOf({ id, subnets }: Found, { subnet, range }: EngineSubnet): NeutronSubnet {
  const is = (wanted: Prefix | undefined) => (one: NeutronSubnet) => {
    const prefix = parsePrefix(one.cidr);
    return wanted !== undefined && prefix !== undefined && samePrefix(prefix, wanted);
  };
  const found = subnets.find(is(subnet)) ?? subnets.find(is(range));
  if (found !== undefined) return found;
  throw new BerthError(
    'NEUTRON_NOT_FOUND',
    `the network of Docker's ${id.slice(0, 12)} has no subnet ${formatPrefix(subnet)} in Neutron`,
  );
}

/** Whose a port is, and what it was before, as far as it can still be known. */
function holdOf(port: Port, endpoint: string, host: string): Pick<PortRecord, 'key' | 'origin' | 'before' | 'tags'> {
  const { tags = [], device_id = '', description, name, id } = port;
  const key = device_id === '' ? id : device_id;
  const isOurs = description === `berth/${host}` || tags.includes('compute:kuryr') || name === `${endpoint}-port`;
  if (isOurs) return { key, origin: 'created' };
  // Kuryr leaves the device alone, if a port had one.
  const device = device_id === endpoint || !tags.includes('kuryr.port.existing') ? '' : device_id;
  const marks = tags.filter((tag) => tag === 'kuryr.port.existing' || kuryrMarks(endpoint).includes(tag));
  return { key, origin: 'adopted', before: { device_id: device, device_owner: '', host: '' }, tags: marks };
}

/**
 * The pool that an engine names, of those whose ids were lost.
 *
 * @throws BerthError POOL_UNKNOWN when it may be either of several.
 */
export async function claimPool(
  { pools, ports }: Pick<Book, 'pools' | 'ports'>,
  id: PoolId,
  address?: string,
): Promise<PoolRecord | undefined> {
  const asked = readPoolId(id);
  if (asked === undefined || poolMark(id) === undefined) return undefined;
  const claimed = new Set(pools.all().flatMap((pool) => pool.as ?? []));
  const fitting = pools.all().filter((pool) => {
    if (!pool.id.startsWith(LOST) || claimed.has(pool.id) || !samePrefix(pool.subnet, asked.subnet)) return false;
    if (pool.range === undefined || asked.range === undefined) return pool.range === asked.range;
    return samePrefix(pool.range, asked.range);
  });
  const holds = (pool: PoolRecord) =>
    ports
      .all()
      .some(({ addresses }) =>
        addresses.some((one) => one.pool === pool.id && formatAddress(one.on.address) === address),
      );
  const [pool, ...others] = fitting.length > 1 && address !== undefined ? fitting.filter(holds) : fitting;
  if (pool === undefined) return undefined;
  if (others.length > 0)
    throw new BerthError(
      'POOL_UNKNOWN',
      `the pool ${id} may be that of any of ${others.length + 1} networks with the same subnet, whose records were lost`,
    );
  const alias = { ...pool, id, as: pool.id };
  await pools.put(alias);
  return alias;
}
