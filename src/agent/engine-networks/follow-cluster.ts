/** The engine's Docker networks follow the cluster's objects, and the objects the Docker networks that users make. */

import type { IpamDriver, NetworkDriver } from '../../docker/driver.ts';
import type { Engine } from '../../docker/engine.ts';
import { pluginName } from '../../docker/plugin-name.ts';
import type { Ipam } from '../../ipam/ipam.ts';
import { asBerthError } from '../../model/errors.ts';
import { keys, SCHEMA_VERSION } from '../../model/keys.ts';
import type { Lease } from '../../model/pool.ts';
import { hostHolder } from '../../objects/codec.ts';
import type { Store } from '../../store/store.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Collector } from '../collector.ts';
import type { PluginConfig } from '../config.ts';
import type { Events } from '../events.ts';
import type { Lifecycle } from '../lifecycle.ts';
import type { State } from '../state.ts';
import { withAdoptedPools } from './adopted-pools.ts';
import { createAdopting } from './adopting.ts';
import { createEngineNetworks, type EngineNetworks } from './engine-networks.ts';
import { moveLeases } from './move-leases.ts';
import { withSharedNetworks } from './shared-driver.ts';
import { openSharedNetworks } from './shared-networks.ts';

export interface ClusterFollowing extends Omit<EngineNetworks, 'look'> {
  /** The plugin's answers, with what the cluster adds to them. */
  network(driver: NetworkDriver): NetworkDriver;
  ipam(driver: IpamDriver): IpamDriver;
}

export interface FollowClusterParts {
  readonly cluster: Cluster | undefined;
  /** That all hosts share. */
  readonly store: Store;
  readonly plugins: ReadonlyMap<string, PluginConfig>;
  readonly engine: Pick<Engine, 'networks' | 'createNetwork' | 'removeNetwork'>;
  readonly state: State;
  readonly lifecycle: Lifecycle;
  readonly ipam: Ipam;
  readonly events: Events;
  /** It is made after this. */
  collector(): Pick<Collector, 'engine' | 'networkGone'>;
  /** The engine keeps this agent as a managed plugin: with scope global, it is in a swarm. */
  readonly managed: boolean;
  /** Milliseconds between passes without any reason. */
  readonly interval: number;
  now(): number;
  monotonic(): number;
}

/** Seconds until another host may make networks when the one that was at it has died. */
const TTL = 120;

/** Where there is no cluster, or no plugin of ours for its networks, it does nothing. */
export function followCluster(parts: FollowClusterParts): ClusterFollowing {
  const { cluster, plugins, engine, store, state, lifecycle, events } = parts;
  const engineNow = () => parts.collector().engine();
  // From before the host was in a cluster its leases name its engine.
  const isOwn = (lease: Lease) => [cluster && hostHolder(cluster.host), engineNow().id].includes(lease.engine);
  const ours = [...plugins.values()].filter(({ fabric }) => fabric === 'cluster');
  const plugin = ours.find(({ scope }) => scope === 'local') ?? ours[0];
  if (cluster === undefined || plugin === undefined) return nothing;
  const { host, registry, objects } = cluster;
  const shared = openSharedNetworks(store, events);
  const driver = plugin.name;
  const inSwarm = parts.managed && plugin.scope === 'global';
  const { interval, now, monotonic } = parts;
  const adopting = createAdopting({
    host,
    driver,
    store,
    registry,
    shared,
    state,
    lifecycle,
    moveLeases: (network, key) => {
      // What all engines have has one pool, of which containers of any host may have got an address by now.
      const isEverybodys = plugins.get(network.plugin)?.scope === 'global';
      return moveLeases({ ipam: parts.ipam, isOwn: (lease) => isEverybodys || isOwn(lease) }, network, key);
    },
    events,
    monotonic,
  });
  const networks = createEngineNetworks({
    engine: plugin.scope === 'global' ? forSwarm(engine, engineNow) : engine,
    events,
    interval,
    monotonic,
    objects,
    driver,
    ...(inSwarm ? {} : { adopting }),
    ready() {
      const { reachable, strange, info } = engineNow();
      // In a swarm, networks of scope global are made by managers, for all nodes.
      const other = plugin.scope === 'global' && info?.swarm === true && !info.manager;
      return reachable && !strange && !other;
    },
    ...(plugin.scope === 'global' ? { alone: (work) => alone(store, host, work) } : {}),
  });
  cluster.onObjects(networks.look);
  shared.onChange(networks.look);
  shared.onGone(({ id, scope, name }) => {
    if (scope !== 'global') return;
    const gone = parts.collector().networkGone(id);
    gone.catch((error: unknown) => {
      const which = name === '' ? id.slice(0, 12) : name;
      events.emit(
        'cluster.failed',
        `cannot remove the network ${which}, which has gone: ${asBerthError(error).message}`,
      );
    });
  });
  return {
    hear: networks.hear,
    problems: networks.problems,
    // A swarm tells each node of its networks, and its leader what becomes of them.
    network: (of) =>
      inSwarm
        ? of
        : withSharedNetworks(of, { host, plugins, shared, state, lifecycle, removed: adopting.removed, now }),
    ipam: (of) => (inSwarm ? of : withAdoptedPools(of, { state, shared: shared.all })),
    async close() {
      await networks.close();
      await shared.close();
    },
  };
}

const nothing: ClusterFollowing = {
  hear: () => undefined,
  problems: () => [],
  network: (driver) => driver,
  ipam: (driver) => driver,
  close: () => Promise.resolve(),
};

async function alone(store: Store, host: string, work: () => Promise<void>): Promise<boolean> {
  const lease = await store.grantLease(TTL);
  try {
    const key = keys.dockerNetworkMaker;
    const value = JSON.stringify({ version: SCHEMA_VERSION, host });
    const { committed } = await store.transact({
      if: [{ key, is: 'absent' }],
      then: [{ do: 'put', key, value, lease }],
    });
    if (committed) await work();
    return committed;
  } finally {
    await store.revokeLease(lease).catch(() => undefined);
  }
}

/** The engine of a swarm's manager: a managed plugin has a full name there, and networks are for containers that are no tasks, too. */
function forSwarm(
  engine: FollowClusterParts['engine'],
  engineNow: () => ReturnType<Collector['engine']>,
): FollowClusterParts['engine'] {
  const fullName = (name: string, drivers: readonly string[]) =>
    drivers.find((driver) => driver !== name && pluginName(driver) === name) ?? name;
  return {
    networks: (inspect) => engine.networks(inspect),
    removeNetwork: (id) => engine.removeNetwork(id),
    async createNetwork(network) {
      const { info } = engineNow();
      if (info?.swarm !== true) return engine.createNetwork(network);
      const [driver, ipamDriver] = [network.driver, network.ipamDriver].map((name) => fullName(name, info.drivers));
      try {
        return await engine.createNetwork({ ...network, driver: driver!, ipamDriver: ipamDriver!, attachable: true });
      } catch (error) {
        // Another manager was faster.
        const theirs = (await engine.networks(() => false)).find(
          ({ name, scope }) => name === network.name && scope === 'swarm',
        );
        if (theirs === undefined) throw error;
        return theirs.id;
      }
    },
  };
}
