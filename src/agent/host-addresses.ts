/**
 * What networks derive from the host's own addresses on their LAN (the way between the host and its macvlan containers) follows
 * when these change: the host's DHCP client may get another one at any time.
 */

import { fabricOf } from '../fabric/fabrics.ts';
import type { HostView, Kernel } from '../kernel/kernel.ts';
import type { NetworkId } from '../model/ids.ts';
import type { Network } from '../model/network.ts';
import { formatPrefix } from '../model/prefix.ts';
import type { Background } from './background.ts';
import { desiredOf } from './desired.ts';
import type { HostFacts } from './host.ts';
import type { KeyedMutex } from './mutex.ts';
import { owners } from './owners.ts';
import type { State } from './state.ts';
import type { Surroundings } from './surroundings.ts';

export interface HostAddressesParts {
  readonly state: State;
  readonly kernel: Kernel;
  readonly host: HostFacts;
  readonly background: Background;
  readonly mutex: KeyedMutex;
  readonly context: Surroundings['context'];
}

export function followHostAddresses({ state, kernel, host, background, mutex, context }: HostAddressesParts): void {
  const known = new Map<NetworkId, string>();

  async function follow(network: Network): Promise<void> {
    await kernel.apply(owners.network(network.id), fabricOf(network.fabric).desiredNetwork(network, context()));
    for (const { id } of state.endpointsOf(network.id)) {
      await mutex.run(id, async () => {
        const endpoint = state.endpoints.get(id);
        if (endpoint?.phase !== 'attached') return;
        await kernel.apply(owners.endpoint(id), desiredOf(network, endpoint, context()));
      });
    }
  }

  host.onChange((view) => {
    for (const id of known.keys()) if (!state.networks.has(id)) known.delete(id);
    for (const network of state.networks.values()) {
      const wire = fabricOf(network.fabric).wire?.(network);
      if (wire === undefined) continue;
      const before = known.get(network.id);
      const now = addressesOn(wire, view);
      known.set(network.id, now);
      if (before === undefined || before === now || !state.carries(network.id)) continue;
      void background.later(`cannot follow the host's addresses on ${wire}`, () => follow(network));
    }
  });
}

function addressesOn(link: string, { addresses }: HostView): string {
  const own = addresses.filter((held) => held.link === link && held.scope === 'global');
  return own
    .map(({ address }) => formatPrefix(address))
    .toSorted()
    .join();
}
