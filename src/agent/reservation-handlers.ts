/** What `berth reserve` and `berth unreserve` do. */

import * as z from 'zod';
import type { Place } from '../ipam/reservations.ts';
import { type Address, formatAddress, parseAddress } from '../model/address.ts';
import { BerthError } from '../model/errors.ts';
import { macFromText, parseMac } from '../model/mac.ts';
import type { Network } from '../model/network.ts';
import { networkOfPool, type Pool } from '../model/pool.ts';
import { contains, formatPrefix, samePrefix } from '../model/prefix.ts';
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
  const view = (reservation: Reservation): ReservationView => {
    const { subnet, address, network } = reservation;
    return reservationView(reservation, leases.leaseOf(subnet, address, network), names);
  };

  const placeOf = (pool: Pool): Place => ({ subnet: pool.subnet, network: networkOfPool(pool) });

  /** The subnets of a network, by the name or id of its Docker network, or as `TENANT:NETWORK`. */
  async function placesOf(wanted: string): Promise<readonly Place[]> {
    const ofCluster = leases.pools().filter((pool) => networkOfPool(pool) === wanted);
    if (ofCluster.length > 0) return ofCluster.map(placeOf);
    const network = await parts.findNetwork(wanted);
    const its = new Set<string>(leases.poolsOf(network.subnets, network));
    const of = leases.pools().find((pool) => its.has(pool.id));
    return network.subnets.map(({ prefix }) => ({ subnet: prefix, network: of && networkOfPool(of) }));
  }

  /** The subnet of the network or pool that is named; else the one that the address lies in. */
  async function placeFor(address: Address, network?: string, pool?: string): Promise<Place> {
    const shown = formatAddress(address);
    const candidates =
      network !== undefined
        ? await placesOf(network)
        : (pool !== undefined ? [parts.findPool(pool)] : leases.pools()).map(placeOf);
    const hits = new Map(
      candidates.filter(({ subnet }) => contains(subnet, address)).map((place) => [describePlace(place), place]),
    );
    const [place] = hits.values();
    if (place === undefined) {
      const known = [...new Set(candidates.map(({ subnet }) => formatPrefix(subnet)))].join(', ');
      throw new BerthError(
        'ADDRESS_OUTSIDE',
        `the address ${shown} is not within ${known || 'any pool: there is none'}`,
      );
    }
    if (hits.size > 1) {
      const what = [...hits.values()].some((one) => one.network !== undefined) ? 'network' : 'pool';
      throw new BerthError(
        'BAD_ADDRESS',
        `the address ${shown} lies in ${[...hits.keys()].join(' and ')}: name the ${what}`,
      );
    }
    if (!leases.pools().some((pool) => samePrefix(pool.subnet, place.subnet))) {
      throw new BerthError(
        'POOL_UNKNOWN',
        `the addresses of ${formatPrefix(place.subnet)} are given out by Docker itself: make the network with --ipam-driver`,
      );
    }
    return place;
  }

  const found = (text: string): readonly Reservation[] => {
    const address = readAddress(text);
    const all = reservations.all().filter((one) => formatAddress(one.address) === formatAddress(address));
    if (all.length === 0) throw new BerthError('NOT_FOUND', `the address ${formatAddress(address)} is not reserved`);
    return all;
  };

  /** Those to be given free; what one tenant has reserved does not go with another's. */
  async function foundIn(text: string, network: string | null): Promise<readonly Reservation[]> {
    const all = found(text);
    const of = [...new Set(all.map((one) => one.network ?? `all networks with ${formatPrefix(one.subnet)}`))];
    if (network === null) {
      if (of.length === 1 || all.every((one) => one.network === undefined)) return all;
      throw new BerthError('BAD_ADDRESS', `the address ${text} is reserved in ${of.join(' and ')}: name the network`);
    }
    // The network itself may have gone.
    const named = all.filter((one) => one.network === network);
    if (named.length > 0) return named;
    const places = (await placesOf(network)).map(describePlace);
    const its = all.filter((one) => places.includes(describePlace(one)));
    if (its.length === 0)
      throw new BerthError('NOT_FOUND', `the address ${text} is reserved in ${of.join(' and ')} only`);
    return its;
  }

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
      const place = await placeFor(address, network, pool);
      const reservation: Reservation = {
        subnet: place.subnet,
        address,
        ...(place.network === undefined ? {} : { network: place.network }),
        ...(mac === undefined ? {} : { mac }),
        ...(name === undefined ? {} : { name }),
        createdAt: parts.now(),
      };
      await reservations.add(reservation);
      return view(reservation);
    },

    'DELETE reservations': async ({ path, query }) => {
      const all = await foundIn(path[1] ?? '', query.get('network'));
      for (const reservation of all) await reservations.remove(reservation);
      return all.map(view);
    },
  };
}

const describePlace = ({ subnet, network }: Place): string =>
  `${formatPrefix(subnet)}${network === undefined ? '' : ` of ${network}`}`;

function readAddress(text: string): Address {
  const address = parseAddress(text);
  if (address === undefined) throw new BerthError('BAD_ADDRESS', `'${text.slice(0, 64)}' is not an address`);
  return address;
}
