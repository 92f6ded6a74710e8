/** How the agent is: what it counts, whether it is well, and all of it together for who asks. */

import { version } from '../model/version.ts';
import type { StatusView } from './api.ts';
import type { Attachments } from './attachments.ts';
import type { Auditor } from './auditor.ts';
import type { Cluster } from './cluster/cluster.ts';
import { clusterStatus } from './cluster/host-views.ts';
import type { Collector } from './collector.ts';
import type { Config, PluginConfig } from './config.ts';
import type { Conflicts } from './conflicts/conflicts.ts';
import type { Dhcp } from './dhcp/manager.ts';
import type { EngineNetworks } from './engine-networks/engine-networks.ts';
import type { Leases } from './leases.ts';
import type { Lifecycle } from './lifecycle.ts';
import type { Names } from './names.ts';
import type { NeutronService } from './neutron/service.ts';
import type { State } from './state.ts';
import type { StoreHealth } from './store-health.ts';
import { conflictView } from './views.ts';

export interface Status {
  counts(): StatusView['counts'];
  /** How many kernel objects are declared. */
  objects(): number;
  health(): { readonly healthy: boolean; readonly problems: string[] };
  view(): StatusView;
}

export interface StatusParts {
  readonly config: Config;
  readonly startedAt: Date;
  readonly state: State;
  /** Absent: this host is alone. */
  readonly cluster?: Cluster | undefined;
  /** Absent: no plugin is for it. */
  readonly neutron?: Pick<NeutronService, 'status' | 'problems' | 'pools' | 'leases'> | undefined;
  readonly engineNetworks: Pick<EngineNetworks, 'problems'>;
  readonly lifecycle: Lifecycle;
  readonly leases: Leases;
  readonly dhcp: Pick<Dhcp, 'leases' | 'problems'>;
  readonly names: Names;
  readonly conflicts: Pick<Conflicts, 'all'>;
  readonly attachments: Pick<Attachments, 'problems'>;
  readonly collector: Collector;
  readonly auditor: Auditor;
  readonly storeHealth: Pick<StoreHealth, 'problem' | 'revision'>;
  /** Where a plugin listens; undefined until it does. */
  addressOf(plugin: PluginConfig): string | undefined;
}

export function createStatus(parts: StatusParts): Status {
  const { config, state, lifecycle, leases, dhcp, names, conflicts, collector, auditor, storeHealth } = parts;

  function counts() {
    return {
      networks: state.networks.size,
      endpoints: state.endpoints.size,
      attachments: [...state.endpoints.values()].filter(({ attachment }) => attachment !== undefined).length,
      pools: leases.pools().length + (parts.neutron?.pools().length ?? 0),
      leases: leases.count() + dhcp.leases().length + (parts.neutron?.leases(names).length ?? 0),
    };
  }

  function objects(): number {
    const ofNetworks = [...state.networks.values()].map((network) => lifecycle.objectsOf(network).length);
    const ofEndpoints = [...state.endpoints.values()].map((endpoint) => lifecycle.objectsOfEndpoint(endpoint).length);
    return [...ofNetworks, ...ofEndpoints].reduce((sum, count) => sum + count, 0);
  }

  function health() {
    const problems: string[] = [];
    const engine = collector.engine();
    if (!engine.reachable) problems.push(`the engine at ${config.docker} does not answer`);
    if (engine.strange) {
      problems.push('the engine is not the one of before: nothing is freed until you say so with berth gc --apply');
    }
    problems.push(...dhcp.problems(), ...parts.attachments.problems(), ...parts.engineNetworks.problems());
    problems.push(...(parts.neutron?.problems() ?? []));
    const failure = storeHealth.problem();
    if (failure !== undefined) problems.push(failure);
    // Without its engine an agent has nothing to do, but without its store it can do nothing.
    return { healthy: failure === undefined, problems };
  }

  function view(): StatusView {
    const { info, reachable } = collector.engine();
    const { lastFullPass, drifts, repaired } = auditor.totals();
    return {
      ...health(),
      version,
      pid: process.pid,
      startedAt: parts.startedAt.toISOString(),
      stateDir: config.stateDir,
      store: { kind: config.store.kind, revision: storeHealth.revision() },
      engine: {
        address: config.docker,
        reachable,
        ...(info === undefined ? {} : { version: info.version, id: info.id }),
      },
      plugins: config.plugins.map((plugin) => ({
        name: plugin.name,
        fabric: plugin.fabric,
        scope: plugin.scope,
        address: parts.addressOf(plugin) ?? '',
      })),
      counts: counts(),
      audit: {
        ...(lastFullPass === undefined ? {} : { lastFullPass: lastFullPass.toISOString() }),
        drifts,
        repaired,
        objects: objects(),
      },
      journal: { pending: state.pending() },
      ...(parts.cluster === undefined ? {} : { cluster: clusterStatus(parts.cluster, config, state) }),
      ...(parts.neutron === undefined ? {} : { neutron: parts.neutron.status() }),
      conflicts: [...conflicts.all()].flatMap(([endpoint, each]) => {
        const container = names.container(endpoint);
        return each.map((one) => ({
          ...conflictView(one),
          endpoint,
          ...(container === undefined ? {} : { container }),
        }));
      }),
    };
  }

  return { counts, objects, health, view };
}
