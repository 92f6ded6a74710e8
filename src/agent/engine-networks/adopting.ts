/**
 * Docker networks that users make on a host of the cluster (`docker network create -d berth …`) become networks of the cluster: the
 * agent learns their names from the engine afterwards, makes the objects, and the other hosts make theirs. Whatever is in the way is
 * told, and the network stays one of this host alone.
 */

import type { EngineNetwork } from '../../docker/engine.ts';
import { clusterOf } from '../../fabric/cluster/settings.ts';
import { fabricOf } from '../../fabric/fabrics.ts';
import { asBerthError, BerthError } from '../../model/errors.ts';
import type { NetworkId } from '../../model/ids.ts';
import type { Network } from '../../model/network.ts';
import type { Objects } from '../../model/objects/kind.ts';
import { kindOf } from '../../model/objects/kinds.ts';
import { samePrefix } from '../../model/prefix.ts';
import type { Registry } from '../../objects/registry.ts';
import { networkEndpoints } from '../../objects/usage.ts';
import type { Store } from '../../store/store.ts';
import type { Events } from '../events.ts';
import type { Lifecycle } from '../lifecycle.ts';
import type { State } from '../state.ts';
import { isSameNetwork, type NewObject, objectOf } from './new-object.ts';
import { createRetries } from './retries.ts';
import type { SharedNetwork, SharedNetworks } from './shared-networks.ts';
import { labels } from './wanted.ts';

export interface Adopting {
  /** What Docker networks have become, by their ids: `network TENANT:NETWORK`. */
  adopted(): ReadonlyMap<string, string>;
  /**
   * Sees all that the engine has.
   *
   * @returns whether what the cluster has is about to be another: then nothing is to follow from it yet.
   */
  listed(listed: readonly EngineNetwork[], objects: Objects): Promise<boolean>;
  /** A user has removed a Docker network that all engines had. */
  removed(gone: SharedNetwork): void;
  /** A sentence for each network that cannot be the cluster's. */
  problems(): readonly string[];
  /** Milliseconds until something is worth another try. */
  wait(): number | undefined;
}

export interface AdoptingParts {
  /** What this host is called. */
  readonly host: string;
  /** Name of the plugin that networks of the cluster are made with. */
  readonly driver: string;
  readonly store: Store;
  readonly registry: Pick<Registry, 'put' | 'delete' | 'current'>;
  readonly shared: Pick<SharedNetworks, 'all' | 'put' | 'delete'>;
  readonly state: Pick<State, 'networks'>;
  readonly lifecycle: Pick<Lifecycle, 'become' | 'context'>;
  /** Gives the addresses that containers of a network have here the same in the cluster. @throws BerthError ADDRESS_TAKEN: none are. */
  moveLeases(network: Network, key: string): Promise<void>;
  readonly events: Pick<Events, 'emit'>;
  monotonic(): number;
}

