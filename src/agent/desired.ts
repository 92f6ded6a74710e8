/** What one attached endpoint has in the kernel. */

import type { FabricContext } from '../fabric/fabric.ts';
import { fabricOf } from '../fabric/fabrics.ts';
import { pluggedObjects } from '../fabric/plugged.ts';
import type { KernelObject } from '../kernel/objects.ts';
import type { Endpoint, Network } from '../model/network.ts';

/**
 * The objects of its fabric; and where no engine plugs the container in, what an engine would do there. But for a leased address,
 * and what goes with it: a lease may be lost while the container runs, so these are set once, and not defended.
 */
export function desiredOf(network: Network, endpoint: Endpoint, context: FabricContext): readonly KernelObject[] {
  const objects = fabricOf(network.fabric).desiredEndpoint(network, endpoint, context);
  if (endpoint.attachment === undefined) return objects;
  const plugged = pluggedObjects(network, endpoint);
  // No engine moves a NIC there.
  const delivered = objects.map(
    (object): KernelObject => (object.kind === 'link' && object.type === 'nic' ? { ...object, deliver: true } : object),
  );
  return [...delivered, ...(isLeased(endpoint) ? plugged.filter(({ kind }) => kind === 'link') : plugged)];
}

/** Whether a DHCP server gave it its address. */
export function isLeased({ gateways }: Pick<Endpoint, 'gateways'>): boolean {
  return gateways !== undefined;
}
