/** A relaxed transaction does not wait for the disk, and the next that does takes it along. Argument: where the disk is mounted. */

import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { openSqliteStore } from '../store.ts';

const disk = process.argv[2]!;
const { dev } = statSync(disk);
const device = `${(dev >> 8) & 0xfff}:${(dev & 0xff) | ((dev >> 12) & 0xfff00)}`;

/** Times that the disk was told to write down what it had (Documentation/block/stat.rst: the 16th number). */
function flushes(): number {
  return Number(readFileSync(`/sys/dev/block/${device}/stat`, 'utf8').trim().split(/\s+/)[15]);
}

const store = await openSqliteStore(`${disk}/state.db`);
const put = (key: string, relaxed: boolean) =>
  store.transact({ then: [{ do: 'put', key, value: 'x' }], ...(relaxed ? { relaxed } : {}) });
await put('first', false);

let before = flushes();
for (let n = 0; n < 20; n++) await put(`relaxed/${n}`, true);
assert.equal(flushes(), before, 'relaxed transactions waited for the disk');

before = flushes();
await put('durable', false);
assert.ok(flushes() > before, 'a durable transaction after relaxed ones did not wait for the disk');

before = flushes();
await Promise.all([put('relaxed', true), put('together', false)]);
assert.ok(flushes() > before, 'a durable transaction next to a relaxed one did not wait for the disk');
await store.close();
