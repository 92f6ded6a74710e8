/**
 * This host's part in the cluster: it tells the others what it has, and follows what they tell. What it knows is of a moment ago, and
 * stays as it was last while the shared store is away.
 */

import type { EngineContainer } from '../../docker/engine.ts';
import { hostMac } from '../../fabric/cluster/macs.ts';
import { segmentBridge } from '../../fabric/cluster/segment.ts';
import { type ClusterMember, clusterOf } from '../../fabric/cluster/settings.ts';
import { type ClusterView, clusterNetwork } from '../../fabric/cluster/view.ts';
import type { Notes } from '../../fabric/fabric.ts';
import { hostLink } from '../../fabric/veth.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { type Address, formatAddress } from '../../model/address.ts';
import { asBerthError } from '../../model/errors.ts';
import { keys } from '../../model/keys.ts';
import type { Endpoint, Network } from '../../model/network.ts';
import type { Objects } from '../../model/objects/kind.ts';
import { createObjectSet } from '../../model/objects/object-set.ts';
import { SWARM_TENANT } from '../../model/objects/tenant.ts';
import { poolId } from '../../model/pool.ts';
import { contains, type InterfaceAddress, type Prefix, prefixOf } from '../../model/prefix.ts';
import { version } from '../../model/version.ts';
import { type ClusterEndpoint, decodeObject, hostEndpoint, hostHolder, parseObjectKey } from '../../objects/codec.ts';
import { openRegistry, type Registry } from '../../objects/registry.ts';
import { mirror } from '../../store/mirror.ts';
import type { Store } from '../../store/store.ts';
import type { Config } from '../config.ts';
import type { Events } from '../events.ts';
import type { HostFacts } from '../host.ts';
import type { Names } from '../names.ts';
import type { State } from '../state.ts';
import { within } from '../within.ts';
import { createAliases } from './aliases.ts';
import { answers } from './answers.ts';
import { createEndpoints } from './endpoints.ts';
import { type ClusterHost, createHosts } from './hosts.ts';
import { joinCluster, type Membership } from './membership.ts';
import { type ClusterNames, serveClusterNames } from './names.ts';
import { type Announcement, createPublisher } from './publisher.ts';
import type { HostRecord } from './records.ts';
import { openRemotes } from './remotes.ts';
import { vtepOf } from './vtep.ts';

export interface Cluster {
  /** What this host is called. */
  readonly host: string;
  /** Reads and changes the objects themselves. */
  readonly registry: Registry;
  /** As last known; undefined until they have been read once. */
  objects(): Objects | undefined;
  onObjects(listener: () => void): void;
  /** Of all hosts, on a network (`TENANT:NETWORK`) that this host carries; none on others. */
  endpointsOn(network: string): readonly ClusterEndpoint[];
  onEndpoints(listener: (network: string) => void): void;
  /** Networks (`TENANT:NETWORK`) that are in this host's kernel, with a container on them or without: they are followed too. */
  carry(networks: readonly string[]): void;
  /** This host itself has these addresses in a network now. */
  hold(network: string, addresses: readonly InterfaceAddress[]): void;
  hosts(): readonly ClusterHost[];
  /** Where containers of a network are has changed, or where any are. */
  onRemotes(listener: (network: string | undefined) => void): void;
  readonly view: ClusterView;
  /**
   * Resolves when the others have been told what there is now, or that takes longer than anybody should wait for. An endpoint that goes is
   * taken back before the engine gives its addresses back: whoever has them next is told of afterwards.
   */
  told(): Promise<void>;
  /**
   * Tells and follows from now on.
   *
   * @throws BerthError STATE_LOCKED when another machine of this name is in the cluster.
   */
  start(): Promise<void>;
  close(): Promise<void>;
}

export interface ClusterParts {
  /** That all hosts share. */
  readonly store: Store;
  /** It did not answer when it was last asked. */
  away(): boolean;
  readonly config: Pick<Config, 'host' | 'vtep' | 'vxlanPort' | 'uplinks'>;
  readonly identity: string;
  readonly state: State;
  readonly names: Names;
  readonly kernel: Pick<Kernel, 'beforeResolver' | 'resolverStream'>;
  /** Asks the engine. @throws BerthError ENGINE_UNREACHABLE */
  container(id: string): Promise<EngineContainer | undefined>;
  readonly host: HostFacts;
  /** In this host's own store. */
  readonly notes: Notes;
  readonly events: Events;
  engine(): {
    /** Known also while it does not answer. */
    readonly id: string | undefined;
    readonly info?: { readonly id: string; readonly version: string };
  };
  now(): number;
  /** Milliseconds of a clock that nobody sets. */
  monotonic(): number;
}

