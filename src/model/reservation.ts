/** An address that is kept for somebody. */

import type { Address } from './address.ts';
import type { Mac } from './mac.ts';
import type { Prefix } from './prefix.ts';

export interface Reservation {
  /** The reservation outlives networks and pools on this subnet, and counts for all of them, */
  readonly subnet: Prefix;
  /** or for this network of the cluster alone (`TENANT:NETWORK`): tenants may have the same subnet. */
  readonly network?: string;
  readonly address: Address;
  /** Who has this MAC gets the address. */
  readonly mac?: Mac;
  /** The container of this name gets it. */
  readonly name?: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}
