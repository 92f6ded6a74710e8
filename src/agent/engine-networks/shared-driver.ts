/**
 * Networks of all engines of a cluster store (Docker 20.10, `--cluster-store`): only one engine asks its plugin to make one, and only
 * the one that removes it says so. The others use an id that their plugins have never heard of.
 */

import type { NetworkDriver } from '../../docker/driver.ts';
import { fabricOf } from '../../fabric/fabrics.ts';
import type { NetworkId } from '../../model/ids.ts';
import type { Network } from '../../model/network.ts';
import type { PluginConfig } from '../config.ts';
import type { Lifecycle } from '../lifecycle.ts';
import type { State } from '../state.ts';
import { within } from '../within.ts';
import type { SharedNetwork, SharedNetworks } from './shared-networks.ts';

export interface SharedDriverParts {
  readonly host: string;
  readonly plugins: ReadonlyMap<string, PluginConfig>;
  readonly shared: Pick<SharedNetworks, 'all' | 'read' | 'put' | 'delete'>;
  readonly state: Pick<State, 'networks'>;
  readonly lifecycle: Pick<Lifecycle, 'addNetwork' | 'context' | 'serialise'>;
  /** Its Docker network was removed, and what it has become goes with it. */
  removed(network: SharedNetwork): void;
  now(): number;
}

/** Milliseconds that the store may take to tell of a network, of the 10 s that a call has. */
const PATIENCE = 4000;

export function withSharedNetworks(driver: NetworkDriver, parts: SharedDriverParts): NetworkDriver {
  const { shared, state, lifecycle } = parts;

  async function learn(id: NetworkId): Promise<void> {
    if (state.networks.has(id)) return;
    const record = await within(PATIENCE, shared.read(id));
    if (record?.scope !== 'global') return;
    await lifecycle.serialise(id, async () => {
      if (!state.networks.has(id)) await lifecycle.addNetwork(await networkOf(record));
    });
  }

  async function networkOf(record: SharedNetwork): Promise<Network> {
    const { id, plugin, subnets, leased, internal, options, pools, network: key } = record;
    const fabric = fabricOf(parts.plugins.get(plugin)?.fabric ?? 'cluster');
    const [tenant, network] = key?.split(':') ?? [];
    const become = tenant === undefined || network === undefined ? {} : { tenant, network };
    const request = { id, plugin, subnets, internal, options };
    const settings = await fabric.planNetwork({ ...request, options: { ...options, ...become } }, lifecycle.context());
    const on = pools.length === 0 ? {} : { pools: pools as Network['pools'] & readonly string[] };
    return { ...request, fabric: fabric.kind, leased, ...on, settings, createdAt: parts.now() };
  }

  return {
    ...driver,

    async createNetwork(request, call) {
      await driver.createNetwork(request, call);
      const network = state.networks.get(request.id);
      if (network === undefined || parts.plugins.get(call.plugin)?.scope !== 'global') return;
      const { id, plugin, subnets, leased, internal, options, pools = [] } = network;
      const record = { id, host: parts.host, name: '', scope: 'global' as const, plugin };
      try {
        await shared.put({ ...record, subnets, leased, pools, internal, options });
      } catch (error) {
        // A network that the others do not understand would be worse than none.
        await driver.deleteNetwork(id, call);
        throw error;
      }
    },

    async deleteNetwork(id, call) {
      const isGlobal = parts.plugins.get(call.plugin)?.scope === 'global';
      const record = isGlobal
        ? (shared.all()?.get(id) ?? (await within(PATIENCE, shared.read(id)).catch(() => undefined)))
        : undefined;
      await driver.deleteNetwork(id, call);
      if (record?.scope !== 'global') return;
      await shared.delete(id);
      parts.removed(record);
    },

    async createEndpoint(request, call) {
      await learn(request.network);
      return driver.createEndpoint(request, call);
    },

    async join(request, call) {
      await learn(request.network);
      return driver.join(request, call);
    },
  };
}
