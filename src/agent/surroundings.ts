/** What fabrics are told of the host, the engine and the other networks when they decide. */

import type { ClusterView } from '../fabric/cluster/view.ts';
import type { FabricContext, FabricDefaults, Notes } from '../fabric/fabric.ts';
import type { NeutronView } from '../fabric/neutron/view.ts';
import type { HostView, Kernel } from '../kernel/kernel.ts';
import type { Events } from './events.ts';
import type { HostFacts } from './host.ts';
import type { State } from './state.ts';

export interface SurroundingsParts {
  readonly state: State;
  readonly kernel: Kernel;
  readonly host: HostFacts;
  readonly notes: Notes;
  readonly events: Events;
  readonly defaults: FabricDefaults;
  /** Absent: this host is alone. */
  readonly cluster?: ClusterView | undefined;
  /** Absent: no plugin of this host is for Neutron. */
  readonly neutron?: NeutronView | undefined;
  engineRefusesGateway(): boolean;
}

export interface Surroundings {
  context(): FabricContext;
  /** The bridges that the engine has made for networks of its own, as it last told. */
  learnBridges(bridges: readonly string[]): void;
  /** Called when the engine's bridges are others than before. */
  onBridges(listener: () => void): void;
}

/** libnetwork `drivers/bridge`: `br-` and the first 12 characters of the network's id, unless an option names another. */
const ENGINE_BRIDGE = /^br-[0-9a-f]{12}$/;
/** Those of its networks that every engine has; fabrics know them. */
const KNOWN_BRIDGES = ['docker0', 'docker_gwbridge'];

export function createSurroundings(parts: SurroundingsParts): Surroundings {
  const { state, host } = parts;
  const listeners: (() => void)[] = [];
  let told: readonly string[] = [];
  let seen: { view: HostView; told: readonly string[]; bridges: readonly string[] } | undefined;
  let announced = '';

  /** Asked for by every call, and looked for only in a new view of a host that may have thousands of links. */
  function engineBridges(): readonly string[] {
    const view = host.current();
    if (seen?.view !== view || seen.told !== told) seen = { view, told, bridges: findEngineBridges(view, told) };
    return seen.bridges;
  }

  function compare(): void {
    const bridges = engineBridges().join();
    if (bridges === announced) return;
    announced = bridges;
    for (const listener of listeners) listener();
  }
  host.onChange(compare);

  return {
    context: () => ({
      kernel: parts.kernel,
      host: host.current(),
      notes: parts.notes,
      networks: [...state.networks.values()],
      endpointsOf: (id) => state.endpointsOf(id),
      defaults: parts.defaults,
      engineBridges: engineBridges(),
      engineRefusesGateway: parts.engineRefusesGateway(),
      tell: parts.events.emit,
      ...(parts.cluster === undefined ? {} : { cluster: parts.cluster }),
      ...(parts.neutron === undefined ? {} : { neutron: parts.neutron }),
    }),
    learnBridges(bridges) {
      told = bridges;
      compare();
    },
    onBridges: (listener) => listeners.push(listener),
  };
}

/** As told by the engine, and as seen on the host: a new one is there before the engine tells, or while it does not. */
function findEngineBridges({ links, routes }: HostView, told: readonly string[]): readonly string[] {
  const named = links.filter(({ name, type }) => type === 'bridge' && ENGINE_BRIDGE.test(name)).map(({ name }) => name);
  // `dockerd --bridge=br0` may name the host's own way out, which stays open.
  const uplinks = new Set(routes.filter(({ via }) => via !== undefined).map(({ link }) => link));
  const others = told.filter((name) => !KNOWN_BRIDGES.includes(name) && !uplinks.has(name));
  return [...new Set([...named, ...others])].toSorted();
}
