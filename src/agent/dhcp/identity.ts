/**
 * As whom a container asks for its address. The same container, also made anew under its name, must be the same to the DHCP
 * server: so its MAC and client id follow from its identity, and from which host it is on.
 */

import { createHash } from 'node:crypto';
import type { Client } from '../../dhcp/client.ts';
import { type Mac, macBytes, macFromBytes } from '../../model/mac.ts';

/** What is known about who is about to start. */
export type Identity =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'mac'; readonly mac: Mac }
  | { readonly kind: 'container'; readonly name: string }
  | { readonly kind: 'compose'; readonly project: string; readonly service: string; readonly number: string }
  | { readonly kind: 'endpoint'; readonly id: string };

/** In words, unique among identities. */
export function describeIdentity(identity: Identity): string {
  switch (identity.kind) {
    case 'name':
      return `identity ${identity.name}`;
    case 'mac':
      return `MAC ${identity.mac}`;
    case 'container':
      return `container ${identity.name}`;
    case 'compose':
      return `service ${identity.project}/${identity.service}/${identity.number}`;
    case 'endpoint':
      return `endpoint ${identity.id}`;
  }
}

/** The name of an identity's record on a link: it may have one of DHCPv6, too. */
export function leaseKey(link: string, identity: string, family?: 6): string {
  const whose = family === undefined ? identity : `${identity}\nIPv6`;
  return createHash('sha256').update(`${link}\n${whose}`).digest('hex').slice(0, 32);
}

export interface ClientRequest {
  readonly identity: string;
  /** Tells this host from others: two of them may have a container of the same name. */
  readonly hostKey: string;
  readonly link: string;
  /** The MAC that the container must have; absent: one is derived. */
  readonly mac?: Mac;
  /** `mac`: option 61 is the MAC, as reservations in most servers expect. `identity`: it is a DUID of the identity. */
  readonly clientId: 'mac' | 'identity';
  /** In its place, what the user gave. */
  readonly ownClientId?: Uint8Array;
  readonly hostName?: string;
  /** In which the name is to be entered into the DNS. */
  readonly domain?: string;
  readonly vendorClass?: string;
  readonly leaseTime?: number;
}

export function clientOf(request: ClientRequest): Client {
  const digest = createHash('sha256').update(`${request.hostKey}\n${request.link}\n${request.identity}`).digest();
  // Locally administered, unicast (IEEE 802): the first octet is fixed, forty bits are left to chance.
  const mac = request.mac ?? macFromBytes(Uint8Array.of(0x02, ...digest.subarray(0, 5)));
  const hostName = request.hostName === undefined ? undefined : toHostName(request.hostName);
  return {
    mac,
    clientId: request.ownClientId ?? clientIdOf(request.clientId, mac, digest),
    ...(hostName === undefined ? {} : { hostName }),
    ...(hostName === undefined || request.domain === undefined ? {} : { fqdn: `${hostName}.${request.domain}` }),
    ...(request.vendorClass === undefined ? {} : { vendorClass: request.vendorClass }),
    ...(request.leaseTime === undefined ? {} : { leaseTime: request.leaseTime }),
  };
}

function clientIdOf(kind: ClientRequest['clientId'], mac: Mac, digest: Uint8Array): Uint8Array {
  // RFC 2132 §9.14: the hardware's type and its address.
  if (kind === 'mac') return Uint8Array.of(1, ...macBytes(mac));
  // RFC 4361 §6.1: type 255, an identity association, and a DUID; of type 4, a UUID (RFC 6355).
  return Uint8Array.of(255, ...digest.subarray(8, 12), 0, 4, ...digest.subarray(12, 28));
}

/** A container's name as a host name (RFC 1123 §2.1): letters, digits and hyphens, none at the ends, 63 at most. */
export function toHostName(name: string): string | undefined {
  const text = name
    .replaceAll(/[^0-9A-Za-z-]+/g, '-')
    .slice(0, 63)
    .replaceAll(/^-+|-+$/g, '');
  return text === '' ? undefined : text;
}
