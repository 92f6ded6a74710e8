/**
 * Finds out what each endpoint's interface is called in its container, and announces its addresses from there. The engine
 * chooses the number and tells nobody, and whoever has to plug a container in again needs it.
 */

import { containerSettings } from '../fabric/container-options.ts';
import { pluggedObjects } from '../fabric/plugged.ts';
import { endpointAlias, hostLink } from '../fabric/veth.ts';
import { makeOrder } from '../kernel/batch.ts';
import type { HostLink, HostView, Kernel } from '../kernel/kernel.ts';
import type { KernelObject } from '../kernel/objects.ts';
import { asBerthError, BerthError } from '../model/errors.ts';
import type { EndpointId } from '../model/ids.ts';
import type { Endpoint, Network } from '../model/network.ts';
import { announceTwice } from './announcing.ts';
import type { Events } from './events.ts';
import type { HostFacts } from './host.ts';
import type { Lifecycle } from './lifecycle.ts';
import { owners } from './owners.ts';
import type { State } from './state.ts';

export interface Sandboxes {
  /**
   * Looks into the container of an endpoint that was just attached, a little later and again if it was too early.
   *
   * @param link that the engine moves there, as it is called here: as soon as it has been set up there, it is limited.
   */
  watch(endpoint: EndpointId, link?: string): void;
  close(): void;
}

/** Kinds of objects that limits are made of. */
const LIMITS: ReadonlySet<KernelObject['kind']> = new Set(['link', 'qdisc', 'filter']);
/** Milliseconds after Join, and after the look before; the engine plugs soon, the container's namespace may be late. */
const LOOKS = [100, 200, 1000, 4000, 15000] as const;

