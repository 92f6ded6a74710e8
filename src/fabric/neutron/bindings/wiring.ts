/** One way in which a container's link is joined to Neutron's switch on this host. */

import type { KernelObject } from '../../../kernel/objects.ts';
import type { Endpoint, Network } from '../../../model/network.ts';

export interface Wiring {
  /** What all endpoints of a network that are wired so need together. Absent: nothing. */
  network?(network: Network): readonly KernelObject[];
  endpoint(network: Network, endpoint: Endpoint): readonly KernelObject[];
  /** The link that the engine moves into the container. */
  sourceLink(endpoint: Endpoint): string;
}
