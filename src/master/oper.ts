/** What the API tells of an object beside its configuration: `Oper` of inspect, in the order of Contiv's generated structures. */

import { isIPv4, isIPv6 } from 'node:net';
import { keys } from '../model/keys.ts';
import { countAppProfiles } from '../model/objects/aci-gateway.ts';
import { reservedRanges } from '../model/objects/group.ts';
import type { ClusterObject, Objects } from '../model/objects/kind.ts';
import { networkSubnet, tagsInUse } from '../model/objects/network.ts';
import {
  formatAddresses,
  formatTags,
  intersect,
  parseAddressRange,
  type Range,
  without,
} from '../model/objects/ranges.ts';
import { parseTagRange } from '../model/objects/tags.ts';
import { type ClusterEndpoint, decodeClusterEndpoint } from '../objects/codec.ts';
import { leasedAddresses, networkEndpoints } from '../objects/usage.ts';
import type { Store } from '../store/store.ts';

type View = Readonly<Record<string, unknown>>;

/** As Go's `omitempty`. */
function omitEmpty(view: View): View {
  const empty = (value: unknown) =>
    value === undefined || value === '' || value === 0 || (Array.isArray(value) && value.length === 0);
  return Object.fromEntries(Object.entries(view).filter(([, value]) => !empty(value)));
}

/** `TENANT:NAME` as `NAME.TENANT`. */
function tagOf(key: string, separator = '.'): string {
  const [tenant, name] = key.split(':') as [string, string];
  return `${name}${separator}${tenant}`;
}

export function endpointView(endpoint: ClusterEndpoint, objects: Objects): View {
  const { group, addresses, labels = {} } = endpoint;
  const shown = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return omitEmpty({
    containerID: endpoint.containerId,
    containerName: endpoint.containerName,
    endpointGroupId: group === undefined ? undefined : objects.get('endpointGroup', group)?.allocated.id,
    endpointGroupKey: group === undefined ? undefined : tagOf(group, ':'),
    endpointID: endpoint.id,
    homingHost: endpoint.host,
    intfName: endpoint.interface,
    ipAddress: [addresses.find(isIPv4) ?? '', addresses.find(isIPv6) ?? ''],
    labels: `map[${shown.map(([name, value]) => `${name}:${value}`).join(' ')}]`,
    macAddress: endpoint.mac,
    network: tagOf(endpoint.network),
    serviceName: group === undefined ? undefined : group.slice(group.indexOf(':') + 1),
    vtepIP: endpoint.vtep,
  });
}

interface Found {
  readonly endpoints: readonly ClusterEndpoint[];
  readonly leased: readonly Range[];
}

async function look(store: Store, network: ClusterObject): Promise<Found> {
  const [endpoints, leased] = await Promise.all([
    networkEndpoints(store, network.key),
    leasedAddresses(store, network),
  ]);
  return { endpoints, leased };
}

function networkOper(network: ClusterObject, { endpoints, leased }: Found, objects: Objects, withTag: boolean): View {
  const { hosts } = networkSubnet(network);
  const reserved = reservedRanges(network, objects);
  const taken = [...reserved, ...leased];
  const tag = network.allocated.tag;
  return omitEmpty({
    allocatedAddressesCount: leased.length,
    allocatedIPAddresses: formatAddresses(taken),
    availableIPAddresses: hosts === undefined ? '' : formatAddresses(without(hosts, taken)),
    endpoints: endpoints.map((endpoint) => endpointView(endpoint, objects)),
    externalPktTag: network.config.encap === 'vxlan' ? tag : undefined,
    networkTag: withTag ? network.config.cfgdTag || tagOf(network.key) : undefined,
    numEndpoints: endpoints.length,
    pktTag: tag,
  });
}

function groupOper(
  group: ClusterObject,
  network: ClusterObject,
  { endpoints, leased }: Found,
  objects: Objects,
  withTag: boolean,
): View {
  const pool = parseAddressRange(group.config.ipPool as string);
  const taken = pool === undefined ? [] : leased.flatMap((range) => intersect(range, pool) ?? []);
  const own = endpoints.filter((endpoint) => endpoint.group === group.key);
  const tag = network.allocated.tag;
  return omitEmpty({
    // Contiv leaves these out where a tenant lists its groups.
    allocatedIPAddresses: withTag ? formatAddresses(taken) : '',
    availableIPAddresses: withTag && pool !== undefined ? formatAddresses(without(pool, taken)) : '',
    endpoints: own.map((endpoint) => endpointView(endpoint, objects)),
    externalPktTag: network.config.encap === 'vxlan' ? tag : undefined,
    groupTag: withTag ? group.config.cfgdTag || tagOf(group.key) : undefined,
    numEndpoints: own.length,
    pktTag: tag,
  });
}

