/** Who is meant by a name: containers on networks of Berth, on this host and on others, and hosts. */

import { clusterOf } from '../../fabric/cluster/settings.ts';
import { formatAddress } from '../../model/address.ts';
import { BerthError } from '../../model/errors.ts';
import { keys } from '../../model/keys.ts';
import type { Endpoint } from '../../model/network.ts';
import { type ClusterEndpoint, decodeClusterEndpoint, isHostEndpoint } from '../../objects/codec.ts';
import type { Store } from '../../store/store.ts';
import type { PartyView, ReachMembersView } from '../api.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Names } from '../names.ts';
import type { State } from '../state.ts';

export interface PartyParts {
  /** What this host is called. */
  readonly host: string;
  readonly state: State;
  readonly names: Names;
  /** Absent: this host is alone. */
  readonly cluster: Pick<Cluster, 'hosts' | 'view'> | undefined;
  /** That all hosts share. */
  readonly store: Store;
}

export interface Parties {
  /**
   * The two that are to reach each other, on one network where there is one that both are on.
   *
   * @param from NAME, HOST/NAME or HOST, and so is the other; a container of this host goes before another of the same name.
   * @throws BerthError CONTAINER_UNKNOWN, HOST_UNKNOWN, BAD_REQUEST when several are meant
   */
  pair(from: string, to: string): Promise<readonly [PartyView, PartyView]>;
  /**
   * All that are on a network, or in a group, on all hosts.
   *
   * @param network TENANT:NETWORK, NETWORK of the tenant default, NETWORK/TENANT, the same of a group, or a Docker network of this host.
   * @throws BerthError NETWORK_UNKNOWN
   */
  on(network: string): Promise<ReachMembersView>;
}

/** Keys read at a time. */
const PAGE = 1000;

