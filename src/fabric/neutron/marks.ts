/**
 * Tags by which networks and subnets of Neutron are known as those of a Docker network: those of kuryr-libnetwork, and ours beside them
 * where engines share their networks, and a host must be able to find everything by what its engine tells it: the id of the pool, or
 * of the network. No tag is longer than 60 characters, which is what older releases take.
 */

import { type Address, formatAddress, parseAddress } from '../../model/address.ts';
import type { NetworkId, PoolId } from '../../model/ids.ts';
import { poolId } from '../../model/pool.ts';
import { formatPrefix, type Prefix, parsePrefix } from '../../model/prefix.ts';
import { type NetworkSettings, PUBLISH_WAYS } from './settings.ts';
import { OUR_TAGS } from './tags.ts';

const LOWER = 'kuryr.net.uuid.lh:';
const UPPER = 'kuryr.net.uuid.uh:';
const EXISTING = 'kuryr.net.existing:';
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** As kuryr marks a network, and a port by its endpoint: the id in halves (kuryr_libnetwork/utils.py, make_net_tags). */
export const kuryrMarks = (id: string): readonly string[] => [
  LOWER + id.slice(0, 32),
  ...(id.length > 32 ? [UPPER + id.slice(32)] : []),
];

/** As kuryr marks a network that was there before. */
export const existingMark = (id: NetworkId): string => EXISTING + id.slice(0, 12);

/** The one Docker network that a network of Neutron is of; undefined where there are none or several, or kuryr has not made it. */
export function onlyNetwork(tags: readonly string[]): NetworkId | undefined {
  const [lower, upper] = [LOWER, UPPER].map((mark) => tags.filter((tag) => tag.startsWith(mark)));
  if (lower!.length !== 1 || upper!.length > 1) return undefined;
  return (lower![0]!.slice(LOWER.length) + (upper![0]?.slice(UPPER.length) ?? '')) as NetworkId;
}

/** Whether Docker networks other than this one are marked on a network of Neutron. */
export function isUsedByOthers(tags: readonly string[], id: NetworkId): boolean {
  return tags.some(
    (tag) =>
      (tag.startsWith(OUR_TAGS) && !tag.endsWith(`:${id.slice(0, 12)}`)) ||
      (tag.startsWith(LOWER) && tag !== LOWER + id.slice(0, 32)) ||
      (tag.startsWith(EXISTING) && tag !== existingMark(id)),
  );
}

/** Whether a host of Berth's has made it for this network. */
export const isMadeFor = (
  id: NetworkId,
  { description = '' }: { readonly description?: string | undefined },
): boolean => description.startsWith('berth/') && description.endsWith(`/${id.slice(0, 12)}`);

/** The part of a pool's id that only it has. */
const ownPart = (pool: PoolId): string | undefined => /^neutron-([0-9a-f]{16})\//.exec(pool)?.[1];

/** By which the subnet of a pool is found. Of kuryr's pools, whose id is that of a subnet pool of Neutron, it is kuryr's own tag. */
export function poolMark(pool: PoolId): string | undefined {
  const own = ownPart(pool);
  if (own !== undefined) return `berth-pool:${own}`;
  return UUID.test(pool) ? pool : undefined;
}

/** What hosts must know of a network besides what Neutron knows. */
export interface SharedFacts {
  readonly internal: boolean;
  readonly mtu?: number;
  readonly interfacePrefix?: string;
  readonly securityGroups?: readonly string[];
  readonly portSecurity?: boolean;
  readonly qosPolicy?: string;
  /** The router that its maker has attached it to. */
  readonly router?: string;
  readonly floatingNetwork?: string;
  readonly publish?: NonNullable<NetworkSettings['publish']>;
  /** For published ports. */
  readonly floatingIp?: { readonly id: string; readonly address: string };
  /** Of containers, where they are not Neutron's. */
  readonly gateways: readonly Address[];
  readonly auxiliary: readonly Address[];
}

const ours = (id: NetworkId): string => `bnet:${id.slice(0, 12)}:`;

/** Tags of the network of Neutron. */
export function factMarks(id: NetworkId, facts: SharedFacts): readonly string[] {
  const { internal, mtu, interfacePrefix, securityGroups, portSecurity, qosPolicy, gateways, auxiliary } = facts;
  const { router, floatingNetwork, publish, floatingIp } = facts;
  const pairs: readonly (readonly [string, string | undefined])[] = [
    ['u', id.length > 32 ? id.slice(32) : undefined],
    ['n', internal ? '1' : undefined],
    ['m', mtu?.toString()],
    ['i', interfacePrefix],
    ['y', portSecurity === undefined ? undefined : portSecurity ? '1' : '0'],
    ['q', qosPolicy],
    ['w', router],
    ['f', floatingNetwork],
    ['b', publish],
    ['j', floatingIp?.id],
    ['k', floatingIp?.address],
    ...(securityGroups?.length === 0 ? ['none'] : (securityGroups ?? [])).map((group) => ['s', group] as const),
    ...gateways.map((address) => ['g', formatAddress(address)] as const),
    ...auxiliary.map((address) => ['a', formatAddress(address)] as const),
  ];
  return pairs.flatMap(([key, value]) => (value === undefined ? [] : [`${ours(id)}${key}=${value}`]));
}

