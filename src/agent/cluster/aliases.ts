/** What containers are called on their networks besides their names. The engine tells it only of one container at a time. */

import type { EngineContainer } from '../../docker/engine.ts';
import { clusterOf } from '../../fabric/cluster/settings.ts';
import type { EndpointId } from '../../model/ids.ts';
import type { Names } from '../names.ts';
import type { State } from '../state.ts';

export interface Aliases {
  /** As far as it is known; none of a container that the engine has not been asked for yet. */
  of(endpoint: EndpointId): readonly string[];
  onChange(listener: () => void): void;
}

export interface AliasesParts {
  readonly state: State;
  readonly names: Pick<Names, 'containerId' | 'onLearn'>;
  /** @throws BerthError ENGINE_UNREACHABLE */
  container(id: string): Promise<EngineContainer | undefined>;
}

/** How many containers the engine is asked for at a time. */
const MOST_AT_ONCE = 8;

/** Asks the engine, beside the plugin calls, for each container that appears on a network of the cluster. */
export function createAliases({ state, names, container }: AliasesParts): Aliases {
  const known = new Map<EndpointId, readonly string[]>();
  const asking = new Set<EndpointId>();
  const listeners: (() => void)[] = [];

  function look(): void {
    for (const id of known.keys()) if (!state.endpoints.has(id)) known.delete(id);
    for (const endpoint of state.endpoints.values()) {
      if (asking.size >= MOST_AT_ONCE) return;
      const network = state.networks.get(endpoint.network);
      const id = names.containerId(endpoint.id);
      if (known.has(endpoint.id) || asking.has(endpoint.id) || id === undefined) continue;
      if (network === undefined || clusterOf(network) === undefined) continue;
      asking.add(endpoint.id);
      void ask(endpoint.id, id);
    }
  }

  async function ask(endpoint: EndpointId, id: string): Promise<void> {
    // Without an answer, it is asked again when the engine next tells of its containers.
    const told = await container(id).catch(() => undefined);
    asking.delete(endpoint);
    if (told === undefined || !state.endpoints.has(endpoint)) return;
    const aliases = told.aliases?.get(endpoint) ?? [];
    known.set(endpoint, aliases);
    if (aliases.length > 0) for (const listener of listeners) listener();
    look();
  }

  names.onLearn(look);
  return {
    of: (endpoint) => known.get(endpoint) ?? [],
    onChange: (listener) => void listeners.push(listener),
  };
}
