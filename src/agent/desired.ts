/** What one attached endpoint has in the kernel. */

import type { FabricContext } from '../fabric/fabric.ts';
import { fabricOf } from '../fabric/fabrics.ts';
import { pluggedObjects } from '../fabric/plugged.ts';
import type { KernelObject } from '../kernel/objects.ts';
import type { Endpoint, Network } from '../model/network.ts';

/** The objects of its fabric; and where no engine plugs the container in, what an engine would do there. */
export function desiredOf(network: Network, endpoint: Endpoint, context: FabricContext): readonly KernelObject[] {
  const objects = fabricOf(network.fabric).desiredEndpoint(network, endpoint, context);
  return endpoint.attachment === undefined ? objects : [...objects, ...pluggedObjects(network, endpoint)];
}