export function createAdopting(parts: AdoptingParts): Adopting {
  const { host, driver, store, registry, shared, state, lifecycle, events } = parts;
  const retries = createRetries(parts.monotonic);

  /** What a cluster without any settings is given: it works without `netctl global set`. */
  async function ensureDefaults(objects: Objects): Promise<void> {
    const global = objects.get('global', 'global')?.config;
    if (global === undefined || global.fwdMode === '')
      await registry.put(kindOf('global'), 'global', { name: 'global', fwdMode: 'bridge' });
    if (objects.get('tenant', 'default') === undefined)
      await registry.put(kindOf('tenant'), 'default', { tenantName: 'default' });
  }

  /** One that is to be known to the others: made by a user, served by us alone, and open. */
  function isCandidate(seen: EngineNetwork, local: Network): boolean {
    return (
      seen.driver === driver &&
      seen.labels[labels.network] === undefined &&
      local.options.network === undefined &&
      clusterOf(local) === undefined &&
      !seen.internal &&
      // Swarm tells its nodes of its networks itself.
      seen.scope !== 'swarm' &&
      seen.subnets.length > 0
    );
  }

  async function makeObject(seen: EngineNetwork, local: Network): Promise<NewObject> {
    if (seen.ipamDriver !== driver) {
      throw new BerthError(
        'OBJECT_INVALID',
        `its addresses are given by the IPAM driver ${seen.ipamDriver}, which knows nothing of other hosts: make it with --ipam-driver ${driver}`,
      );
    }
    const made = objectOf(
      seen,
      seen.subnets.map((subnet) => {
        const gateway = local.subnets.find(({ prefix }) => samePrefix(prefix, subnet.subnet))?.gateway;
        return gateway === undefined ? subnet : { ...subnet, gateway };
      }),
    );
    const objects = await registry.current();
    const existing = objects.get('network', made.key);
    if (existing !== undefined && isSameNetwork(existing, made)) return made;
    if (existing !== undefined)
      throw new BerthError('OBJECT_CONFLICT', `the cluster has another network ${made.key} already`);
    await ensureDefaults(objects);
    await registry.put(kindOf('network'), made.key, made.body, 'none');
    return made;
  }

  async function become(local: Network, key: string): Promise<void> {
    const [tenant, network] = key.split(':') as [string, string];
    const context = lifecycle.context();
    const networks = context.networks.filter(({ id }) => id !== local.id);
    const { id, plugin, subnets, internal } = local;
    const options = { ...local.options, tenant, network };
    const settings = await fabricOf(local.fabric).planNetwork(
      { id, plugin, subnets, internal, options },
      { ...context, networks },
    );
    await parts.moveLeases(local, key);
    await lifecycle.become(id, settings);
  }

  /** @returns whether the cluster is another by that. */
  async function adopt(seen: EngineNetwork, local: Network, objects: Objects): Promise<boolean> {
    const known = shared.all()?.get(seen.id);
    const key = known?.network ?? (await makeObject(seen, local)).key;
    // The fabric plans by what the agent has heard of.
    if (objects.get('network', key) === undefined) return true;
    await become(local, key);
    if (known?.network !== key) await shared.put(sharedRecord(seen, local, key));
    events.emit('network.shared', `the Docker network ${seen.name} is the network ${key} of the cluster now`, {
      network: seen.id,
    });
    return false;
  }

  function sharedRecord(seen: EngineNetwork, local: Network, network: string): SharedNetwork {
    const { id, plugin, subnets, leased, internal, options } = local;
    const scope = seen.scope === 'local' ? 'local' : 'global';
    const pools = local.pools ?? [];
    return { id, host, name: seen.name, network, scope, plugin, subnets, leased, pools, internal, options };
  }

  /**
   * A user has removed the Docker network on the host on which it was made.
   *
   * @returns whether the cluster is another by that.
   */
  async function removed(gone: SharedNetwork, network: string): Promise<boolean> {
    try {
      await registry.delete(kindOf('network'), network);
      events.emit('network.unshared', `the network ${network} was removed from the cluster: its Docker network was`, {
        network: gone.id,
      });
    } catch (error) {
      const { code, message } = asBerthError(error);
      if (code === 'OBJECT_IN_USE') {
        const endpoints = await networkEndpoints(store, network);
        const others = new Set(endpoints.map((endpoint) => endpoint.host).filter((name) => name !== host));
        // That our own containers have gone is told a moment later.
        if (endpoints.length > 0 && others.size === 0) throw error;
        const why = others.size > 0 ? `containers of ${[...others].join(', ')} are on it` : message;
        events.emit('network.kept', `the network ${network} stays, and is made again here: ${why}`, {
          network: gone.id,
        });
      } else if (code !== 'OBJECT_UNKNOWN') throw error;
    }
    await shared.delete(gone.id);
    return true;
  }

  async function attempt(key: string, what: string, work: () => Promise<boolean>): Promise<boolean> {
    if (!retries.due(key)) return false;
    try {
      const changed = await work();
      retries.done(key);
      return changed;
    } catch (error) {
      const { code, message } = asBerthError(error);
      const sentence = `${what}: ${message}`;
      if (retries.failed(key, sentence) && code !== 'STORE_UNAVAILABLE') events.emit('network.unshared', sentence);
      return false;
    }
  }

  return {
    adopted() {
      const adopted = new Map<string, string>();
      for (const { id, network } of shared.all()?.values() ?? [])
        if (network !== undefined) adopted.set(id, `network ${network}`);
      return adopted;
    },

    async listed(listed, objects) {
      const known = shared.all();
      if (known === undefined) return true;
      const ids = new Set<NetworkId>(listed.map(({ id }) => id));
      const seenKeys = new Set<string>();
      let changed = false;
      for (const gone of known.values()) {
        const { id, network, scope } = gone;
        if (gone.host !== host || scope !== 'local' || network === undefined || ids.has(id)) continue;
        seenKeys.add(id);
        const what = `the network ${network}, whose Docker network was removed, cannot be deleted yet`;
        changed = (await attempt(id, what, () => removed(gone, network))) || changed;
      }
      for (const seen of listed) {
        const local = state.networks.get(seen.id);
        if (local === undefined) continue;
        // Addresses that were given out while it became the cluster's.
        const own = known.get(seen.id)?.network;
        if (own !== undefined && clusterOf(local) !== undefined)
          await parts.moveLeases(local, own).catch(() => undefined);
        if (!isCandidate(seen, local)) continue;
        seenKeys.add(seen.id);
        const what = `the Docker network ${seen.name} is of this host alone`;
        changed = (await attempt(seen.id, what, () => adopt(seen, local, objects))) || changed;
      }
      retries.keep(seenKeys);
      return changed;
    },

    removed(gone) {
      const { network, options } = gone;
      // What we made for an object is made again; what a user made goes with its object.
      if (network === undefined || options.network !== undefined) return;
      void removed(gone, network).catch((error: unknown) =>
        events.emit('network.kept', `the network ${network} cannot be deleted: ${asBerthError(error).message}`),
      );
    },

    problems: () => retries.sentences(),
    wait: () => retries.wait(),
  };
}
