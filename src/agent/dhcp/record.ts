/** A DHCP lease as the store holds it: everything that a restarted agent needs to go on with it. */

import * as z from 'zod';
import type { Client, Server } from '../../dhcp/client.ts';
import type { Terms } from '../../dhcp/terms.ts';
import { formatAddress, parseAddress } from '../../model/address.ts';
import type { EndpointId, NetworkId } from '../../model/ids.ts';
import { parseMac } from '../../model/mac.ts';
import type { Json } from '../../model/network.ts';
import { formatPrefix, parseInterfaceAddress, parsePrefix } from '../../model/prefix.ts';

export interface Grant {
  readonly terms: Terms;
  readonly server: Server;
  /** When it was asked for, from which its times count. Milliseconds since the epoch. */
  readonly requestedAt: number;
}

export interface DhcpLease {
  /** Whose it is, on which link: also the name of the record. */
  readonly key: string;
  /** In words, such as `container web`. */
  readonly identity: string;
  readonly link: string;
  /** Of DHCPv6. Absent: IPv4. */
  readonly family?: 6;
  /** The address is of the container's own making; only what a server says besides is kept with it. */
  readonly stateless?: true;
  readonly network: NetworkId;
  readonly client: Client;
  /** The container that it is kept for, as soon as it is known. */
  readonly container?: string;
  /** Where that container's root file system is mounted, and its ports: by these it is known when it starts. */
  readonly root?: string;
  readonly exposes?: readonly string[];
  /** That uses it now. */
  readonly endpoint?: EndpointId;
  /** The server was asked for this, and its answer has not been written down. */
  readonly requested?: Grant;
  readonly granted?: Grant;
  /** The container's address is not (any more) the granted one: it was refused, or ran out. */
  readonly lost?: { readonly address: string; readonly reason: string };
}

const parsed = <Value>(parse: (text: string) => Value | undefined) =>
  z.string().transform((text, context): Value => {
    const value = parse(text);
    if (value !== undefined) return value;
    context.addIssue({ code: 'custom', message: `'${text}' cannot be read` });
    return z.NEVER;
  });

const address = parsed(parseAddress);
/** JSON has no infinity. */
const seconds = z
  .number()
  .nullable()
  .transform((value) => value ?? Infinity);

const hex = z
  .string()
  .regex(/^([0-9a-f]{2})+$/)
  .transform((text) => Uint8Array.from(Buffer.from(text, 'hex')));

const GrantRecord = z.object({
  terms: z.object({
    address: parsed(parseInterfaceAddress),
    server: address,
    lease: seconds,
    renew: seconds,
    rebind: seconds,
    gateway: address.optional(),
    routes: z.array(z.object({ destination: parsed(parsePrefix), via: address.optional() })),
    mtu: z.number().optional(),
    dns: z.array(address),
    domain: z.string().optional(),
    search: z.array(z.string()),
    hostName: z.string().optional(),
  }),
  serverMac: parsed(parseMac),
  serverDuid: hex.optional(),
  requestedAt: z.number(),
});

const Record = z.object({
  version: z.literal(1),
  key: z.string(),
  identity: z.string(),
  link: z.string(),
  family: z.literal(6).optional(),
  stateless: z.literal(true).optional(),
  network: z.string(),
  client: z.object({
    mac: parsed(parseMac),
    clientId: hex,
    hostName: z.string().optional(),
    vendorClass: z.string().optional(),
    fqdn: z.string().optional(),
    leaseTime: z.number().optional(),
  }),
  container: z.string().optional(),
  root: z.string().optional(),
  exposes: z.array(z.string()).optional(),
  endpoint: z.string().optional(),
  requested: GrantRecord.optional(),
  granted: GrantRecord.optional(),
  lost: z.object({ address: z.string(), reason: z.string() }).optional(),
});

/** Absent fields stay absent, rather than undefined. */
function compact<Value extends object>(value: Value): Value {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as Value;
}

function decodeGrant({ terms, serverMac, serverDuid, requestedAt }: z.output<typeof GrantRecord>): Grant {
  return {
    terms: compact({ ...terms, routes: terms.routes.map(compact) }) as Terms,
    server: compact({ address: terms.server, mac: serverMac, duid: serverDuid }) as Server,
    requestedAt,
  };
}

/** @returns undefined for what is not readable. */
export function decodeLease(value: Json): DhcpLease | undefined {
  const result = Record.safeParse(value);
  if (!result.success) return undefined;
  const { version: _known, requested, granted, client, endpoint, network, ...rest } = result.data;
  return compact({
    ...rest,
    network: network as NetworkId,
    endpoint: endpoint as EndpointId | undefined,
    client: compact(client),
    requested: requested && decodeGrant(requested),
    granted: granted && decodeGrant(granted),
  }) as DhcpLease;
}

function encodeGrant({ terms, server, requestedAt }: Grant): Json {
  const { address: held, server: id, gateway, routes, dns, lease, renew, rebind, search, ...rest } = terms;
  const finite = (value: number) => (value === Infinity ? null : value);
  return {
    terms: {
      ...rest,
      address: formatPrefix(held),
      server: formatAddress(id),
      lease: finite(lease),
      renew: finite(renew),
      rebind: finite(rebind),
      gateway: gateway && formatAddress(gateway),
      routes: routes.map(({ destination, via }) => ({
        destination: formatPrefix(destination),
        via: via && formatAddress(via),
      })),
      dns: dns.map(formatAddress),
      search: [...search],
    },
    serverMac: server.mac,
    serverDuid: server.duid && Buffer.from(server.duid).toString('hex'),
    requestedAt,
  };
}

export function encodeLease(lease: DhcpLease): Json {
  const { client, requested, granted, lost, ...rest } = lease;
  return {
    version: 1,
    ...rest,
    client: { ...client, clientId: Buffer.from(client.clientId).toString('hex') },
    requested: requested && encodeGrant(requested),
    granted: granted && encodeGrant(granted),
    lost: lost && { ...lost },
  };
}
