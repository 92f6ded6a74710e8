/** Identities that other programs chose, and the short names derived from them. */

import { createHash } from 'node:crypto';

declare const brand: unique symbol;

/** Docker's id of a network: 64 hexadecimal digits, or 25 base-36 characters from swarm. Opaque. */
export type NetworkId = string & { readonly [brand]: 'NetworkId' };
/** Docker's id of an endpoint. A container gets a new one at each start. Opaque. */
export type EndpointId = string & { readonly [brand]: 'EndpointId' };
/** Berth's name of a pool, see `poolId`. Docker keeps it and sends it back for years. */
export type PoolId = string & { readonly [brand]: 'PoolId' };
/** The engine's own id (`docker info`, field ID); the owner of leases. */
export type EngineId = string & { readonly [brand]: 'EngineId' };

const OBJECT_ID = /^[0-9a-zA-Z]{12,64}$/;

export function parseNetworkId(text: string): NetworkId | undefined {
  return OBJECT_ID.test(text) ? (text as NetworkId) : undefined;
}

export function parseEndpointId(text: string): EndpointId | undefined {
  return OBJECT_ID.test(text) ? (text as EndpointId) : undefined;
}

/**
 * Whether an interface may be called so, as the kernel sees it (`dev_valid_name`, net/core/dev.c: 1 to 15 bytes, no slash, colon
 * or white space, not `.` or `..`); we take ASCII only.
 */
export function isLinkName(text: string): boolean {
  return /^[0-9A-Za-z_.@-]{1,15}$/.test(text) && text !== '.' && text !== '..';
}

/**
 * A name for a kernel link that is derived from an id: always the same, and within IFNAMSIZ (15 characters). Hashed, because
 * ids of swarm are not hexadecimal, and because 5 characters of an id, as the old local plugin took, collide.
 *
 * @param role two or three characters that say what the link is, such as `bt` for a network's bridge.
 */
export function linkName(role: string, id: string): string {
  const digest = createHash('sha256').update(id).digest('hex');
  return `${role}${digest.slice(0, 15 - role.length)}`;
}
