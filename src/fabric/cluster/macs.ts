/** MAC addresses of virtual networks: they follow from addresses, so that an address always comes back with the same one. */

import type { Address } from '../../model/address.ts';
import { type Mac, macFromAddress } from '../../model/mac.ts';

/** Of a gateway, and of a host that has an address of its own in a network. */
export const hostMac = (address: Address): Mac => macFromAddress(address);

/** Of a container on a network of the cluster: `02:02:` and the IPv4 address, as Contiv gave them. */
export function containerMac(address: Address): Mac {
  return macFromAddress(address).replace(/^02:42/, '02:02') as Mac;
}
