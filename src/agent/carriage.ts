/**
 * What a network has in the kernel besides its endpoints: from its first one until a little after its last. Otherwise it costs
 * the host nothing.
 */

import type { FabricContext } from '../fabric/fabric.ts';
import { fabricOf } from '../fabric/fabrics.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { NetworkId } from '../model/ids.ts';
import type { FabricKind, Network } from '../model/network.ts';
import type { Background } from './background.ts';
import { keyedMutex } from './mutex.ts';
import { owners } from './owners.ts';
import type { State } from './state.ts';

export interface Carriage {
  /** Whether an endpoint is attached. */
  carried(network: Network): boolean;
  /** Makes all that must be there before an endpoint comes up: the filter first. */
  apply(network: Network): Promise<void>;
  /** Removes it, unless an endpoint is attached. */
  withdraw(network: Network): Promise<void>;
  /**
   * The last endpoint is gone, or the first is yet to come: withdraws after a while, unless there is one then.
   *
   * @param least milliseconds; absent: as long as is configured.
   */
  linger(network: Network, least?: number): void;
  /** Says what must be there, when it is not known what is: the next audit looks. */
  declare(network: Network): void;
  declareShared(kind: FabricKind): void;
  /** Withdraws what an earlier process may have left of networks without endpoints. */
  sweep(): Promise<void>;
  /** What the networks of a fabric share depends on something that has changed. */
  refreshShared(): void;
  close(): void;
}

export interface CarriageParts {
  readonly state: State;
  readonly kernel: Kernel;
  readonly background: Background;
  context(): FabricContext;
  /** How long it outlives the last endpoint, so that `docker run --rm` in a loop does not make and remove it each time. Milliseconds. */
  readonly linger: number;
}

export function createCarriage(parts: CarriageParts): Carriage {
  const { state, kernel, background, context } = parts;
  const mutex = keyedMutex();
  const lingering = new Map<NetworkId, NodeJS.Timeout>();

  const carried = (network: Network): boolean => state.carries(network.id);
  const ofKind = (kind: FabricKind): Network[] =>
    [...state.networks.values()].filter((network) => network.fabric === kind);
  const kinds = (): Set<FabricKind> => new Set([...state.networks.values()].map((network) => network.fabric));
  const carriedNetworks = (kind: FabricKind): Network[] =>
    ofKind(kind).filter((network) => carried(network) || lingering.has(network.id));

  async function withdraw(network: Network): Promise<void> {
    const fabric = fabricOf(network.fabric);
    clearTimeout(lingering.get(network.id));
    lingering.delete(network.id);
    if (carried(network)) return;
    await kernel.remove(owners.network(network.id), fabric.desiredNetwork(network, context()));
    // Not this one: its last endpoint may just have begun to let it linger.
    const rest = carriedNetworks(fabric.kind).filter(({ id }) => id !== network.id);
    if (rest.length === 0) await kernel.remove(owners.shared(fabric.kind), fabric.desiredShared([network], context()));
    else await kernel.apply(owners.shared(fabric.kind), fabric.desiredShared(rest, context()));
  }

  function declareShared(kind: FabricKind): void {
    const networks = carriedNetworks(kind);
    if (networks.length > 0) kernel.declare(owners.shared(kind), fabricOf(kind).desiredShared(networks, context()));
  }

  return {
    carried,
    declareShared,

    apply: (network) =>
      mutex.run(network.id, async () => {
        const fabric = fabricOf(network.fabric);
        const now = context();
        const sharing = new Map([...carriedNetworks(fabric.kind), network].map((one) => [one.id, one]));
        await kernel.apply(owners.shared(fabric.kind), fabric.desiredShared([...sharing.values()], now));
        await kernel.apply(owners.network(network.id), fabric.desiredNetwork(network, now));
      }),

    withdraw: (network) => mutex.run(network.id, () => withdraw(network)),

    linger(network, least = 0) {
      clearTimeout(lingering.get(network.id));
      const timer = setTimeout(
        () => {
          void background.later(`cannot withdraw the network ${network.id.slice(0, 12)} from the kernel`, () =>
            mutex.run(network.id, async () => {
              if (state.networks.has(network.id) && lingering.get(network.id) === timer) await withdraw(network);
            }),
          );
        },
        Math.max(parts.linger, least),
      );
      timer.unref();
      lingering.set(network.id, timer);
    },

    declare(network) {
      if (!carried(network)) return;
      kernel.declare(owners.network(network.id), fabricOf(network.fabric).desiredNetwork(network, context()));
    },

    async sweep() {
      for (const network of state.networks.values()) {
        if (carried(network)) continue;
        await kernel.remove(owners.network(network.id), fabricOf(network.fabric).desiredNetwork(network, context()));
      }
      for (const kind of kinds()) {
        if (carriedNetworks(kind).length > 0) continue;
        await kernel.remove(owners.shared(kind), fabricOf(kind).desiredShared(ofKind(kind), context()));
      }
    },

    refreshShared() {
      for (const kind of kinds()) {
        if (carriedNetworks(kind).length === 0) continue;
        void background.later("cannot tell the packet filter of the engine's bridges", () =>
          kernel.apply(owners.shared(kind), fabricOf(kind).desiredShared(carriedNetworks(kind), context())),
        );
      }
    },

    close() {
      for (const timer of lingering.values()) clearTimeout(timer);
    },
  };
}
