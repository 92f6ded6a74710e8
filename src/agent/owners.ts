/** Under which names the agent declares kernel objects; drift reports show them. */

import type { EndpointId, NetworkId } from '../model/ids.ts';
import type { FabricKind } from '../model/network.ts';

export const owners = {
  /** What all networks of a fabric need together. */
  shared: (kind: FabricKind) => `fabric/${kind}`,
  /** What a network needs from its creation to its removal. */
  standing: (id: NetworkId) => `standing/${id}`,
  /** What the networks on a segment need while one of them has endpoints; a network's id, if it is on one of its own. */
  network: (segment: string) => `network/${segment}`,
  /** What leads from a segment to another host. */
  remote: (segment: string, host: string) => `remote/${segment}/${host}`,
  /** What an earlier process has left of those. */
  stray: (segment: string) => `stray/${segment}`,
  endpoint: (id: EndpointId) => `endpoint/${id}`,
} as const;