export function createParties({ host, state, names, cluster, store }: PartyParts): Parties {
  function ofEndpoint(endpoint: Endpoint): PartyView {
    const network = state.networks.get(endpoint.network);
    const member = network === undefined ? undefined : clusterOf(network);
    const vtep = cluster?.view.vtep;
    return {
      kind: 'container',
      name: names.container(endpoint.id) ?? endpoint.id.slice(0, 12),
      host,
      endpoint: endpoint.id,
      network: member?.network ?? names.network(endpoint.network) ?? endpoint.network.slice(0, 12),
      addresses: endpoint.addresses.map(({ address }) => formatAddress(address)),
      mac: endpoint.mac,
      ...(vtep === undefined ? {} : { vtep: formatAddress(vtep) }),
    };
  }

  function ofRecord(record: ClusterEndpoint): PartyView {
    const { id, containerName, network, addresses, mac, vtep } = record;
    return {
      kind: 'container',
      name: containerName ?? id.slice(0, 12),
      host: record.host,
      endpoint: id,
      network,
      addresses,
      mac,
      ...(vtep === undefined ? {} : { vtep }),
    };
  }

  function ofHost(name: string): PartyView | undefined {
    const found = cluster?.hosts().find((one) => one.name === name);
    if (found === undefined) {
      if (name !== host) return undefined;
      return { kind: 'host', name, host, addresses: [] };
    }
    const vtep = found.vtep === undefined ? undefined : formatAddress(found.vtep);
    return {
      kind: 'host',
      name,
      host: name,
      addresses: vtep === undefined ? [] : [vtep],
      ...(vtep === undefined ? {} : { vtep }),
    };
  }

  const here = (name: string): PartyView[] =>
    [...state.endpoints.values()]
      .filter(({ id, phase }) => phase === 'attached' && isMeant(name, id, names.container(id), names.containerId(id)))
      .map(ofEndpoint);

  /** On the other hosts, or on one of them. */
  async function elsewhere(name: string, on: string | undefined): Promise<PartyView[]> {
    const found: PartyView[] = [];
    for await (const record of on === undefined ? everywhere() : toldBy(on)) {
      if (record.host !== host && isMeant(name, record.id, record.containerName, record.containerId))
        found.push(ofRecord(record));
    }
    return found;
  }

  async function* everywhere(prefix: string = keys.clusterEndpoints): AsyncGenerator<ClusterEndpoint> {
    let after: string | undefined;
    do {
      const page = await store.list(prefix, { limit: PAGE, ...(after === undefined ? {} : { after }) });
      // Hosts have addresses in some networks, and are no containers.
      for (const entry of page.entries) {
        const record = decodeClusterEndpoint(entry);
        if (!isHostEndpoint(record)) yield record;
      }
      after = page.more ? page.entries.at(-1)?.key : undefined;
    } while (after !== undefined);
  }

  async function* toldBy(on: string): AsyncGenerator<ClusterEndpoint> {
    const prefix = keys.hostEndpoints(on);
    const { entries } = await store.list(prefix);
    for (const { key, value: network } of entries) {
      const entry = await store.get(keys.clusterEndpoint(network, key.slice(prefix.length)));
      if (entry !== undefined) yield decodeClusterEndpoint(entry);
    }
  }

  async function find(wanted: string): Promise<readonly PartyView[]> {
    const shown = wanted.slice(0, 128);
    const slash = wanted.indexOf('/');
    if (slash >= 0) {
      const [on, name] = [wanted.slice(0, slash), wanted.slice(slash + 1)];
      if (ofHost(on) === undefined) throw new BerthError('HOST_UNKNOWN', `there is no host '${on.slice(0, 64)}'`);
      const found = on === host ? here(name) : await elsewhere(name, on);
      if (found.length > 0) return found;
      throw new BerthError(
        'CONTAINER_UNKNOWN',
        `the host ${on} has no container '${name.slice(0, 64)}' on a network of Berth`,
      );
    }
    const own = here(wanted);
    if (own.length > 0) return own;
    const machine = ofHost(wanted);
    if (machine !== undefined) return [machine];
    const found = cluster === undefined ? [] : await elsewhere(wanted, undefined);
    const hosts = [...new Set(found.map((party) => party.host))].toSorted();
    if (hosts.length > 1) {
      const names = hosts.map((one) => `${one}/${wanted}`).join(', ');
      throw new BerthError('BAD_REQUEST', `several hosts have a container '${shown}': say which, as ${names}`);
    }
    if (found.length > 0) return found;
    throw new BerthError(
      'CONTAINER_UNKNOWN',
      `there is no container '${shown}' on a network of Berth, nor a host of that name`,
    );
  }

  return {
    async pair(from, to) {
      const [one, other] = [await find(from), await find(to)];
      for (const a of one) {
        const b = other.find(({ network }) => network !== undefined && network === a.network);
        if (b !== undefined) return distinct(a, b);
      }
      return distinct(one[0]!, other[0]!);
    },

    async on(wanted) {
      const [name, tenant = 'default'] = wanted.split('/') as [string, string?];
      const keyOf = wanted.includes(':') ? wanted : `${tenant}:${name}`;
      const known = cluster?.view.network(keyOf);
      if (known !== undefined) {
        const members: PartyView[] = [];
        const group = known.group === undefined ? undefined : `${known.tenant}:${known.group}`;
        for await (const record of everywhere(keys.networkEndpoints(known.key)))
          if (group === undefined || record.group === group) members.push(ofRecord(record));
        return { network: known.key, ...(group === undefined ? {} : { group }), members };
      }
      const local = [...state.networks.values()].find(({ id }) => id === wanted || names.network(id) === wanted);
      if (local === undefined)
        throw new BerthError(
          'NETWORK_UNKNOWN',
          `there is no network '${wanted.slice(0, 128)}', here or in the cluster`,
        );
      const members = state.endpointsOf(local.id).filter(({ phase }) => phase === 'attached');
      return { network: names.network(local.id) ?? local.id, members: members.map(ofEndpoint) };
    },
  };
}

function isMeant(wanted: string, id: string, name: string | undefined, container: string | undefined): boolean {
  if (name === wanted) return true;
  return wanted.length >= 12 && (id.startsWith(wanted) || container?.startsWith(wanted) === true);
}

/** @throws BerthError BAD_REQUEST */
function distinct(from: PartyView, to: PartyView): readonly [PartyView, PartyView] {
  if (from.kind === to.kind && from.host === to.host && from.name === to.name)
    throw new BerthError('BAD_REQUEST', `${from.name} is both: name two that are to reach each other`);
  return [from, to];
}
