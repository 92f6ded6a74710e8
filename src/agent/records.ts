/** Networks and endpoints as the store holds them: JSON with text where memory has values, and a version. */

import * as z from 'zod';
import { formatAddress, parseAddress } from '../model/address.ts';
import type { EndpointId, NetworkId, PoolId } from '../model/ids.ts';
import { SCHEMA_VERSION } from '../model/keys.ts';
import { parseMac } from '../model/mac.ts';
import type { Endpoint, Json, Network, Subnet } from '../model/network.ts';
import { formatPrefix, parseInterfaceAddress, parsePrefix } from '../model/prefix.ts';
import { decodeRecord, parsed, parseRecord } from '../store/record.ts';

const address = parsed(parseAddress, 'an address');
const strings = z.record(z.string(), z.string());
const json = z.json() as unknown as z.ZodType<Json>;

/** The subnets of a network, wherever one is kept: read as `Subnet`s, and written by `encodeSubnets`. */
export const SubnetRecords = z.array(
  z
    .object({
      prefix: parsed(parsePrefix, 'a subnet'),
      gateway: address.optional(),
      auxiliary: z.record(z.string(), address),
    })
    .transform(({ gateway, ...subnet }): Subnet => (gateway === undefined ? subnet : { ...subnet, gateway })),
);

export function encodeSubnets(subnets: readonly Subnet[]): Json {
  return subnets.map(({ prefix, gateway, auxiliary }) => ({
    prefix: formatPrefix(prefix),
    gateway: gateway && formatAddress(gateway),
    auxiliary: Object.fromEntries(Object.entries(auxiliary).map(([name, held]) => [name, formatAddress(held)])),
  }));
}

const NetworkRecord = z.object({
  id: z.string(),
  fabric: z.enum(['lan', 'cluster', 'neutron']),
  plugin: z.string(),
  subnets: SubnetRecords,
  leased: z.boolean(),
  pools: z.array(z.string()).optional(),
  internal: z.boolean(),
  options: strings,
  settings: json,
  adHoc: z.literal(true).optional(),
  createdAt: z.number(),
});

/** What a journal entry says is under way. */
const JournalRecord = z.object({
  name: z.string(),
  operation: z.enum(['attach', 'remove', 'open', 'close']),
  target: z.string(),
});
export type JournalEntry = Readonly<z.infer<typeof JournalRecord>>;

const AttachmentRecord = z.object({
  container: z.object({ id: z.string(), name: z.string() }),
  keep: z.boolean(),
  interface: z.string(),
  gateways: z.array(address),
  displaced: z.array(z.object({ via: address, link: z.string() })),
  request: z.string(),
});

const EndpointRecord = z.object({
  id: z.string(),
  network: z.string(),
  phase: z.enum(['created', 'attached', 'removing']),
  addresses: z.array(parsed(parseInterfaceAddress, 'an address with a length')),
  mac: parsed(parseMac, 'a MAC address'),
  gateways: z.array(address).optional(),
  routes: z.array(z.object({ destination: parsed(parsePrefix, 'a subnet'), via: address.optional() })).optional(),
  mtu: z.number().optional(),
  sandbox: z.string().optional(),
  sandboxInterface: z.string().optional(),
  publishes: z.boolean(),
  options: strings,
  settings: json,
  attachment: AttachmentRecord.optional(),
  createdAt: z.number(),
});

export function decodeJournal(key: string, value: string): JournalEntry {
  return decodeRecord(JournalRecord, key, value);
}

/** Whoever wrote the note knows what it should be. */
export function decodeNote(key: string, value: string): Json {
  return parseRecord(key, value) as Json;
}

export function decodeNetwork(key: string, value: string): Network {
  const { adHoc, pools, ...record } = decodeRecord(NetworkRecord, key, value);
  return {
    ...record,
    id: record.id as NetworkId,
    ...(pools === undefined ? {} : { pools: pools as readonly string[] as readonly PoolId[] }),
    ...(adHoc === undefined ? {} : { adHoc }),
  };
}

export function encodeNetwork(network: Network): string {
  return JSON.stringify({
    version: SCHEMA_VERSION,
    ...network,
    subnets: encodeSubnets(network.subnets),
  });
}

export function decodeEndpoint(key: string, value: string): Endpoint {
  const { sandbox, sandboxInterface, gateways, routes, mtu, attachment, ...record } = decodeRecord(
    EndpointRecord,
    key,
    value,
  );
  return {
    ...record,
    id: record.id as EndpointId,
    network: record.network as NetworkId,
    ...(gateways === undefined ? {} : { gateways }),
    ...(routes === undefined
      ? {}
      : { routes: routes.map(({ destination, via }) => (via === undefined ? { destination } : { destination, via })) }),
    ...(mtu === undefined ? {} : { mtu }),
    ...(sandbox === undefined ? {} : { sandbox }),
    ...(sandboxInterface === undefined ? {} : { sandboxInterface }),
    ...(attachment === undefined ? {} : { attachment }),
  };
}

export function encodeEndpoint(endpoint: Endpoint): string {
  return JSON.stringify({
    version: SCHEMA_VERSION,
    ...endpoint,
    addresses: endpoint.addresses.map(formatPrefix),
    attachment: endpoint.attachment && {
      ...endpoint.attachment,
      gateways: endpoint.attachment.gateways.map(formatAddress),
      displaced: endpoint.attachment.displaced.map(({ via, link }) => ({ via: formatAddress(via), link })),
    },
    gateways: endpoint.gateways?.map(formatAddress),
    routes: endpoint.routes?.map(({ destination, via }) => ({
      destination: formatPrefix(destination),
      via: via && formatAddress(via),
    })),
  });
}
