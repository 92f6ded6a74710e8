/** What `berth reserve` and `berth unreserve` do. */

import * as z from 'zod';
import { type Address, formatAddress, parseAddress } from '../model/address.ts';
import { BerthError } from '../model/errors.ts';
import { macFromText, parseMac } from '../model/mac.ts';
import type { Network } from '../model/network.ts';
import type { Pool } from '../model/pool.ts';
import { contains, formatPrefix, type Prefix, samePrefix } from '../model/prefix.ts';
import type { Reservation } from '../model/reservation.ts';
import type { ReservationView } from './api.ts';
import type { ApiHandler } from './api-server.ts';
import type { Leases } from './leases.ts';
import type { Names } from './names.ts';
import { reservationView } from './views.ts';

export interface ReservationParts {
  readonly leases: Leases;
  readonly names: Names;
  findNetwork(wanted: string): Promise<Network>;
  findPool(wanted: string): Pool;
  now(): number;
}

const Body = z.strictObject({
  address: z.string(),
  network: z.string().optional(),
  pool: z.string().optional(),
  mac: z.string().optional(),
  name: z.string().min(1).max(255).optional(),
});

export function reservationHandlers(parts: ReservationParts): Readonly<Record<string, ApiHandler>> {
  const { leases, names } = parts;
  const { reservations } = leases;
  const view = (reservation: Reservation): ReservationView =>
    reservationView(reservation, leases.leaseOf(reservation.subnet, reservation.address), names);

  /** The subnet of the network or pool that is named; else the one that the address lies in. */
  async function subnetFor(address: Address, network?: string, pool?: string): Promise<Prefix> {
    const shown = formatAddress(address);
    const candidates =
      network !== undefined
        ? (await parts.findNetwork(network)).subnets.map(({ prefix }) => prefix)
        : pool !== undefined
          ? [parts.findPool(pool).subnet]
          : leases.pools().map(({ subnet }) => subnet);
    const texts = new Set(candidates.filter((subnet) => contains(subnet, address)).map(formatPrefix));
    const subnet = candidates.find((candidate) => texts.has(formatPrefix(candidate)));
    if (subnet === undefined) {
      const known = [...new Set(candidates.map(formatPrefix))].join(', ');
      throw new BerthError(
        'ADDRESS_OUTSIDE',
        `the address ${shown} is not within ${known || 'any pool: there is none'}`,
      );
    }
    if (texts.size > 1) {
      throw new BerthError('BAD_ADDRESS', `the address ${shown} lies in ${[...texts].join(' and ')}: name the pool`);
    }
    if (!leases.pools().some((pool) => samePrefix(pool.subnet, subnet))) {
      throw new BerthError(
        'POOL_UNKNOWN',
        `the addresses of ${formatPrefix(subnet)} are given out by Docker itself: make the network with --ipam-driver`,
      );
    }
    return subnet;
  }

  const found = (text: string): readonly Reservation[] => {
    const address = readAddress(text);
    const all = reservations.all().filter((one) => formatAddress(one.address) === formatAddress(address));
    if (all.length === 0) throw new BerthError('NOT_FOUND', `the address ${formatAddress(address)} is not reserved`);
    return all;
  };

  return {
    'GET reservations': ({ path }) =>
      Promise.resolve((path[1] === undefined ? reservations.all() : found(path[1])).map(view)),

    'POST reservations': async ({ body }) => {
      const parsed = Body.safeParse(body);
      if (!parsed.success) {
        const issue = parsed.error.issues[0]!;
        throw new BerthError('BAD_REQUEST', `${issue.path.join('.') || 'the request'}: ${issue.message}`);
      }
      const { network, pool, mac: text, name } = parsed.data;
      const address = readAddress(parsed.data.address);
      const mac = text?.startsWith('U:') ? macFromText(text.slice(2)) : parseMac(text ?? '');
      if (text !== undefined && mac === undefined) {
        throw new BerthError('BAD_ADDRESS', `'${text.slice(0, 64)}' is not the MAC address of an interface`);
      }
      const reservation: Reservation = {
        subnet: await subnetFor(address, network, pool),
        address,
        ...(mac === undefined ? {} : { mac }),
        ...(name === undefined ? {} : { name }),
        createdAt: parts.now(),
      };
      await reservations.add(reservation);
      return view(reservation);
    },

    'DELETE reservations': async ({ path }) => {
      const all = found(path[1] ?? '');
      for (const reservation of all) await reservations.remove(reservation);
      return all.map(view);
    },
  };
}

function readAddress(text: string): Address {
  const address = parseAddress(text);
  if (address === undefined) throw new BerthError('BAD_ADDRESS', `'${text.slice(0, 64)}' is not an address`);
  return address;
}
