/** What the scenarios of the conformance suite share. */

import assert from 'node:assert/strict';
import type { Change, Condition, Listing, Operation, Store, WatchMessage } from '../store.ts';

export interface StoreUnderTest {
  readonly store: Store;
  /** Closes the store and opens the same data again; absent when nothing outlives a close. */
  readonly reopen?: () => Promise<Store>;
  /** Closes it, if it is still open, and removes its data. */
  readonly close: () => Promise<void>;
}

export type Scenario = (store: Store, reopen: (() => Promise<Store>) | undefined) => Promise<void>;

export const put = (key: string, value: string, lease?: string): Operation => ({
  do: 'put',
  key,
  value,
  ...(lease === undefined ? {} : { lease }),
});
export const del = (key: string): Operation => ({ do: 'delete', key });
export const absent = (key: string): Condition => ({ key, is: 'absent' });
export const write = (store: Store, ...then: readonly Operation[]) => store.transact({ then });
export const keysOf = (listing: Listing) => listing.entries.map(({ key }) => key);

export async function committed(store: Store, ...then: readonly Operation[]): Promise<number> {
  const result = await write(store, ...then);
  assert.ok(result.committed);
  return result.revision;
}

/** The first `count` messages of a watch. Fails when they do not come within 5 s. */
export async function take(
  store: Store,
  prefix: string,
  from: number,
  count: number,
  started: () => void = () => {},
): Promise<WatchMessage[]> {
  const messages: WatchMessage[] = [];
  const signal = AbortSignal.timeout(5000);
  const watch = store.watch(prefix, from, signal);
  started();
  for await (const message of watch) {
    messages.push(message);
    if (messages.length === count) return messages;
  }
  return assert.fail(`${messages.length} of ${count} messages came: ${JSON.stringify(messages)}`);
}

export function changesOf(message: WatchMessage | undefined): readonly Change[] {
  assert.equal(message?.type, 'changes');
  return message.changes;
}

export const keyOf = (change: Change) => (change.type === 'put' ? change.entry.key : change.key);

/** Names that trip whoever forgets to quote, to count bytes, or to compare them. */
export const weirdKeys = [
  "it's",
  '"',
  '%',
  '_',
  '\\',
  'a\0b',
  'a',
  'a/',
  'a/b',
  'a0',
  'A',
  ' ',
  '\n',
  'é',
  'e\u0301',
  '\u00ff',
  '\ud7ff',
  '\ue000',
  '\uffff',
  '\u{10000}',
  '\u{10ffff}',
  '\u{10ffff}x',
  'x'.repeat(2000),
  '__proto__',
  'constructor',
];
