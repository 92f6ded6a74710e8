/** As whom a client asks over DHCPv6: the same as over DHCPv4, as RFC 4361 wants it, so that a server can bring both together. */

import { macBytes } from '../../model/mac.ts';
import type { Client } from '../client.ts';

export interface Client6 {
  /** DHCP unique identifier (RFC 8415 §11). */
  readonly duid: Uint8Array;
  /** IAID: the one address of the one interface that this is about. */
  readonly association: number;
  /** Its name: a whole one where it has a domain. */
  readonly name?: { readonly text: string; readonly whole: boolean };
  /** How long the lease should last, in seconds. The server decides. */
  readonly leaseTime?: number;
}

const RFC4361 = 255;
const DUID_LINK_LAYER = 3;
const ETHERNET = 1;

/**
 * A client id after RFC 4361 holds a DUID. Of a client that is known by its MAC the DUID is the MAC (DUID-LL, RFC 8415 §11.4), from which
 * servers learn it for their reservations.
 */
export function clientOf6({ mac, clientId, hostName, fqdn, leaseTime }: Client): Client6 {
  const text = fqdn ?? hostName;
  const more = {
    ...(text === undefined ? {} : { name: { text, whole: fqdn !== undefined } }),
    ...(leaseTime === undefined ? {} : { leaseTime }),
  };
  const view = new DataView(clientId.buffer, clientId.byteOffset, clientId.byteLength);
  if (clientId[0] === RFC4361 && clientId.length > 7)
    return { duid: clientId.slice(5), association: view.getUint32(1), ...more };
  const octets = macBytes(mac);
  return {
    duid: Uint8Array.of(0, DUID_LINK_LAYER, 0, ETHERNET, ...octets),
    association: new DataView(octets.buffer, octets.byteOffset).getUint32(2),
    ...more,
  };
}
