/** What hosts tell of themselves in the shared store. */

import * as z from 'zod';
import { type Address, formatAddress, parseAddress } from '../../model/address.ts';
import { SCHEMA_VERSION } from '../../model/keys.ts';
import { decodeRecord, parsed } from '../../store/record.ts';
import type { Entry } from '../../store/store.ts';

const StoredHost = z.object({
  identity: z.string(),
  vtep: parsed(parseAddress, 'an address').optional(),
  berth: z.string(),
  engine: z.object({ id: z.string(), version: z.string() }).optional(),
});

/** A host, as its agent describes it. It stands when the agent has gone. */
export interface HostRecord {
  /** Tells two machines apart that go by the same name. */
  readonly identity: string;
  readonly vtep?: Address;
  /** The version of its agent. */
  readonly berth: string;
  readonly engine?: { readonly id: string; readonly version: string };
}

export function encodeHost({ vtep, ...host }: HostRecord): string {
  const end = vtep === undefined ? {} : { vtep: formatAddress(vtep) };
  return JSON.stringify({ version: SCHEMA_VERSION, ...host, ...end });
}

/** @throws BerthError STORE_NEWER, STORE_CORRUPT naming the key. */
export function decodeHost({ key, value }: Pick<Entry, 'key' | 'value'>): HostRecord {
  const { vtep, engine, ...record } = decodeRecord(StoredHost, key, value);
  return { ...record, ...(vtep === undefined ? {} : { vtep }), ...(engine === undefined ? {} : { engine }) };
}
