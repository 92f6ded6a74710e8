/** Where the database of this host's Open vSwitch listens, written as Open vSwitch itself writes it (ovsdb(7), Connection Methods). */

import { parseAddress } from '../model/address.ts';

export type DatabaseAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

/** Of the packages of all distributions. */
export const DEFAULT_DATABASE: DatabaseAddress = { kind: 'unix', path: '/run/openvswitch/db.sock' };

/**
 * `unix:/run/openvswitch/db.sock`, `tcp:127.0.0.1:6640`, `tcp:[::1]:6640`; undefined for anything else. No names and no
 * `ssl:`: it is the switch that the containers of this very host are plugged into.
 */
export function parseDatabaseAddress(text: string): DatabaseAddress | undefined {
  const path = /^unix:(\/[^\0]{1,106})$/.exec(text)?.[1];
  if (path !== undefined) return { kind: 'unix', path };
  const [, bracketed, plain, digits] = /^tcp:(?:\[([^\]]+)\]|([^:]+)):([0-9]{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain ?? '';
  const port = Number(digits);
  const family = bracketed === undefined ? 4 : 6;
  if (parseAddress(host)?.family !== family || port < 1 || port > 65535) return undefined;
  return { kind: 'tcp', host, port };
}

export function formatDatabaseAddress(address: DatabaseAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  return `tcp:${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
}
