/**
 * What a network has in the kernel besides its endpoints: from its first one until a little after its last. Otherwise it costs
 * the host nothing. Networks on one segment (`Fabric.segment`) have it together.
 */

import type { FabricContext, Neighbour } from '../fabric/fabric.ts';
import { fabricOf } from '../fabric/fabrics.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { NetworkId } from '../model/ids.ts';
import type { FabricKind, Network } from '../model/network.ts';
import type { Background } from './background.ts';
import { keyedMutex } from './mutex.ts';
import { owners } from './owners.ts';
import { createRemotes } from './remotes.ts';
import type { State } from './state.ts';

export interface Carriage {
  /** Whether an endpoint is attached to it, or to another network on its segment; or it is needed without any. */
  carried(network: Network): boolean;
  /** Makes all that must be there before an endpoint comes up: the filter first. */
  apply(network: Network): Promise<void>;
  /** The network itself goes: removes all of it, unless another network on its segment has an endpoint. */
  withdraw(network: Network): Promise<void>;
  /** Removes what it had on a segment that it is no longer on: unlike with `withdraw`, the network itself stays. */
  leave(network: Network): Promise<void>;
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
  /**
   * Something has changed that a segment depends on: who is where on other hosts, or where this host is. The kernel follows in the
   * background, if the segment is carried.
   */
  refresh(segment: string): void;
  /** A container of ours is on a network no more. */
  left(network: Network, container: Neighbour): void;
  /** A network is new: it may be needed because of others. */
  follow(network: Network): void;
  /** The segments that are in the kernel now. */
  segments(): readonly string[];
  /** Called when `segments` has changed. */
  onSegments(listener: () => void): void;
  close(): void;
}

