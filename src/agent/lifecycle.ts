/**
 * The life of networks and endpoints: intent to the store and the journal, then the kernel, then the answer. Every step is
 * safe to repeat; what is repeated after a crash or by Docker ends in the same state.
 */

import type { Fabric, FabricContext, JoinAnswer } from '../fabric/fabric.ts';
import { fabricOf } from '../fabric/fabrics.ts';
import { endpointAlias } from '../fabric/veth.ts';
import type { KernelObject } from '../kernel/objects.ts';
import type { EndpointId, NetworkId } from '../model/ids.ts';
import type { Endpoint, Json, Network } from '../model/network.ts';
import { createBackground } from './background.ts';
import { createCarriage } from './carriage.ts';
import { desiredOf } from './desired.ts';
import { followHostAddresses } from './host-addresses.ts';
import { keyedMutex } from './mutex.ts';
import { owners } from './owners.ts';
import { createSurroundings, type SurroundingsParts } from './surroundings.ts';
import { within } from './within.ts';

export interface Lifecycle {
  addNetwork(network: Network): Promise<void>;
  /**
   * Takes up a network whose record was lost, with the endpoints that run on it: says only what the kernel must have, for an
   * audit to look at. Safe to repeat; what fails changes nothing that is there.
   */
  adopt(network: Network, endpoints: readonly Endpoint[]): Promise<void>;
  /**
   * Gives a network other settings, also while containers run on it: their links are plugged into what it is now, and what it was is
   * removed. A network that is gone stays so.
   */
  become(id: NetworkId, settings: Json): Promise<void>;
  removeNetwork(id: NetworkId): Promise<void>;
  /** Makes what a network needs in the kernel before its first endpoint; it goes again when none comes. */
  prepare(id: NetworkId): Promise<void>;
  addEndpoint(endpoint: Endpoint): Promise<void>;
  attach(id: EndpointId, sandbox: string, publishes: boolean): Promise<JoinAnswer>;
  /**
   * The engine is about to unplug the container's interface and to delete the endpoint. After `ended` the link is removed at
   * once, in the background: the engine then finds no interface, and is spared to move it out of the container, in which the
   * kernel waits for a grace period (25 ms with every other change of a network in the system held up). While the container
   * still runs that must not be: engines up to 29 would look for the lost interface whenever its statistics are asked for.
   *
   * Resolves when the kernel is at it, or takes so long that the engine may as well do it itself.
   */
  detach(id: EndpointId, how: { readonly ended: boolean }): Promise<void>;
  /**
   * Plugs the container of an attachment in: its interface is there, with addresses and routes, when this resolves. Safe to repeat.
   *
   * @throws BerthError INTERFACE_UNKNOWN, KERNEL_REFUSED, …: nothing has been done.
   */
  plug(id: EndpointId, sandbox: string): Promise<void>;
  /** The container of an attachment does not run any more: what it had is gone when this resolves, and its record waits. */
  unplug(id: EndpointId): Promise<void>;
  /** Removes an endpoint for good; the kernel has nothing of it left when this resolves. */
  discard(id: EndpointId): Promise<void>;
  /** Written when it resolves; the kernel follows in the background. */
  removeEndpoint(id: EndpointId): Promise<void>;
  /**
   * Finishes what a crash interrupted, and declares everything that must stand. What cannot be finished now is tried again
   * later: an agent that did not serve would be worse.
   */
  recover(): Promise<void>;
  confirm(network: Network): Promise<void>;
  /** Runs the fabrics' chores now. */
  maintain(): Promise<void>;
  /** See `Carriage.refresh`, `segments` and `onSegments`. */
  refreshSegment(segment: string): void;
  segments(): readonly string[];
  onSegments(listener: () => void): void;
  context(): FabricContext;
  /** The bridges that the engine has made for networks of its own, as it last told. */
  learnBridges(bridges: readonly string[]): void;
  objectsOf(network: Network): readonly KernelObject[];
  objectsOfEndpoint(endpoint: Endpoint): readonly KernelObject[];
  /** One at a time per id, with everything else that happens to it. */
  serialise<Result>(id: string, work: () => Promise<Result>): Promise<Result>;
  /** Resolves when no kernel work is left in the background. */
  settled(): Promise<void>;
  close(): void;
}

export interface LifecycleParts extends SurroundingsParts {
  /** See `CarriageParts`. Milliseconds. */
  readonly linger: number;
}

const CHORES = "cannot do a fabric's chores";

/** The call that it was prepared for may take its 10 s, and the engine attaches the endpoint in another one. Milliseconds. */
const PREPARED = 15_000;
/** How long an engine waits for us to be at the removal of a link: about as long as it would need for it. Milliseconds. */
const AHEAD = 25;

