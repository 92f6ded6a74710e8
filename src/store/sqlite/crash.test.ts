import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openSqliteStore } from './store.ts';

const WRITER = fileURLToPath(new URL('./testing/crash-writer.ts', import.meta.url));
const KILLS = 20;

/** Lets the writer work for a while, kills it, and gives back what it was told is durable. */
async function writeAndKill(path: string, from: number, milliseconds: number): Promise<number[]> {
  const child = spawn(process.execPath, [WRITER, path, `${from}`], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  const started = Promise.withResolvers<void>();
  child.stdout.on('data', (data) => {
    output += data;
    started.resolve();
  });
  const closed = new Promise<NodeJS.Signals | null>((resolve) => child.on('close', (_, signal) => resolve(signal)));
  await Promise.race([started.promise, closed]);
  await delay(milliseconds);
  child.kill('SIGKILL');
  assert.equal(await closed, 'SIGKILL', 'the writer ended by itself');
  // A last line without its end was not heard.
  return output.split('\n').slice(0, -1).map(Number);
}

it(`loses and tears nothing when its process is killed ${KILLS} times while it writes`, {
  timeout: 120_000,
}, async () => {
  const directory = await mkdtemp(join(tmpdir(), 'berth-crash-'));
  const path = join(directory, 'state.db');
  try {
    let from = 0;
    let total = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      const acknowledged = await writeAndKill(path, from, 10 + ((kill * 37) % 120));
      total += acknowledged.length;
      const store = await openSqliteStore(path);
      const { entries, revision } = await store.list('');
      const left = new Map(entries.filter(({ key }) => key.startsWith('left/')).map((e) => [e.key.slice(5), e]));
      const right = new Map(entries.filter(({ key }) => key.startsWith('right/')).map((e) => [e.key.slice(6), e]));
      assert.deepEqual([...left.keys()], [...right.keys()], 'one half of a transaction is missing');
      for (const [n, entry] of left) {
        assert.equal(entry.modRevision, right.get(n)!.modRevision);
        assert.ok(entry.modRevision <= revision);
        assert.equal(entry.value, `${n}:${'x'.repeat(Number(n) % 3000)}`);
      }
      const newest = Math.max(...acknowledged, ...[...left.keys()].map(Number));
      // Older ones may have been deleted by transactions that were under way, at most 8 of them.
      for (const n of acknowledged) {
        if (n > newest - 500) assert.ok(left.has(`${n}`), `${n} was acknowledged and is lost`);
      }
      await followsFromHistory(store, revision, new Map(entries.map((entry) => [entry.key, entry.value])), from === 0);
      await store.close();
      from = newest + 1000;
    }
    assert.ok(total > 500, `only ${total} transactions were acknowledged`);
  } finally {
    await rm(directory, { recursive: true });
  }
});

/** The log tells the same story as the keys: what it says last about a key is what stands there. */
async function followsFromHistory(
  store: Awaited<ReturnType<typeof openSqliteStore>>,
  head: number,
  present: Map<string, string>,
  whole: boolean,
): Promise<void> {
  const from = Math.max(1, head - 300);
  const last = new Map<string, string | undefined>();
  let expected = from;
  for await (const message of store.watch('', from, AbortSignal.timeout(5000))) {
    assert.equal(message.type, 'changes');
    assert.equal(message.revision, expected++, 'a revision is missing');
    for (const change of message.changes) {
      if (change.type === 'put') last.set(change.entry.key, change.entry.value);
      else last.set(change.key, undefined);
    }
    if (message.revision === head) break;
  }
  for (const [key, value] of last) assert.equal(present.get(key), value, key);
  if (whole && from === 1) assert.equal([...last.values()].filter((value) => value !== undefined).length, present.size);
}
