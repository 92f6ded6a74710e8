/** Under which names the agent declares kernel objects; drift reports show them. */

import type { EndpointId, NetworkId } from '../model/ids.ts';
import type { FabricKind } from '../model/network.ts';

export const owners = {
  /** What all networks of a fabric need together. */
  shared: (kind: FabricKind) => `fabric/${kind}`,
  /** What a network needs from its creation to its removal. */
  standing: (id: NetworkId) => `standing/${id}`,
  /** What a network needs while it has endpoints. */
  network: (id: NetworkId) => `network/${id}`,
  endpoint: (id: EndpointId) => `endpoint/${id}`,
} as const;
