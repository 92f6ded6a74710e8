/** What Docker calls things, as the engine last told it. For people only: nothing is decided by a name. */

import type { EngineNetwork } from '../docker/engine.ts';
import type { EndpointId, NetworkId } from '../model/ids.ts';

export interface Names {
  network(id: NetworkId): string | undefined;
  container(id: EndpointId): string | undefined;
  /** "the container web", or "the endpoint 0123456789ab" as long as its name is not known. */
  describe(id: EndpointId): string;
  learn(networks: readonly EngineNetwork[]): void;
  /** A network was just made. */
  learnNetwork(id: NetworkId, name: string): void;
}

/** @param attached what the containers of attachments are called: the engine does not list these. */
export function createNames(attached: (id: EndpointId) => string | undefined = () => undefined): Names {
  let networks = new Map<NetworkId, string>();
  let containers = new Map<EndpointId, string>();
  return {
    network: (id) => networks.get(id),
    container: (id) => containers.get(id) ?? attached(id),
    describe: (id) => {
      const name = containers.get(id) ?? attached(id);
      return name === undefined ? `the endpoint ${id.slice(0, 12)}` : `the container ${name}`;
    },
    learnNetwork: (id, name) => void networks.set(id, name),
    learn(seen) {
      networks = new Map(seen.map((network) => [network.id, network.name]));
      containers = new Map(
        seen.flatMap((network) => network.endpoints.map((endpoint) => [endpoint.id, endpoint.name])),
      );
    },
  };
}
