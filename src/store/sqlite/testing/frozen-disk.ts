/**
 * What the store does while its disk hangs: the file system is frozen, so every write to it waits (ioctl FIFREEZE). Runs in
 * its own process and mount namespace. Somebody else thaws it after a while should this process be unable to.
 */

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Operation } from '../../store.ts';
import { openSqliteStore } from '../store.ts';

const directory = process.argv[2]!;
const DEADLINE = 400;
const put = (key: string, lease?: string): Operation => ({
  do: 'put',
  key,
  value: '1',
  ...(lease === undefined ? {} : { lease }),
});

const store = await openSqliteStore(join(directory, 'state.db'), { deadline: DEADLINE });
/** Seconds; shorter than the disk hangs, longer than a busy machine takes for a call. */
const TTL = 4;
/** Milliseconds in which a lease ends that nobody renews, or would. */
const LONG_OVER = TTL * 1000 + 1500;
const lease = await store.grantLease(TTL);
const neglected = await store.grantLease(TTL);
await store.transact({ then: [put('before'), put('leased', lease), put('neglected', neglected)] });
const watched: string[] = [];
const watching = (async () => {
  for await (const message of store.watch('', 1, AbortSignal.timeout(20_000))) {
    assert.equal(message.type, 'changes');
    for (const change of message.changes) if (change.type === 'put') watched.push(change.entry.key);
    if (watched.includes('after')) return;
  }
})();

const thawing = spawn('sh', ['-c', `sleep 15; fsfreeze -u ${directory} 2>/dev/null`], {
  stdio: 'ignore',
  detached: true,
});
thawing.unref();
for (const one of [lease, neglected]) assert.ok(await store.keepAlive(one));
execFileSync('fsfreeze', ['-f', directory]);

let longestPause = 0;
let last = performance.now();
const ticking = setInterval(() => {
  longestPause = Math.max(longestPause, performance.now() - last);
  last = performance.now();
}, 5);

const unavailable = { code: 'STORE_UNAVAILABLE' };
const begun = performance.now();
await Promise.all([
  assert.rejects(store.transact({ then: [put('during')] }), unavailable),
  assert.rejects(
    (async () => {
      await delay(50);
      await store.transact({ then: [put('queued')] });
    })(),
    unavailable,
  ),
  assert.rejects(store.get('before'), unavailable),
  assert.rejects(store.list(''), unavailable),
  assert.rejects(store.keepAlive(lease), unavailable),
]);
const took = performance.now() - begun;
assert.ok(took < DEADLINE + 1500, `the calls came back after ${took} ms`);
// The lease would be long over by now, but nobody could renew it.
await delay(LONG_OVER);
clearInterval(ticking);
assert.ok(longestPause < 1000, `the main thread stood still for ${longestPause} ms`);

execFileSync('fsfreeze', ['-u', directory]);
process.kill(-thawing.pid!);
/** Repeats what the disk may still hold up. */
async function revived<Value>(call: () => Promise<Value>): Promise<Value> {
  for (let tries = 0; ; tries++) {
    try {
      return await call();
    } catch (error) {
      assert.equal((error as { code?: string }).code, 'STORE_UNAVAILABLE');
      assert.ok(tries < 20, 'the store did not come back');
    }
  }
}
assert.equal(
  await revived(() => store.keepAlive(neglected)),
  true,
  'the stall ended the lease that nobody tried to renew',
);
assert.equal(await revived(() => store.keepAlive(lease)), true, 'the stall ended the lease');
assert.ok((await revived(() => store.transact({ then: [put('after')] }))).committed);
assert.equal((await store.get('leased'))?.value, '1');
// The caller of `queued` was told that it failed, long before its turn came: it must not happen behind its back.
assert.equal(await store.get('queued'), undefined);
await watching;
assert.deepEqual(watched.slice(0, 3), ['before', 'leased', 'neglected']);
await delay(LONG_OVER);
assert.equal(await store.get('leased'), undefined, 'a lease that is not renewed still ends');
await store.close();