export function createSandboxes(parts: {
  state: State;
  kernel: Kernel;
  host: HostFacts;
  lifecycle: Lifecycle;
  events: Events;
  /** Where an endpoint's interface is has become known. */
  found(id: EndpointId): void;
}): Sandboxes {
  const { state, kernel, lifecycle, events } = parts;
  const timers = new Set<NodeJS.Timeout>();
  /** Whose link is on its way. */
  const expected = new Map<string, EndpointId>();
  kernel.onArrival((links) => {
    for (const link of links) {
      const id = expected.get(link);
      expected.delete(link);
      // Should this fail, it is found a moment later, and told.
      if (id !== undefined) limit(id).catch(() => undefined);
    }
  });

  /** Links of an endpoint on the host, among which is the other end of a pair; their names are the fabric's affair. */
  const endsOf = (endpoint: Endpoint, { links }: HostView): readonly HostLink[] =>
    links.filter((link) => link.name === hostLink(endpoint) || link.alias === endpointAlias(endpoint));

  const pluggedIn = (endpoint: Endpoint, inside: HostView, ends: readonly HostLink[] = []): HostLink | undefined =>
    inside.links.find(
      (link) =>
        link.alias === endpointAlias(endpoint) ||
        (link.type === 'veth' && link.mac === endpoint.mac && ends.some(({ index }) => index === link.linkIndex)),
    );

  /**
   * The kernel drops a link's queues when it moves it to another namespace (dev_shutdown), so limits that stand in the container
   * cannot come with it. The engine has set the link up by now; the container's first instruction comes later. The rest can wait:
   * the engine goes on to set routes on it, and does not expect it to go down for another name.
   */
  async function limit(id: EndpointId): Promise<void> {
    const endpoint = state.endpoints.get(id);
    if (endpoint?.sandbox === undefined || endpoint.phase !== 'attached') return;
    const limits = (link: string): KernelObject[] =>
      lifecycle
        .objectsOfEndpoint({ ...endpoint, sandboxInterface: link })
        .filter(({ netns, kind }) => netns === endpoint.sandbox && LIMITS.has(kind));
    if (limits('any').every(({ kind }) => kind !== 'qdisc')) return;
    const link = pluggedIn(endpoint, await kernel.view(endpoint.sandbox));
    if (link === undefined) return;
    await kernel.execute(makeOrder(limits(link.name)).map((object) => ({ make: object })));
  }

  /** @returns false when there is nothing to be seen yet. */
  async function look(id: EndpointId): Promise<boolean> {
    const endpoint = state.endpoints.get(id);
    const network = endpoint === undefined ? undefined : state.networks.get(endpoint.network);
    if (
      endpoint === undefined ||
      network === undefined ||
      endpoint.phase !== 'attached' ||
      endpoint.sandboxInterface !== undefined
    )
      return true;
    if (endpoint.sandbox === undefined) return false;
    const inside = await kernel.view(endpoint.sandbox);
    const known = endsOf(endpoint, parts.host.current());
    const ends = known.length > 0 ? known : endsOf(endpoint, await parts.host.refresh());
    const plugged = pluggedIn(endpoint, inside, ends);
    // The engine sets it up last.
    if (plugged?.up !== true) return false;
    await lifecycle.serialise(id, async () => {
      const now = state.endpoints.get(id);
      if (now?.phase !== 'attached' || now.sandbox !== endpoint.sandbox) return;
      const seen = { ...now, sandboxInterface: await nameIt(now, network, plugged.name, inside) };
      const addresses = endpoint.addresses.map(({ address }) => address);
      void announceTwice(kernel, { netns: now.sandbox!, link: plugged.index, mac: endpoint.mac, addresses });
      await state.putEndpoint(seen);
      parts.found(id);
      await settle(seen);
    });
    return true;
  }

  /** Gives an interface the chosen name, where the engine has made another of it. @returns what it is called then. */
  async function nameIt(endpoint: Endpoint, network: Network, given: string, inside: HostView): Promise<string> {
    const { interfaceName: name = given } = containerSettings(endpoint);
    if (name === given) return given;
    const rename = {
      kind: 'link',
      type: 'adopted',
      netns: endpoint.sandbox!,
      name,
      formerly: given,
      up: true,
    } as const;
    try {
      if (inside.links.some((link) => link.name === name)) {
        throw new BerthError('INTERFACE_EXISTS', `there is an interface ${name} already, so it is called ${given}`);
      }
      // With all that older kernels drop when they rename it.
      const objects = pluggedObjects(network, { ...endpoint, sandboxInterface: name });
      await kernel.execute([rename, ...objects.slice(1)].map((object) => ({ make: object })));
      return name;
    } catch (error) {
      tellFailure(endpoint, error);
      return given;
    }
  }

  function tellFailure({ id }: Endpoint, error: unknown): void {
    const what = `not all that options ask for in the container of endpoint ${id.slice(0, 12)} could be made`;
    events.emit('endpoint.failed', `${what}: ${asBerthError(error).message}`, { endpoint: id });
  }

  /** What options ask for in the container is made at once; that alone is worth more than a word. */
  async function settle(endpoint: Endpoint): Promise<void> {
    const objects = lifecycle.objectsOfEndpoint(endpoint);
    const owner = owners.endpoint(endpoint.id);
    const inside = objects.some(({ kind, netns }) => netns !== undefined && kind !== 'link');
    if (!inside) {
      kernel.declare(owner, objects);
      return;
    }
    try {
      await kernel.apply(owner, objects);
    } catch (error) {
      // The container runs, and audits try again.
      kernel.declare(owner, objects);
      tellFailure(endpoint, error);
    }
  }

  function forget(id: EndpointId, link: string | undefined): void {
    // The same NIC may be on its way to another container by now.
    if (link !== undefined && expected.get(link) === id) expected.delete(link);
  }

  function schedule(id: EndpointId, attempt: number, link: string | undefined): void {
    const wait = LOOKS[attempt];
    if (wait === undefined) {
      forget(id, link);
      return;
    }
    const timer = setTimeout(() => {
      timers.delete(timer);
      look(id).then(
        (done) => {
          if (done) forget(id, link);
          else schedule(id, attempt + 1, link);
        },
        () => schedule(id, attempt + 1, link),
      );
    }, wait);
    timer.unref();
    timers.add(timer);
  }

  return {
    watch(id, link) {
      if (link !== undefined) expected.set(link, id);
      schedule(id, 0, link);
    },
    close() {
      for (const timer of timers) clearTimeout(timer);
      timers.clear();
    },
  };
}
