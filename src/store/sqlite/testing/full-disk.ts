/** What the store does on a disk that is full. Runs in its own process, with a file system of 4 MiB that is ours alone. */

import assert from 'node:assert/strict';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Store } from '../../store.ts';
import { openSqliteStore } from '../store.ts';

const directory = process.argv[2]!;
const path = join(directory, 'state.db');
const filler = join(directory, 'filler');

/** Takes what is left of the disk, or at most so many bytes. */
function fill(most = Number.POSITIVE_INFINITY): void {
  const file = openSync(filler, 'a');
  try {
    for (let written = 0; written < most; ) written += writeSync(file, Buffer.alloc(4096));
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
  } finally {
    closeSync(file);
  }
}

const kept = new Map<string, string>();

async function tryPut(store: Store, key: string, value: string): Promise<boolean> {
  try {
    await store.transact({ if: [{ key, is: 'absent' }], then: [{ do: 'put', key, value }] });
    kept.set(key, value);
    return true;
  } catch (error) {
    assert.equal((error as { code?: string }).code, 'STORE_FULL', String(error));
    return false;
  }
}

async function isAsKept(store: Store): Promise<void> {
  const { entries, revision } = await store.list('');
  assert.equal(revision, kept.size, 'what failed has made a revision');
  assert.deepEqual(new Map(entries.map(({ key, value }) => [key, value])), kept);
}

fill(2 * 1024 * 1024);
let store = await openSqliteStore(path);
let count = 0;
while (await tryPut(store, `a/${count}`, 'x'.repeat(50_000))) count++;
assert.ok(count > 5, `the disk was full after ${count}`);
await isAsKept(store);

// Together in one commit with one that is too big, those that fit must still succeed.
rmSync(filler);
fill(1024 * 1024);
const results = await Promise.all([
  tryPut(store, 'small/1', '1'),
  tryPut(store, 'too big', 'x'.repeat(4 * 1024 * 1024)),
  tryPut(store, 'small/2', '2'),
]);
assert.deepEqual(results, [true, false, true]);
await isAsKept(store);

fill();
while (await tryPut(store, `b/${count}`, 'x'.repeat(3000))) count++;
await isAsKept(store);
await store.close().catch((error: unknown) => assert.fail(`closing on a full disk: ${String(error)}`));

// A restart on a full disk still reads everything.
fill();
store = await openSqliteStore(path);
await isAsKept(store);
while (await tryPut(store, `c/${count}`, 'x'.repeat(3000))) count++;
await isAsKept(store);
rmSync(filler);
assert.ok(await tryPut(store, 'after', 'x'.repeat(50_000)), 'there is room again');
await isAsKept(store);
await store.close();
store = await openSqliteStore(path);
await isAsKept(store);
await store.close();
