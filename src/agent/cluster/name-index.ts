/**
 * What the containers of a network of the cluster are called. The engine of each host knows its own containers, and stays the one to ask for
 * them: their names are found here only where it cannot know them.
 */

import { type DomainName, nameKey, parseName } from '../../dns/name.ts';
import type { Known } from '../../dns/server/respond.ts';
import { addressOfReverse } from '../../dns/server/reverse.ts';
import { type Address, formatAddress, parseAddress } from '../../model/address.ts';
import type { ClusterEndpoint } from '../../objects/codec.ts';

export interface NameIndex {
  /**
   * Undefined: no such name, or one that the engine of this host knows.
   *
   * @param group of the container that asks (`TENANT:GROUP`), if it is in one: an engine knows those of one Docker network.
   */
  find(name: DomainName, group: string | undefined): Known | undefined;
}

interface Holders {
  /** Whose own name it is, or the beginning of whose id. */
  readonly named: ClusterEndpoint[];
  readonly aliased: ClusterEndpoint[];
}

/** As many characters of a container's id as engines take for a name. */
const SHORT_ID = 12;

/**
 * @param network `TENANT:NETWORK`
 * @param host whose engine is asked for the containers of this host.
 */
export function indexNames(network: string, host: string, endpoints: readonly ClusterEndpoint[]): NameIndex {
  const holders = new Map<string, Holders>();
  const groups = new Map<string, ClusterEndpoint[]>();
  const byAddress = new Map<string, ClusterEndpoint>();
  const { tenant, name: networkName } = split(network);
  /** On the same Docker network as who asks, and so known to the engine. */
  const isBeside =
    (group: string | undefined) =>
    (endpoint: ClusterEndpoint): boolean =>
      endpoint.host === host && endpoint.group === group;

  const add = (name: string, how: keyof Holders, endpoint: ClusterEndpoint): void => {
    const key = keyOf(name);
    if (key === undefined) return;
    const held = holders.get(key) ?? { named: [], aliased: [] };
    if (held[how].at(-1) !== endpoint) held[how].push(endpoint);
    holders.set(key, held);
  };
  for (const endpoint of endpoints) {
    if (endpoint.containerName !== undefined) add(endpoint.containerName, 'named', endpoint);
    if (endpoint.containerId !== undefined) add(endpoint.containerId.slice(0, SHORT_ID), 'named', endpoint);
    for (const alias of endpoint.aliases ?? []) add(alias, 'aliased', endpoint);
    const group = endpoint.group === undefined ? undefined : keyOf(split(endpoint.group).name);
    if (group !== undefined) groups.set(group, [...(groups.get(group) ?? []), endpoint]);
    for (const address of endpoint.addresses) byAddress.set(address, endpoint);
  }

  /** A name alone. */
  function alone(key: string, from: string | undefined): readonly ClusterEndpoint[] | undefined {
    const { named = [], aliased = [] } = holders.get(key) ?? {};
    if (named.some(isBeside(from))) return undefined;
    if (named.length > 0) return named;
    if (aliased.length > 0) return aliased.every(isBeside(from)) ? undefined : aliased;
    return groups.get(key);
  }

  /** A name with its network's or its group's behind it, as engines write it: `web.shop`, or `web.shop/blue` of the tenant blue. */
  function qualified(key: string): readonly ClusterEndpoint[] | undefined {
    for (let dot = key.lastIndexOf('.'); dot > 0; dot = key.lastIndexOf('.', dot - 1)) {
      const written = key.slice(dot + 1);
      const tail = `/${nameKey(tenant as DomainName)}`;
      const suffix = written.endsWith(tail) ? written.slice(0, -tail.length) : written;
      const { named = [], aliased = [] } = holders.get(key.slice(0, dot)) ?? {};
      const found = named.length > 0 ? named : aliased;
      if (suffix === keyOf(networkName)) {
        if (found.length > 0) return found;
        const group = groups.get(key.slice(0, dot));
        if (group !== undefined) return group;
      }
      const members = found.filter(({ group }) => group !== undefined && keyOf(split(group).name) === suffix);
      if (members.length > 0) return members;
    }
    return undefined;
  }

  function pointer(address: Address, from: string | undefined): Known | undefined {
    const endpoint = byAddress.get(formatAddress(address));
    if (endpoint?.containerName === undefined || isBeside(from)(endpoint)) return undefined;
    const target = parseName(`${endpoint.containerName}.${networkName}`);
    return target === undefined ? undefined : { target };
  }

  return {
    find(name, group) {
      const address = addressOfReverse(name);
      if (address !== undefined) return pointer(address, group);
      const key = nameKey(name);
      const found = alone(key, group) ?? (holders.has(key) ? undefined : qualified(key));
      return found === undefined ? undefined : { addresses: addressesOf(found) };
    },
  };
}

const addressesOf = (endpoints: readonly ClusterEndpoint[]): readonly Address[] =>
  endpoints.flatMap(({ addresses }) => addresses.flatMap((text) => parseAddress(text) ?? []));

/** By which names are compared; undefined for what cannot be asked for. */
function keyOf(text: string): string | undefined {
  const name = parseName(text);
  return name === undefined ? undefined : nameKey(name);
}

function split(key: string): { readonly tenant: string; readonly name: string } {
  const colon = key.indexOf(':');
  return { tenant: key.slice(0, colon), name: key.slice(colon + 1) };
}