const segmentOf = (network: Network): string => fabricOf(network.fabric).segment?.(network) ?? network.id;

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
  const lingering = new Map<string, NodeJS.Timeout>();
  /** Segments that are in the kernel, or on their way. */
  const present = new Set<string>();
  /** Networks that are being removed: nothing needs them any more, though their records are still there. */
  const going = new Set<NetworkId>();
  /** Those that are about to be made because of another. */
  const coming = new Set<string>();
  const listeners: (() => void)[] = [];
  const remotes = createRemotes(kernel, context);

  const ofKind = (kind: FabricKind): Network[] =>
    [...state.networks.values()].filter((network) => network.fabric === kind && !going.has(network.id));
  const kinds = (): Set<FabricKind> => new Set([...state.networks.values()].map((network) => network.fabric));

  function siblings(network: Network): readonly Network[] {
    const { segment } = fabricOf(network.fabric);
    const shared = segment?.(network);
    if (shared === undefined) return [network];
    return ofKind(network.fabric).filter((other) => other.id === network.id || segment?.(other) === shared);
  }

  const hasEndpoints = (networks: readonly Network[], now: FabricContext): boolean =>
    networks.some((network) => state.carries(network.id) || fabricOf(network.fabric).needed?.(network, now) === true);
  const carried = (network: Network): boolean => hasEndpoints(siblings(network), context());

  /** In one pass: asked for at each start of a container, on a host that may have thousands of networks. */
  function carriedNetworks(kind: FabricKind, now = context()): Network[] {
    const all = ofKind(kind);
    const segments = new Set(lingering.keys());
    for (const network of all) if (hasEndpoints([network], now)) segments.add(segmentOf(network));
    return all.filter((network) => segments.has(segmentOf(network)));
  }

  function note(segment: string, there: boolean): void {
    if (present.has(segment) === there) return;
    if (there) present.add(segment);
    else present.delete(segment);
    for (const listener of listeners) listener();
  }

  async function make(network: Network): Promise<void> {
    const fabric = fabricOf(network.fabric);
    const segment = segmentOf(network);
    const now = context();
    const sharing = new Map([...carriedNetworks(fabric.kind, now), network].map((one) => [one.id, one]));
    await kernel.apply(owners.shared(fabric.kind), fabric.desiredShared([...sharing.values()], now));
    await kernel.apply(owners.network(segment), fabric.desiredNetwork(network, now));
    note(segment, true);
    followNeeds(fabric.kind);
  }

  /** @param on the networks that keep it there, if they have endpoints. */
  async function withdraw(network: Network, on: readonly Network[]): Promise<void> {
    const fabric = fabricOf(network.fabric);
    const segment = segmentOf(network);
    clearTimeout(lingering.get(segment));
    lingering.delete(segment);
    if (hasEndpoints(on, context())) return;
    // At once, so that what goes with its link is not removed one by one.
    await Promise.all([
      kernel.remove(owners.network(segment), fabric.desiredNetwork(network, context())),
      remotes.remove(segment),
    ]);
    note(segment, false);
    // Not this one: its last endpoint may just have begun to let it linger.
    const rest = carriedNetworks(fabric.kind).filter((other) => segmentOf(other) !== segment);
    if (rest.length === 0) await kernel.remove(owners.shared(fabric.kind), fabric.desiredShared([network], context()));
    else await kernel.apply(owners.shared(fabric.kind), fabric.desiredShared(rest, context()));
    followNeeds(fabric.kind);
  }

  /** One network may be needed because of another. */
  function followNeeds(kind: FabricKind): void {
    if (fabricOf(kind).needed === undefined) return;
    const segments = new Set(carriedNetworks(kind).map(segmentOf));
    for (const network of ofKind(kind)) {
      const segment = segmentOf(network);
      const wanted = segments.has(segment);
      if (wanted && !present.has(segment) && !coming.has(segment)) {
        coming.add(segment);
        void later(network, () => makeIfCarried(network)).then(() => coming.delete(segment));
      }
      if (!wanted && present.has(segment) && !lingering.has(segment)) linger(network);
    }
  }

  const later = (network: Network, work: () => Promise<void>): Promise<void> =>
    background.later(`cannot tell the kernel of the network ${network.id.slice(0, 12)}`, () =>
      mutex.run(segmentOf(network), work),
    );

  async function makeIfCarried(network: Network): Promise<void> {
    if (
      !state.networks.has(network.id) ||
      going.has(network.id) ||
      !(lingering.has(segmentOf(network)) || carried(network))
    )
      return;
    await make(network);
    await remotes.apply(segmentOf(network), network);
  }

  function declareShared(kind: FabricKind): void {
    const networks = carriedNetworks(kind);
    if (networks.length > 0) kernel.declare(owners.shared(kind), fabricOf(kind).desiredShared(networks, context()));
  }

  function linger(network: Network, least = 0): void {
    const segment = segmentOf(network);
    clearTimeout(lingering.get(segment));
    const timer = setTimeout(
      () => {
        void background.later(`cannot withdraw the network ${network.id.slice(0, 12)} from the kernel`, () =>
          mutex.run(segment, async () => {
            if (lingering.get(segment) !== timer) return;
            if (state.networks.has(network.id)) await withdraw(network, siblings(network));
            // Another network may be on the segment by now, and does not linger.
            else lingering.delete(segment);
          }),
        );
      },
      Math.max(parts.linger, least),
    );
    timer.unref();
    lingering.set(segment, timer);
  }

  return {
    carried,
    declareShared,
    linger,

    apply: (network) =>
      mutex.run(segmentOf(network), async () => {
        going.delete(network.id);
        await make(network);
        // No container waits for this: it is reached as soon as its peers are told.
        if (!remotes.knows(segmentOf(network))) void later(network, () => remotes.apply(segmentOf(network), network));
      }),

    withdraw: (network) =>
      mutex.run(segmentOf(network), () => {
        going.add(network.id);
        return withdraw(
          network,
          siblings(network).filter(({ id }) => id !== network.id),
        );
      }),

    leave: (network) =>
      mutex.run(segmentOf(network), () =>
        withdraw(
          network,
          siblings(network).filter(({ id }) => id !== network.id),
        ),
      ),

    declare(network) {
      if (!carried(network)) return;
      const segment = segmentOf(network);
      kernel.declare(owners.network(segment), fabricOf(network.fabric).desiredNetwork(network, context()));
      remotes.declare(segment, network);
      note(segment, true);
    },

    async sweep() {
      for (const network of state.networks.values()) {
        if (carried(network)) continue;
        await kernel.remove(
          owners.network(segmentOf(network)),
          fabricOf(network.fabric).desiredNetwork(network, context()),
        );
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

    refresh(segment) {
      const network = [...state.networks.values()].find((one) => segmentOf(one) === segment);
      if (network === undefined) return;
      void later(network, () => makeIfCarried(network));
      followNeeds(network.fabric);
    },

    left(network, container) {
      if (fabricOf(network.fabric).desiredRemotes !== undefined) remotes.left(segmentOf(network), container);
    },
    follow: ({ fabric }) => followNeeds(fabric),
    segments: () => [...present],
    onSegments: (listener) => void listeners.push(listener),

    close() {
      for (const timer of lingering.values()) clearTimeout(timer);
    },
  };
}
