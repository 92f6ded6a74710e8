/**
 * Finds out what each endpoint's interface is called in its container, and announces its addresses from there. The engine
 * chooses the number and tells nobody, and whoever has to plug a container in again needs it.
 */

import { fabricOf } from '../fabric/fabrics.ts';
import { endpointAlias, hostLink } from '../fabric/veth.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { EndpointId } from '../model/ids.ts';
import type { HostFacts } from './host.ts';
import type { Lifecycle } from './lifecycle.ts';
import type { State } from './state.ts';

export interface Sandboxes {
  /** Looks into the container of an endpoint that was just attached, a little later and again if it was too early. */
  watch(endpoint: EndpointId): void;
  close(): void;
}

/** Milliseconds after Join, and after the look before; the engine plugs soon, the container's namespace may be late. */
const LOOKS = [100, 200, 1000, 4000, 15000] as const;

export function createSandboxes(parts: {
  state: State;
  kernel: Kernel;
  host: HostFacts;
  lifecycle: Lifecycle;
}): Sandboxes {
  const { state, kernel, lifecycle } = parts;
  const timers = new Set<NodeJS.Timeout>();

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
    const mine =
      parts.host.current().links.find((link) => link.name === hostLink(endpoint)) ??
      (await parts.host.refresh()).links.find((link) => link.name === hostLink(endpoint));
    const plugged = inside.links.find(
      (link) =>
        link.alias === endpointAlias(endpoint) ||
        (link.type === 'veth' && link.mac === endpoint.mac && link.linkIndex === mine?.index),
    );
    // The engine sets it up last.
    if (plugged?.up !== true) return false;
    await lifecycle.serialise(id, async () => {
      const now = state.endpoints.get(id);
      if (now?.phase !== 'attached' || now.sandbox !== endpoint.sandbox) return;
      const seen = { ...now, sandboxInterface: plugged.name };
      const addresses = endpoint.addresses.map(({ address }) => address);
      // Neighbours that are not told find out later.
      kernel
        .announce({ netns: now.sandbox!, link: plugged.index, mac: endpoint.mac, addresses })
        .catch(() => undefined);
      await state.putEndpoint(seen);
      kernel.declare(`endpoint/${id}`, fabricOf(network.fabric).desiredEndpoint(network, seen, lifecycle.context()));
    });
    return true;
  }

  function schedule(id: EndpointId, attempt: number): void {
    const wait = LOOKS[attempt];
    if (wait === undefined) return;
    const timer = setTimeout(() => {
      timers.delete(timer);
      look(id).then(
        (done) => {
          if (!done) schedule(id, attempt + 1);
        },
        () => schedule(id, attempt + 1),
      );
    }, wait);
    timer.unref();
    timers.add(timer);
  }

  return {
    watch: (id) => schedule(id, 0),
    close() {
      for (const timer of timers) clearTimeout(timer);
      timers.clear();
    },
  };
}