async function tenantOper(store: Store, tenant: ClusterObject, objects: Objects): Promise<View> {
  // Copies: what there is goes on changing while this waits for the store.
  const of = (kind: ClusterObject['kind']) => [...objects.ofTenant(kind, tenant.key)];
  const [groups, services] = [of('endpointGroup'), of('serviceLB')];
  const totals = {
    totalAppProfiles: of('appProfile').length,
    totalEPGs: groups.length,
    totalNetprofiles: of('netprofile').length,
    totalNetworks: of('network').length,
    totalPolicies: of('policy').length,
    totalServicelbs: services.length,
  };
  const networks = of('network');
  const found = new Map<unknown, Found & { readonly network: ClusterObject }>();
  for (const network of networks) found.set(network.config.networkName, { network, ...(await look(store, network)) });
  const endpoints = [...found.values()].reduce((sum, { endpoints }) => sum + endpoints.length, 0);
  return omitEmpty({
    endpointGroups: groups.map((group) => {
      const on = found.get(group.config.networkName)!;
      return groupOper(group, on.network, on, objects, false);
    }),
    networks: [...found.values()].map((of) => networkOper(of.network, of, objects, false)),
    servicelbs: services.map(serviceOper),
    ...totals,
    totalEndpoints: endpoints,
  });
}

function serviceOper({ allocated }: ClusterObject): View {
  return omitEmpty({ serviceVip: allocated.vip });
}

function globalOper({ config }: ClusterObject, objects: Objects, clusterMode: string): View {
  const sorted = (encap: 'vlan' | 'vxlan') => [...tagsInUse(objects, encap)].sort((a, b) => a - b);
  return omitEmpty({
    clusterMode,
    freeVXLANsStart: parseTagRange(config.vxlans as string, 'vxlan').least - 1,
    numNetworks: objects.list('network').length,
    vlansInUse: formatTags(sorted('vlan')),
    vxlansInUse: formatTags(sorted('vxlan')),
  });
}

async function policyOper(store: Store, policy: ClusterObject, objects: Objects): Promise<View> {
  const tenant = policy.config.tenantName as string;
  const groups = objects
    .ofTenant('endpointGroup', tenant)
    .filter(({ config }) => (config.policies as readonly string[]).includes(policy.config.policyName as string));
  const of = new Set(groups.map(({ key }) => key));
  const networks = new Set(groups.map(({ config }) => `${tenant}:${config.networkName as string}`));
  const endpoints: ClusterEndpoint[] = [];
  for (const network of networks) {
    const found = await networkEndpoints(store, network);
    endpoints.push(...found.filter(({ group }) => group !== undefined && of.has(group)));
  }
  return omitEmpty({
    endpoints: endpoints.map((endpoint) => endpointView(endpoint, objects)),
    numEndpoints: endpoints.length,
  });
}

/**
 * The state of an object; undefined for kinds that have none.
 *
 * @throws BerthError STORE_UNAVAILABLE, STORE_CORRUPT, STORE_NEWER
 */
export async function operOf(
  store: Store,
  object: ClusterObject,
  objects: Objects,
  clusterMode: string,
): Promise<View | undefined> {
  switch (object.kind) {
    case 'network':
      return networkOper(object, await look(store, object), objects, true);
    case 'endpointGroup': {
      const key = `${object.config.tenantName as string}:${object.config.networkName as string}`;
      const network = objects.get('network', key)!;
      return groupOper(object, network, await look(store, network), objects, true);
    }
    case 'tenant':
      return await tenantOper(store, object, objects);
    case 'serviceLB':
      return serviceOper(object);
    case 'global':
      return globalOper(object, objects, clusterMode);
    case 'policy':
      return await policyOper(store, object, objects);
    case 'aciGw':
      return omitEmpty({ numAppProfiles: countAppProfiles(objects) });
    case 'Bgp':
      return {};
    case 'appProfile':
    case 'extContractsGroup':
    case 'netprofile':
    case 'rule':
      return undefined;
  }
}

/**
 * Endpoints whose id, container's id or name contains a text, as Contiv finds them; all with an empty one.
 *
 * @throws BerthError STORE_UNAVAILABLE, STORE_CORRUPT, STORE_NEWER
 */
export async function findEndpoints(store: Store, text: string): Promise<ClusterEndpoint[]> {
  const { entries } = await store.list(keys.clusterEndpoints);
  return entries
    .map(decodeClusterEndpoint)
    .filter(({ id, containerId = '', containerName = '' }) =>
      [id, containerId, containerName].some((name) => name.includes(text)),
    );
}
