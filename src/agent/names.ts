/** What Docker calls things, as the engine last told it. For people only: nothing is decided by a name, but what names a LAN has. */

import type { EngineEndpoint, EngineNetwork } from '../docker/engine.ts';
import type { Attachment } from '../model/attachment.ts';
import type { EndpointId, NetworkId } from '../model/ids.ts';

export interface Names {
  network(id: NetworkId): string | undefined;
  container(id: EndpointId): string | undefined;
  /** Id of the container that an endpoint belongs to; undefined as long as it is not known, and when it belongs to none. */
  containerId(id: EndpointId): string | undefined;
  /** "the container web", or "the endpoint 0123456789ab" as long as its name is not known. */
  describe(id: EndpointId): string;
  learn(networks: readonly EngineNetwork[]): void;
  /** A network was just made. */
  learnNetwork(id: NetworkId, name: string): void;
  onLearn(listener: () => void): void;
}

/** The engine calls an endpoint that belongs to no container `ep-…`, or after what else it is for. */
const CONTAINER_ID = /^[0-9a-f]{64}$/;

type Container = Attachment['container'];

/** @param attached the containers of attachments: the engine does not list these. */
export function createNames(attached: (id: EndpointId) => Container | undefined = () => undefined): Names {
  let networks = new Map<NetworkId, string>();
  let endpoints = new Map<EndpointId, EngineEndpoint>();
  const listeners: (() => void)[] = [];
  return {
    network: (id) => networks.get(id),
    container: (id) => endpoints.get(id)?.name ?? attached(id)?.name,
    containerId(id) {
      const container = endpoints.get(id)?.container ?? attached(id)?.id ?? '';
      return CONTAINER_ID.test(container) ? container : undefined;
    },
    describe(id) {
      const name = endpoints.get(id)?.name ?? attached(id)?.name;
      return name === undefined ? `the endpoint ${id.slice(0, 12)}` : `the container ${name}`;
    },
    learnNetwork: (id, name) => void networks.set(id, name),
    learn(seen) {
      networks = new Map(seen.map((network) => [network.id, network.name]));
      endpoints = new Map(seen.flatMap((network) => network.endpoints.map((endpoint) => [endpoint.id, endpoint])));
      for (const listener of listeners) listener();
    },
    onLearn: (listener) => void listeners.push(listener),
  };
}
