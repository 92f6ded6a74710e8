/** Tells whether a table is still as it was made, from nft's own listing of it. Pure. */

import type { NftObject } from './library.ts';

/**
 * A listing without what changes by itself or with every making: handles, counters, and the elements of named sets, which
 * are objects of their own. Two listings of the same body are equal.
 */
export function fingerprint(listing: readonly NftObject[]): string {
  return JSON.stringify(listing.map((object) => strip(object, undefined)));
}

/** What differs between two fingerprints, as a sentence for a drift report. */
export function difference(expected: string, found: string): string {
  const before = new Set(parts(expected));
  const after = new Set(parts(found));
  const removed = [...before].filter((part) => !after.has(part));
  const added = [...after].filter((part) => !before.has(part));
  if (removed.length === 0 && added.length === 0) return 'in another order';
  return [...removed.map((part) => `without ${part}`), ...added.map((part) => `with ${part}`)].join(', ');
}

function parts(print: string): string[] {
  return (JSON.parse(print) as unknown[]).map((part) => JSON.stringify(part));
}

/** Keys that hold a position in the kernel, not a meaning. */
const positional = new Set(['handle', 'index']);

function strip(value: unknown, under: string | undefined): unknown {
  if (Array.isArray(value)) {
    const items = value.map((item) => strip(item, undefined));
    // The kernel lists an anonymous set in the order of a hash that is seeded anew for each set.
    return under === 'set' ? items.map((item) => JSON.stringify(item)).sort() : items;
  }
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([name]) => !positional.has(name));
  if (under === 'counter' || under === 'quota') return stripState(entries);
  if (under === 'set' || under === 'map')
    return Object.fromEntries(entries.filter(([name]) => name !== 'elem').map(stripEntry));
  return Object.fromEntries(entries.map(stripEntry));
}

function stripEntry([name, value]: [string, unknown]): [string, unknown] {
  return [name, strip(value, name)];
}

const state = new Set(['packets', 'bytes', 'used', 'used_unit']);

function stripState(entries: [string, unknown][]): unknown {
  return Object.fromEntries(entries.filter(([name]) => !state.has(name)));
}