/** Milliseconds that the engine is kept waiting for the others to be told. */
const TOLD = 500;

/** Reads what was known last. */
export async function createCluster(parts: ClusterParts): Promise<Cluster> {
  const { store, config, state, names, events, notes } = parts;
  const stop = new AbortController();
  const listeners = {
    objects: [] as (() => void)[],
    endpoints: [] as ((network: string) => void)[],
    remotes: [] as ((network: string | undefined) => void)[],
  };
  const vtep = (): Address | undefined => vtepOf(config.vtep, parts.host.current());
  const describe = (): HostRecord => {
    const [end, engine] = [vtep(), parts.engine().info];
    return {
      identity: parts.identity,
      berth: version,
      ...(end === undefined ? {} : { vtep: end }),
      ...(engine === undefined ? {} : { engine: { id: engine.id, version: engine.version } }),
    };
  };
  let membership: Membership | undefined;
  const hosts = createHosts({ store, host: config.host, events, answers, now: parts.now });
  const endpoints = createEndpoints(store, events);
  const remotes = await openRemotes({
    host: config.host,
    notes,
    events,
    endpointsOn: endpoints.on,
    hostOf: hosts.get,
  });
  const publisher = createPublisher({
    store,
    host: config.host,
    events,
    wanted: ownEndpoints,
    // From before the host was in a cluster its leases name its engine.
    owns: ({ engine }) => engine === hostHolder(config.host) || engine === parts.engine().id,
    monotonic: parts.monotonic,
  });
  const objects = createObjectSet();
  let objectsKnown = false;
  let following: Promise<unknown> = Promise.resolve();
  const aliases = createAliases({ state, names, container: parts.container });
  let clusterNames: ClusterNames | undefined;
  const registry = openRegistry(store, { now: parts.now });
  const endpointsOn = (network: string): readonly ClusterEndpoint[] => endpoints.on(network) ?? [];

  const own = new Map<string, readonly InterfaceAddress[]>();

  /** The keys of the leases of addresses; none in a network of a swarm, whose leader sees to it that each is given out once. */
  function leasesIn(
    network: string,
    addresses: readonly InterfaceAddress[],
    subnets: readonly Prefix[],
  ): ReadonlyMap<string, string> {
    if (network.startsWith(`${SWARM_TENANT}:`)) return new Map();
    return new Map(
      addresses.flatMap(({ address }) => {
        const subnet = subnets.find((one) => contains(one, address));
        return subnet === undefined ? [] : [[formatAddress(address), keys.lease(poolId(network, subnet), address)]];
      }),
    );
  }

  function hostEndpoints(): Announcement[] {
    const end = vtep();
    return [...own].map(([network, addresses]) => ({
      endpoint: {
        id: hostEndpoint(config.host, network),
        network,
        host: config.host,
        addresses: addresses.map(({ address }) => formatAddress(address)),
        mac: hostMac(addresses[0]!.address),
        interface: segmentBridge(network),
        ...(end === undefined ? {} : { vtep: formatAddress(end) }),
      },
      leases: leasesIn(network, addresses, addresses.map(prefixOf)),
    }));
  }

  /** The endpoints of this host on networks of the cluster, each with what its network is there and here. */
  function* members(): Generator<readonly [Endpoint, ClusterMember, Network]> {
    for (const endpoint of state.endpoints.values()) {
      const network = state.networks.get(endpoint.network);
      const member = network && clusterOf(network);
      if (network !== undefined && member !== undefined) yield [endpoint, member, network];
    }
  }

  /** What this host has on networks of the cluster. */
  function ownEndpoints(): Announcement[] {
    const end = vtep();
    const containers = [...members()].flatMap(([endpoint, member, { subnets }]): Announcement[] => {
      if (endpoint.phase === 'removing') return [];
      const [container, name] = [names.containerId(endpoint.id), names.container(endpoint.id)];
      const called = aliases.of(endpoint.id);
      const told = {
        id: endpoint.id,
        network: member.network,
        ...(member.group === undefined ? {} : { group: member.group }),
        host: config.host,
        addresses: endpoint.addresses.map(({ address }) => formatAddress(address)),
        mac: endpoint.mac,
        ...(container === undefined ? {} : { containerId: container }),
        ...(name === undefined ? {} : { containerName: name }),
        ...(called.length === 0 ? {} : { aliases: [...called] }),
        interface: hostLink(endpoint),
        ...(end === undefined ? {} : { vtep: formatAddress(end) }),
      };
      const prefixes = subnets.map(({ prefix }) => prefix);
      return [{ endpoint: told, leases: leasesIn(member.network, endpoint.addresses, prefixes) }];
    });
    return [...containers, ...hostEndpoints()];
  }

  let present: readonly string[] = [];
  function carried(): Set<string> {
    const networks = new Set(present);
    for (const [, { network }] of members()) networks.add(network);
    return networks;
  }

  function stateChanged(): void {
    endpoints.carry(carried());
    void publisher.update();
  }

  const followObjects = () =>
    mirror(
      {
        store,
        prefix: keys.objects,
        absorb(key, entry) {
          const name = parseObjectKey(key);
          if (name === undefined) return;
          try {
            const object = entry === undefined ? undefined : decodeObject(entry);
            if (object === undefined) objects.delete(name.kind, name.key);
            else objects.put(object);
          } catch (error) {
            events.emit('cluster.unreadable', asBerthError(error).message, { object: key });
          }
        },
        changed() {
          objectsKnown = true;
          for (const listener of listeners.objects) listener();
        },
      },
      stop.signal,
    );

  let ownVtep: string | undefined;
  parts.host.onChange(() => {
    const end = vtep();
    const shown = end === undefined ? undefined : formatAddress(end);
    if (shown === ownVtep) return;
    ownVtep = shown;
    void membership?.update();
    void publisher.update();
    for (const listener of listeners.remotes) listener(undefined);
  });
  state.onChange(stateChanged);
  names.onLearn(() => void publisher.update());
  aliases.onChange(() => void publisher.update());
  endpoints.onChange((network) => {
    remotes.changed(network);
    for (const listener of listeners.endpoints) listener(network);
    for (const listener of listeners.remotes) listener(network);
  });
  hosts.onChange(() => {
    remotes.changed();
    for (const listener of listeners.remotes) listener(undefined);
  });

  return {
    host: config.host,
    registry,
    objects: () => (objectsKnown ? objects : undefined),
    onObjects: (listener) => void listeners.objects.push(listener),
    endpointsOn,
    onEndpoints: (listener) => void listeners.endpoints.push(listener),
    carry(networks) {
      present = networks;
      endpoints.carry(carried());
    },
    hold(network, addresses) {
      if (addresses.length === 0) own.delete(network);
      else own.set(network, addresses);
      void publisher.update();
    },
    hosts: hosts.all,
    async told() {
      if (!parts.away()) await within(TOLD, publisher.update());
    },
    onRemotes: (listener) => void listeners.remotes.push(listener),
    view: {
      host: config.host,
      get vtep() {
        return vtep();
      },
      vxlanPort: config.vxlanPort,
      uplinks: config.uplinks,
      network: (key) => (objectsKnown ? clusterNetwork(objects, key) : undefined),
      remotes: remotes.of,
      complete: remotes.complete,
      hostAddresses: (key) => own.get(key) ?? [],
    },
    async start() {
      membership = await joinCluster({ store, away: parts.away, host: config.host, events, describe });
      const failed = (error: unknown): void => {
        if (!stop.signal.aborted)
          events.emit('cluster.failed', `cannot follow the cluster: ${asBerthError(error).message}`);
      };
      following = Promise.all([hosts.follow(stop.signal).catch(failed), followObjects().catch(failed)]);
      stateChanged();
      clusterNames = serveClusterNames({
        host: config.host,
        endpointsOn,
        onEndpoints: endpoints.onChange,
        state,
        kernel: parts.kernel,
        events,
        monotonic: parts.monotonic,
      });
    },
    async close() {
      await clusterNames?.close();
      publisher.close();
      registry.close();
      stop.abort();
      await following;
      await endpoints.close();
      await remotes.close();
      await membership?.leave();
    },
  };
}
