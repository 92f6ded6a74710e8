/** Pools and leases as they are written in the store. */

import * as z from 'zod';
import { type Address, type Family, formatAddress, parseAddress } from '../model/address.ts';
import { type EndpointId, type NetworkId, type PoolId, parseEndpointId, parseNetworkId } from '../model/ids.ts';
import { SCHEMA_VERSION } from '../model/keys.ts';
import { type Mac, parseMac } from '../model/mac.ts';
import type { Range } from '../model/objects/ranges.ts';
import { type Lease, type Pool, type PoolLayout, poolId } from '../model/pool.ts';
import { formatPrefix, type Prefix, parsePrefix } from '../model/prefix.ts';
import type { Reservation } from '../model/reservation.ts';
import { decodeRecord, parsed } from '../store/record.ts';

const version = z.literal(SCHEMA_VERSION);
const prefix = parsed<Prefix>(parsePrefix, 'a subnet');
const address = parsed<Address>(parseAddress, 'an address');
const time = z.number().int();

const range = parsed<Range>(parseRange, 'two addresses');

const layoutSchema = z.strictObject({
  hosts: range.optional(),
  gateway: address.optional(),
  groups: z.record(z.string(), range),
});

const poolSchema = z.strictObject({
  version,
  space: z.string().min(1),
  subnet: prefix,
  range: prefix.optional(),
  released: z.boolean(),
  options: z.record(z.string(), z.string()),
  layout: layoutSchema.optional(),
  createdAt: time,
});

const holderSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('request'), name: z.string().optional() }),
  z.strictObject({
    kind: z.literal('endpoint'),
    endpoint: parsed<EndpointId>(parseEndpointId, 'the id of an endpoint'),
    network: parsed<NetworkId>(parseNetworkId, 'the id of a network'),
    name: z.string().optional(),
  }),
  z.strictObject({ kind: z.literal('swarm') }),
  z.strictObject({ kind: z.literal('gateway') }),
  z.strictObject({ kind: z.literal('auxiliary') }),
]);

const leaseSchema = z.strictObject({
  version,
  pool: z.string().min(1),
  address,
  holder: holderSchema,
  engine: z.string(),
  mac: parsed<Mac>(parseMac, 'a MAC address').optional(),
  createdAt: time,
});

const reservationSchema = z.strictObject({
  version,
  subnet: prefix,
  address,
  network: z.string().optional(),
  mac: parsed<Mac>(parseMac, 'a MAC address').optional(),
  name: z.string().optional(),
  createdAt: time,
});

export function encodePool(pool: Pool): string {
  const { space, released, options, createdAt, layout } = pool;
  const { family } = pool.subnet.address;
  const range = pool.range === undefined ? undefined : formatPrefix(pool.range);
  return JSON.stringify({
    version: SCHEMA_VERSION,
    space,
    subnet: formatPrefix(pool.subnet),
    range,
    released,
    options,
    layout: layout && {
      hosts: layout.hosts && formatRange(layout.hosts, family),
      gateway: layout.gateway && formatAddress(layout.gateway),
      groups: Object.fromEntries(
        Object.entries(layout.groups).map(([name, part]) => [name, formatRange(part, family)]),
      ),
    },
    createdAt,
  });
}

/** The same lease is the same text, whatever the order in which it was put together: texts are compared. */
export function encodeLease({ pool, address: on, holder, engine, mac, createdAt }: Lease): string {
  return JSON.stringify({
    version: SCHEMA_VERSION,
    pool,
    address: formatAddress(on),
    holder: encodeHolder(holder),
    engine,
    mac,
    createdAt,
  });
}

/** Whether it is the very same, and the address has not been claimed, or released and leased anew, since it was looked at. */
export function sameLease(one: Lease, other: Lease): boolean {
  return encodeLease(one) === encodeLease(other);
}

function encodeHolder(holder: Lease['holder']): Lease['holder'] {
  const name = 'name' in holder && holder.name !== undefined ? { name: holder.name } : {};
  switch (holder.kind) {
    case 'request':
      return { kind: holder.kind, ...name };
    case 'endpoint':
      return { kind: holder.kind, endpoint: holder.endpoint, network: holder.network, ...name };
    case 'swarm':
    case 'gateway':
    case 'auxiliary':
      return { kind: holder.kind };
  }
}

/** @throws BerthError STORE_NEWER or STORE_CORRUPT, naming the key. */
export function decodePool(key: string, text: string): Pool {
  const { version: _, range, layout, ...pool } = decodeRecord(poolSchema, key, text);
  const id = poolId(pool.space, pool.subnet, range);
  return {
    id,
    ...pool,
    ...(range === undefined ? {} : { range }),
    ...(layout === undefined ? {} : { layout: defined(layout) as PoolLayout }),
  };
}

/** @throws BerthError STORE_NEWER or STORE_CORRUPT, naming the key. */
export function decodeLease(key: string, text: string): Lease {
  const { version: _, pool, mac, holder, ...lease } = decodeRecord(leaseSchema, key, text);
  return {
    ...lease,
    pool: pool as PoolId,
    holder: defined(holder) as Lease['holder'],
    ...(mac === undefined ? {} : { mac }),
  };
}

export function encodeReservation({ subnet, address: on, network, mac, name, createdAt }: Reservation): string {
  return JSON.stringify({
    version: SCHEMA_VERSION,
    subnet: formatPrefix(subnet),
    address: formatAddress(on),
    network,
    mac,
    name,
    createdAt,
  });
}

/** @throws BerthError STORE_NEWER or STORE_CORRUPT, naming the key. */
export function decodeReservation(key: string, text: string): Reservation {
  const { version: _, ...reservation } = decodeRecord(reservationSchema, key, text);
  return defined(reservation) as Reservation;
}

/** Both ends, of either family. */
function parseRange(text: string): Range | undefined {
  const [first, last, ...more] = text.split('-').map(parseAddress);
  if (first === undefined || last === undefined || more.length > 0) return undefined;
  return first.family === last.family && first.value <= last.value
    ? { first: first.value, last: last.value }
    : undefined;
}

function formatRange({ first, last }: Range, family: Family): string {
  return `${formatAddress({ family, value: first })}-${formatAddress({ family, value: last })}`;
}

/** The object without the keys that are undefined, which the types here do not allow. */
function defined<T extends object>(object: T): object {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}
