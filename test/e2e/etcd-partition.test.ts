/** Three members of etcd of which one is cut off from the others, but not from us: it answers, and knows of no leader. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { isolate } from '../../src/kernel/isolate.ts';
import { openEtcdStore } from '../../src/store/etcd/store.ts';
import { startEtcd } from '../../src/store/etcd/testing/etcd.ts';
import type { WatchMessage } from '../../src/store/store.ts';
import { waitFor } from './bed/process.ts';

isolate();

const FIRST_USER = 61_000;
const nft = (rules: string) => execFileSync('nft', ['-f', '-'], { input: rules });

/** What a member sends to the others, whoever began, and what they send to it. */
const cutOff = (user: number, port: number, peers: string) => `
  table inet cut {
    chain out {
      type filter hook output priority 0;
      meta skuid ${user} tcp dport { ${peers} } drop
      meta skuid ${user} tcp sport { ${peers} } drop
      tcp dport ${port} drop
    }
  }
`;

test('whichever member is cut off, also the leader: another is asked, no watch misses a change, no write is lost', {
  timeout: 120_000,
}, async () => {
  await using etcd = await startEtcd({ members: 3, firstUser: FIRST_USER });
  const store = await openEtcdStore({ endpoints: etcd.endpoints });
  const peers = etcd.members.map(({ peerPort }) => peerPort).join(', ');
  const stop = new AbortController();
  const seen: WatchMessage[] = [];
  const watching = (async () => {
    for await (const message of store.watch('k/', 1, stop.signal)) seen.push(message);
  })();
  const written: number[] = [];
  const create = async (key: string) => {
    await waitFor(`${key} to be written`, async () => {
      const then = [{ do: 'put', key, value: '' }] as const;
      try {
        await store.transact({ if: [{ key, is: 'absent' }], then });
        return true;
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'STORE_UNAVAILABLE');
        return false;
      }
    });
    written.push((await store.get(key))!.modRevision);
  };
  const caughtUp = () => waitFor('the watch to see all', () => Promise.resolve(seen.length >= written.length));
  try {
    await create('k/before');
    for (const n of [0, 1, 2]) {
      nft(cutOff(FIRST_USER + n, etcd.members[n]!.peerPort, peers));
      // It has noticed, and says so to who asks for a leader.
      await waitFor(`member ${n} to be alone`, async () => {
        const alone = await etcd.members[n]!.ctl('get', 'x', '--command-timeout=300ms').catch(() => 'alone');
        return alone === 'alone';
      });
      for (let round = 0; round < 5; round++) await create(`k/${n}/${round}`);
      await caughtUp();
      nft('delete table inet cut');
      await create(`k/${n}/after`);
    }
    await caughtUp();
    assert.deepEqual(
      seen.map(({ revision }) => revision),
      written,
    );
  } finally {
    stop.abort();
    await watching;
    await store.close();
  }
});
