/** Somebody on the link who has sent a message. */

import type { Address } from '../../model/address.ts';
import type { Mac } from '../../model/mac.ts';

export interface Peer {
  readonly address: Address;
  readonly port: number;
  /** The link of an address that is good on one link only (RFC 4007). */
  readonly scope?: string;
  /** Absent for a program on this host. */
  readonly mac?: Mac;
  /** Names it as long as it asks from the same place. */
  readonly key: string;
}
