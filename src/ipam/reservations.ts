/**
 * Addresses that are kept for somebody (`berth reserve`): never given out by themselves, only to who asks for the address, or
 * is the one that it is kept for, as far as the engine tells who asks.
 */

import { type Address, formatAddress } from '../model/address.ts';
import { BerthError } from '../model/errors.ts';
import { keys } from '../model/keys.ts';
import type { Mac } from '../model/mac.ts';
import { formatPrefix, type Prefix } from '../model/prefix.ts';
import type { Reservation } from '../model/reservation.ts';
import type { Entry, Operation, Store } from '../store/store.ts';
import { decodeReservation, encodeReservation } from './codec.ts';
import { isForHosts } from './subnet-rules.ts';

/** Who asks for an address, as far as that is known. */
export interface Asker {
  readonly mac?: Mac | undefined;
  readonly name?: string | undefined;
}

/** A subnet, of a network of the cluster (`TENANT:NETWORK`) or of none. */
export interface Place {
  readonly subnet: Prefix;
  readonly network?: string | undefined;
}

export interface Reservations {
  all(): readonly Reservation[];
  find(place: Place, address: Address): Reservation | undefined;
  /** Those of a subnet that are kept for who asks. */
  keptFor(place: Place, asker: Asker): readonly Reservation[];
  /**
   * Keeps an address, or keeps it for somebody else from now on.
   *
   * @throws BerthError ADDRESS_RESERVED for one that is not for hosts; STORE_UNAVAILABLE, STORE_FULL
   */
  add(reservation: Reservation): Promise<void>;
  /** @throws BerthError STORE_UNAVAILABLE */
  remove(reservation: Reservation): Promise<void>;
}

/** Reservations in memory, as they are told of. */
export interface FollowedReservations extends Reservations {
  /**
   * Takes over what the store says of a key.
   *
   * @throws BerthError STORE_CORRUPT, STORE_NEWER
   */
  absorb(key: string, entry: Entry | undefined): void;
  keys(): Iterable<string>;
}

/** @param wrote is told of each transaction: the keys that it changed, and its revision. */
export function createReservations(
  store: Store,
  wrote: (changed: readonly string[], revision: number) => void,
): FollowedReservations {
  const known = new Map<string, Reservation>();
  const write = async (operation: Operation): Promise<void> => {
    const { revision } = await store.transact({ then: [operation] });
    wrote([operation.key], revision);
  };
  return {
    absorb(key, entry) {
      if (entry === undefined) known.delete(key);
      else known.set(key, decodeReservation(key, entry.value));
    },
    keys: () => known.keys(),
    all: () => [...known.values()],
    find: ({ subnet, network }, address) =>
      known.get(keys.reservation(subnet, address, network)) ?? known.get(keys.reservation(subnet, address)),
    keptFor({ subnet, network }, { mac, name }) {
      const shown = formatPrefix(subnet);
      return [...known.values()].filter(
        (one) =>
          formatPrefix(one.subnet) === shown &&
          (one.network === undefined || one.network === network) &&
          ((one.mac !== undefined && one.mac === mac) || (one.name !== undefined && one.name === name)),
      );
    },
    async add(reservation) {
      const { subnet, address, network } = reservation;
      if (!isForHosts(subnet, address.value)) {
        const shown = `${formatAddress(address)} of ${formatPrefix(subnet)}`;
        throw new BerthError('ADDRESS_RESERVED', `the address ${shown} is not for hosts`);
      }
      const key = keys.reservation(subnet, address, network);
      await write({ do: 'put', key, value: encodeReservation(reservation) });
      known.set(key, reservation);
    },
    async remove({ subnet, address, network }) {
      const key = keys.reservation(subnet, address, network);
      await write({ do: 'delete', key });
      known.delete(key);
    },
  };
}

/**
 * Whether somebody may have a reserved address that he asks for. Who is not known is believed: the engine tells a MAC only
 * with `--mac-address`, and a name only from version 29 on.
 *
 * @throws BerthError ADDRESS_TAKEN
 */
export function checkReservation(reservation: Reservation | undefined, { mac, name }: Asker): void {
  if (reservation === undefined) return;
  const forMac = reservation.mac !== undefined && mac !== undefined && mac !== reservation.mac;
  const forName = reservation.name !== undefined && name !== undefined && name !== reservation.name;
  // Either says that it is the one.
  if (reservation.mac !== undefined && mac === reservation.mac) return;
  if (reservation.name !== undefined && name === reservation.name) return;
  if (!forMac && !forName) return;
  throw new BerthError(
    'ADDRESS_TAKEN',
    `the address ${formatAddress(reservation.address)} is reserved for ${describeReservation(reservation)}`,
  );
}

export function describeReservation({ name, mac }: Reservation): string {
  if (name !== undefined) return `the container ${name}`;
  return mac === undefined ? 'somebody who asks for it' : `the MAC address ${mac}`;
}