function valuesIn(id: NetworkId, tags: readonly string[]): (key: string) => readonly string[] {
  const own = tags.filter((tag) => tag.startsWith(ours(id))).map((tag) => tag.slice(ours(id).length));
  return (key) => own.filter((tag) => tag.startsWith(`${key}=`)).map((tag) => tag.slice(key.length + 1));
}

export function readFacts(id: NetworkId, tags: readonly string[]): SharedFacts {
  const values = valuesIn(id, tags);
  const [mtu] = values('m').map(Number);
  const groups = values('s');
  const [interfacePrefix] = values('i');
  const [portSecurity] = values('y');
  const [qosPolicy] = values('q');
  const [router] = values('w');
  const [floatingNetwork] = values('f');
  const publish = PUBLISH_WAYS.find((way) => way === values('b')[0]);
  const [[floatingId], [floatingAddress]] = [values('j'), values('k')];
  const addresses = (key: string) => values(key).flatMap((text) => parseAddress(text) ?? []);
  return {
    internal: values('n').length > 0,
    ...(mtu !== undefined && Number.isInteger(mtu) && { mtu }),
    ...(interfacePrefix !== undefined && { interfacePrefix }),
    ...(groups.length > 0 && { securityGroups: groups.filter((group) => group !== 'none') }),
    ...(portSecurity !== undefined && { portSecurity: portSecurity === '1' }),
    ...(qosPolicy !== undefined && { qosPolicy }),
    ...(router !== undefined && { router }),
    ...(floatingNetwork !== undefined && { floatingNetwork }),
    ...(publish !== undefined && { publish }),
    ...(floatingId !== undefined &&
      floatingAddress !== undefined && { floatingIp: { id: floatingId, address: floatingAddress } }),
    gateways: addresses('g'),
    auxiliary: addresses('a'),
  };
}

/** Tags of the subnet that a pool has become part of. */
export function subnetMarks(
  id: NetworkId,
  pool: { readonly id: PoolId; readonly range?: Prefix | undefined },
): readonly string[] {
  const own = ownPart(pool.id);
  if (own === undefined) return UUID.test(pool.id) ? [pool.id] : [];
  const range = pool.range === undefined ? [] : [`${ours(id)}r=${formatPrefix(pool.range)}`];
  return [`berth-pool:${own}`, `${ours(id)}p=${own}`, ...range];
}

/** Whether kuryr has made or marked a network for Docker's, and not Berth. */
export const isKuryrs = (
  id: NetworkId,
  { tags = [], name }: { readonly tags?: readonly string[] | undefined; readonly name: string },
): boolean => !tags.some((tag) => tag.startsWith(ours(id))) && (tags.includes(kuryrMarks(id)[0]!) || name === id);

/** The pool that an engine knows a subnet by, where we have told others of it. */
export function poolOn(
  id: NetworkId,
  { cidr, tags = [] }: { readonly cidr: string; readonly tags?: readonly string[] | undefined },
): { readonly id: PoolId; readonly range?: Prefix } | undefined {
  const values = valuesIn(id, tags);
  const [own] = values('p');
  const prefix = parsePrefix(cidr);
  if (own === undefined || prefix === undefined) return undefined;
  const [range] = values('r').flatMap((text) => parsePrefix(text) ?? []);
  return { id: poolId(`neutron-${own}`, prefix, range), ...(range && { range }) };
}

/** The same of a subnet that is kuryr's: it gives Docker the id of a subnet pool, and tags the subnet with that. */
export function kuryrPoolOn({
  tags = [],
  subnetpool_id,
}: {
  readonly tags?: readonly string[] | undefined;
  readonly subnetpool_id?: string | undefined;
}): PoolId | undefined {
  const known = tags.filter((tag) => UUID.test(tag));
  return (known.find((tag) => tag === subnetpool_id) ?? known[0] ?? subnetpool_id) as PoolId | undefined;
}

/** Which Docker network a subnet with this pool's mark is of. */
export function networkOfPool(
  pool: PoolId,
  subnetTags: readonly string[],
  networkTags: readonly string[],
): NetworkId | undefined {
  const own = ownPart(pool);
  if (own === undefined) return onlyNetwork(networkTags);
  const short = subnetTags.map((tag) => /^bnet:([^:]{12}):p=(.*)$/.exec(tag)).find((match) => match?.[2] === own)?.[1];
  const lower = networkTags.find((tag) => short !== undefined && tag.startsWith(LOWER + short))?.slice(LOWER.length);
  if (lower === undefined) return undefined;
  const [upper = ''] = valuesIn(lower as NetworkId, networkTags)('u');
  return (lower + upper) as NetworkId;
}

/** All tags that mark this network, of a network or a subnet, with those of its pools. */
export function marksOf(id: NetworkId, tags: readonly string[]): readonly string[] {
  const pools = valuesIn(id, tags)('p').map((own) => `berth-pool:${own}`);
  const known = new Set([...kuryrMarks(id), existingMark(id), ...pools]);
  const isOurs = (tag: string) =>
    known.has(tag) || tag.startsWith(ours(id)) || (tag.startsWith(OUR_TAGS) && tag.endsWith(`:${id.slice(0, 12)}`));
  return tags.filter(isOurs);
}