export function createLifecycle(parts: LifecycleParts): Lifecycle {
  const { state, kernel, host, events } = parts;
  const mutex = keyedMutex();
  const background = createBackground(events);
  const { later } = background;
  const surroundings = createSurroundings(parts);
  const { context } = surroundings;
  const carriage = createCarriage({ state, kernel, background, context, linger: parts.linger });
  const { carried } = carriage;
  surroundings.onBridges(() => carriage.refreshShared());
  followHostAddresses({ state, kernel, host, background, mutex, context });
  host.onChange(() => {
    const kinds = new Set([...state.networks.values()].map((network) => network.fabric));
    if ([...kinds].some((kind) => fabricOf(kind).disturbed?.(context()) === true)) void later(CHORES, maintain);
  });
  let chores: NodeJS.Timeout | undefined;

  /** The kernel part of a removal; the record goes last, so a crash before that repeats it. */
  async function eraseEndpoint(endpoint: Endpoint): Promise<void> {
    const network = state.networks.get(endpoint.network);
    const known = network === undefined ? [] : desiredOf(network, endpoint, context());
    await kernel.remove(owners.endpoint(endpoint.id), known);
    await state.deleteEndpoint(endpoint.id, { close: `endpoint-${endpoint.id}` });
    if (network === undefined) return;
    carriage.left(network, { mac: endpoint.mac, addresses: endpoint.addresses.map(({ address }) => address) });
    if (!carried(network)) carriage.linger(network);
  }

  /**
   * Links that went into a container as a whole, where they are in there: who ends within a moment is gone before it is known
   * what the engine has called them.
   */
  async function pluggedLinks(network: Network, endpoint: Endpoint): Promise<readonly KernelObject[]> {
    const { sandbox, sandboxInterface } = endpoint;
    const isPlugged = (object: KernelObject) => object.kind === 'link' && 'plugged' in object;
    if (sandbox === undefined || sandboxInterface !== undefined) return [];
    if (!desiredOf(network, endpoint, context()).some(isPlugged)) return [];
    // Gone with its namespace, perhaps.
    const inside = await kernel.view(sandbox).catch(() => undefined);
    const link = inside?.links.find(({ alias }) => alias === endpointAlias(endpoint));
    if (link === undefined) return [];
    return desiredOf(network, { ...endpoint, sandboxInterface: link.name }, context()).filter(isPlugged);
  }

  /** Makes what an endpoint needs; when that fails it is as it was before. */
  async function bringUp(before: Endpoint, endpoint: Endpoint): Promise<JoinAnswer> {
    const { id } = endpoint;
    const network = state.networks.get(endpoint.network)!;
    const fabric = fabricOf(network.fabric);
    // The answer is worked out first: when it cannot be given, nothing has been done.
    const answer = await joinAnswer(fabric, network, endpoint);
    const name = `endpoint-${id}`;
    await state.putEndpoint(endpoint, { open: { name, operation: 'attach', target: id } });
    try {
      await carriage.apply(network);
      await kernel.apply(owners.endpoint(id), desiredOf(network, endpoint, context()));
    } catch (error) {
      // Should this fail too, Docker deletes the endpoint next.
      await state.putEndpoint({ ...before, phase: 'created' }, { close: name }).catch(() => undefined);
      // When something has just gone, the fabric says it better than the kernel.
      await host.refresh();
      fabric.join(network, endpoint, context());
      throw error;
    }
    // Docker need not wait for this: a restart that finds the entry applies again what is already there.
    void later(`cannot close the journal entry of endpoint ${id.slice(0, 12)}`, () => state.closeJournal(name));
    events.emit('endpoint.attached', `endpoint ${id.slice(0, 12)} was attached to network ${network.id.slice(0, 12)}`, {
      endpoint: id,
      network: network.id,
    });
    return answer;
  }

  async function eraseNetwork(network: Network): Promise<void> {
    const fabric = fabricOf(network.fabric);
    for (const endpoint of state.endpointsOf(network.id))
      await mutex.run(`erase ${endpoint.id}`, () => eraseEndpoint(endpoint));
    await carriage.withdraw(network);
    await kernel.remove(owners.standing(network.id));
    await fabric.closeNetwork?.(network, context());
    await state.deleteNetwork(network.id, { close: `network-${network.id}` });
  }

  async function open(network: Network): Promise<void> {
    const fabric = fabricOf(network.fabric);
    await fabric.openNetwork?.(network, context());
    const standing = fabric.desiredStanding?.(network, context()) ?? [];
    if (standing.length > 0) await kernel.apply(owners.standing(network.id), standing);
  }

  const amend = ({ id }: Network, settings: Json): Promise<void> =>
    mutex.run(`delete ${id}`, async () => {
      const before = state.networks.get(id);
      if (before === undefined) return;
      const network = { ...before, settings };
      await state.putNetwork(network);
      await kernel.apply(owners.standing(id), fabricOf(network.fabric).desiredStanding?.(network, context()) ?? []);
    });

  /** What is not there may have been made a moment ago: that is found out before anybody is told. */
  async function joinAnswer(fabric: Fabric, network: Network, endpoint: Endpoint): Promise<JoinAnswer> {
    try {
      return fabric.join(network, endpoint, context());
    } catch {
      await host.refresh();
      return fabric.join(network, endpoint, context());
    }
  }

  function declareStanding(network: Network): void {
    const standing = fabricOf(network.fabric).desiredStanding?.(network, context()) ?? [];
    if (standing.length > 0) kernel.declare(owners.standing(network.id), standing);
  }

  function declareEndpoint(endpoint: Endpoint): void {
    const network = state.networks.get(endpoint.network);
    if (network === undefined || endpoint.phase !== 'attached') return;
    kernel.declare(owners.endpoint(endpoint.id), desiredOf(network, endpoint, context()));
  }

  async function maintain(): Promise<void> {
    clearTimeout(chores);
    background.repeatFailed();
    const kinds = new Set([...state.networks.values()].map((network) => network.fabric));
    const waits = await Promise.all([...kinds].map(async (kind) => fabricOf(kind).maintain?.(context(), amend)));
    const next = Math.min(...waits.filter((wait) => wait !== undefined));
    if (Number.isFinite(next)) {
      chores = setTimeout(() => void later(CHORES, maintain), next);
      chores.unref();
    }
  }

  return {
    context,
    learnBridges: surroundings.learnBridges,
    refreshSegment: carriage.refresh,
    segments: carriage.segments,
    onSegments: carriage.onSegments,
    maintain,
    serialise: (id, work) => mutex.run(id, work),
    objectsOf: (network) => {
      const fabric = fabricOf(network.fabric);
      const standing = fabric.desiredStanding?.(network, context()) ?? [];
      return carried(network) ? [...standing, ...fabric.desiredNetwork(network, context())] : standing;
    },
    objectsOfEndpoint: (endpoint) => {
      const network = state.networks.get(endpoint.network);
      return network === undefined || endpoint.phase !== 'attached' ? [] : desiredOf(network, endpoint, context());
    },

    async addNetwork(network) {
      const fabric = fabricOf(network.fabric);
      if (fabric.openNetwork === undefined) {
        await state.putNetwork(network);
      } else {
        const name = `network-${network.id}`;
        await state.putNetwork(network, { open: { name, operation: 'open', target: network.id } });
        try {
          await open(network);
        } catch (error) {
          await eraseNetwork(network);
          throw error;
        }
        await state.closeJournal(name);
        void later(CHORES, maintain);
      }
      carriage.follow(network);
      events.emit('network.created', `network ${network.id.slice(0, 12)} (${network.plugin}) was created`, {
        network: network.id,
      });
    },

    async removeNetwork(id) {
      const network = state.networks.get(id);
      if (network === undefined) return;
      await state.putNetwork(network, { open: { name: `network-${id}`, operation: 'close', target: id } });
      await eraseNetwork(network);
      events.emit('network.removed', `network ${id.slice(0, 12)} was removed`, { network: id });
    },

    async prepare(id) {
      const network = state.networks.get(id);
      if (network === undefined) return;
      await carriage.apply(network);
      if (!carried(network)) carriage.linger(network, PREPARED);
    },

    async adopt(network, endpoints) {
      await open(network);
      // The network last: as long as its record is missing, all of this is repeated.
      for (const endpoint of endpoints) await state.putEndpoint(endpoint);
      await state.putNetwork(network);
      declareStanding(network);
      carriage.declare(network);
      if (carried(network)) carriage.declareShared(network.fabric);
      for (const endpoint of endpoints) declareEndpoint(endpoint);
    },

    become: (id, settings) =>
      mutex.run(`delete ${id}`, async () => {
        const before = state.networks.get(id);
        if (before === undefined) return;
        const network = { ...before, settings };
        await state.putNetwork(network);
        if (carried(network)) await carriage.apply(network);
        for (const endpoint of state.endpointsOf(id)) {
          if (endpoint.phase !== 'attached') continue;
          await kernel.apply(owners.endpoint(endpoint.id), desiredOf(network, endpoint, context()));
        }
        await carriage.leave(before);
      }),

    async addEndpoint(endpoint) {
      await state.putEndpoint(endpoint);
    },

    attach(id, sandbox, publishes) {
      const before = state.endpoints.get(id)!;
      const { sandboxInterface: _plugged, ...rest } = before;
      return bringUp(before, { ...rest, phase: 'attached', sandbox, publishes });
    },

    async plug(id, sandbox) {
      const before = state.endpoints.get(id);
      if (before?.attachment === undefined || before.phase === 'removing') return;
      await bringUp(before, { ...before, phase: 'attached', sandbox, sandboxInterface: before.attachment.interface });
    },

    async unplug(id) {
      const endpoint = state.endpoints.get(id);
      const network = endpoint === undefined ? undefined : state.networks.get(endpoint.network);
      if (endpoint?.phase !== 'attached' || network === undefined) return;
      await kernel.remove(owners.endpoint(id), desiredOf(network, endpoint, context()));
      const { sandbox: _left, sandboxInterface: _unplugged, ...rest } = endpoint;
      await state.putEndpoint({ ...rest, phase: 'created' });
      if (!carried(network)) carriage.linger(network);
    },

    async discard(id) {
      const endpoint = state.endpoints.get(id);
      if (endpoint === undefined) return;
      const removing: Endpoint = { ...endpoint, phase: 'removing' };
      await state.putEndpoint(removing, { open: { name: `endpoint-${id}`, operation: 'remove', target: id } });
      await mutex.run(`erase ${id}`, () => eraseEndpoint(removing));
    },

    async detach(id, { ended }) {
      const endpoint = state.endpoints.get(id);
      if (endpoint === undefined) return;
      // Not written: Docker deletes the endpoint next, or joins it again, and both are.
      const { sandbox: _left, sandboxInterface: _unplugged, ...rest } = endpoint;
      if (!ended || endpoint.phase !== 'attached') {
        state.amendEndpoint(rest);
        // What stood in the container goes with the link: nobody is to miss it there.
        declareEndpoint(rest);
        return;
      }
      state.amendEndpoint({ ...rest, phase: 'created' });
      const network = state.networks.get(endpoint.network);
      if (network !== undefined && !carried(network)) carriage.linger(network);
      const begun = Promise.withResolvers<void>();
      const removed = later(`cannot remove the endpoint ${id.slice(0, 12)} from the kernel`, async () => {
        const known = network === undefined ? [] : await pluggedLinks(network, endpoint);
        // When this is repeated it may have been joined again.
        if (state.endpoints.get(id)?.phase !== 'attached')
          await kernel.remove(owners.endpoint(id), known, begun.resolve);
      });
      await within(AHEAD, Promise.race([begun.promise, removed]));
    },

    async removeEndpoint(id) {
      const endpoint = state.endpoints.get(id);
      if (endpoint === undefined || endpoint.phase === 'removing') return;
      const removing: Endpoint = { ...endpoint, phase: 'removing' };
      await state.putEndpoint(removing, { open: { name: `endpoint-${id}`, operation: 'remove', target: id } });
      void later(`cannot remove the endpoint ${id.slice(0, 12)} from the kernel`, () =>
        mutex.run(`erase ${id}`, async () => {
          if (state.endpoints.get(id)?.phase === 'removing') await eraseEndpoint(removing);
        }),
      );
      events.emit('endpoint.removed', `endpoint ${id.slice(0, 12)} was removed`, {
        endpoint: id,
        network: endpoint.network,
      });
    },

    async recover() {
      for (const entry of state.interrupted) {
        const network = state.networks.get(entry.target as NetworkId);
        // An `open` that Docker was never told of is undone: it has no such network.
        if ((entry.operation === 'close' || entry.operation === 'open') && network !== undefined) {
          await later(`cannot finish the removal of network ${network.id.slice(0, 12)}`, () => eraseNetwork(network));
        } else if (entry.operation !== 'remove' && entry.operation !== 'attach') await state.closeJournal(entry.name);
      }
      const removing = [...state.endpoints.values()].filter(({ phase }) => phase === 'removing');
      await Promise.all(
        removing.map((endpoint) =>
          later(`cannot remove the endpoint ${endpoint.id.slice(0, 12)} from the kernel`, () =>
            mutex.run(`erase ${endpoint.id}`, () => eraseEndpoint(endpoint)),
          ),
        ),
      );
      for (const network of state.networks.values()) {
        declareStanding(network);
        carriage.declare(network);
        carriage.declareShared(network.fabric);
      }
      for (const endpoint of state.endpoints.values()) declareEndpoint(endpoint);
      // After all has been declared: what two networks need stays when one of them goes.
      await later('cannot withdraw unused networks from the kernel', () => carriage.sweep());
      for (const entry of state.interrupted) {
        if (entry.operation === 'attach') await state.closeJournal(entry.name);
      }
      await later(CHORES, maintain);
    },

    async confirm(network) {
      await fabricOf(network.fabric).confirm?.(network, context());
      events.emit('network.confirmed', `the uplink of network ${network.id.slice(0, 12)} was confirmed`, {
        network: network.id,
      });
    },

    settled: background.settled,

    close() {
      clearTimeout(chores);
      carriage.close();
    },
  };
}
