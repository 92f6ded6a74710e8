import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, copyFile, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Worker } from 'node:worker_threads';
import { openSqliteStore } from './store.ts';

const WRITER = fileURLToPath(new URL('./testing/crash-writer.ts', import.meta.url));

let directory: string;
let counter = 0;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'berth-open-'));
});
after(async () => {
  await rm(directory, { recursive: true });
});
const newPath = () => join(directory, `${++counter}`, 'state.db');

async function filled(path: string, keys = 200): Promise<void> {
  const store = await openSqliteStore(path);
  for (let n = 0; n < keys; n += 50) {
    const then = Array.from(
      { length: 50 },
      (_, i) => ({ do: 'put', key: `k/${n + i}`, value: 'x'.repeat(300) }) as const,
    );
    await store.transact({ then });
  }
  await store.close();
}

/** The bytes of the file and of its journal; looking at a file may leave an empty one. */
async function contents(path: string): Promise<string> {
  const wal = await readFile(`${path}-wal`, 'base64').catch(() => '');
  return `${await readFile(path, 'base64')} ${wal}`;
}

/** Opening fails with the code, twice, and changes nothing. */
async function refused(path: string, code: string): Promise<void> {
  const before = await contents(path);
  for (let n = 0; n < 2; n++) {
    await assert.rejects(openSqliteStore(path), (error: Error & { code?: string }) => {
      assert.equal(error.code, code, error.message);
      assert.ok(error.message.includes(path), error.message);
      return true;
    });
  }
  assert.ok(before === (await contents(path)), 'the file was changed');
}

describe('the state file', () => {
  it('is made with its directory, readable by nobody else, and so is its journal', async () => {
    const path = newPath();
    const store = await openSqliteStore(path);
    await store.transact({ then: [{ do: 'put', key: 'a', value: '1' }] });
    for (const name of await readdir(join(path, '..'))) {
      assert.equal((await stat(join(path, '..', name))).mode & 0o777, 0o600, name);
    }
    assert.equal((await stat(join(path, '..'))).mode & 0o777, 0o700);
    await store.close();
    assert.deepEqual(await readdir(join(path, '..')), ['state.db']);
  });

  it('loses the rights of others that somebody gave it', async () => {
    const path = newPath();
    await filled(path);
    await chmod(path, 0o644);
    const store = await openSqliteStore(path);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    await store.close();
  });

  it('is used when it is empty, as a crash right after its making leaves it', async () => {
    const path = newPath();
    await filled(path);
    await truncate(path);
    const store = await openSqliteStore(path);
    assert.deepEqual((await store.list('')).entries, []);
    await store.close();
  });

  it('is refused when it is no database', async () => {
    const path = newPath();
    await filled(path);
    await writeFile(path, 'this is not a state file '.repeat(400));
    await refused(path, 'STORE_CORRUPT');
  });

  it('is refused when a page of it is garbage', async () => {
    const path = newPath();
    await filled(path);
    const bytes = await readFile(path);
    bytes.fill(0xa5, 3 * 4096, 4 * 4096);
    await writeFile(path, bytes);
    await refused(path, 'STORE_CORRUPT');
  });

  it('is refused when its end is missing', async () => {
    const path = newPath();
    await filled(path);
    await truncate(path, ((await stat(path)).size / 4096 / 2) * 4096);
    await refused(path, 'STORE_CORRUPT');
  });

  it('is refused, and its journal left beside it, when it was damaged after a crash', async () => {
    const path = newPath();
    await filled(path, 2000);
    const writing = await openSqliteStore(path);
    await writing.transact({ then: [{ do: 'put', key: 'late', value: '1' }] });
    const copy = newPath();
    await filled(copy, 50);
    await copyFile(path, copy);
    await copyFile(`${path}-wal`, `${copy}-wal`);
    await writing.close();
    const bytes = await readFile(copy);
    bytes.fill(0xa5, 5 * 4096, 60 * 4096);
    await writeFile(copy, bytes);
    assert.ok((await stat(`${copy}-wal`)).size > 0);
    await refused(copy, 'STORE_CORRUPT');
  });

  it('is refused when it is the database of another program', async () => {
    const path = newPath();
    await filled(path);
    await rm(path);
    const other = new DatabaseSync(path);
    other.exec('CREATE TABLE something (a)');
    other.close();
    await refused(path, 'STORE_CORRUPT');
  });

  it('is refused when a later version wrote it', async () => {
    const path = newPath();
    await filled(path);
    const later = new DatabaseSync(path);
    later.exec('PRAGMA user_version = 99');
    later.close();
    await refused(path, 'STORE_NEWER');
  });

  it('is refused while another process has it', async () => {
    const path = newPath();
    const child = spawn(process.execPath, [WRITER, path, '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
    const closed = once(child, 'close');
    try {
      await once(child.stdout, 'data');
      await assert.rejects(openSqliteStore(path, { lockTimeout: 50 }), { code: 'STATE_LOCKED' });
    } finally {
      child.kill('SIGKILL');
      await closed;
    }
    const store = await openSqliteStore(path);
    assert.ok((await store.list('')).entries.length > 0);
    await store.close();
  });

  it('is refused while this process has it, which goes on undisturbed', async () => {
    const path = newPath();
    const store = await openSqliteStore(path);
    await assert.rejects(openSqliteStore(path, { lockTimeout: 50 }), { code: 'STATE_LOCKED' });
    const child = spawn(process.execPath, [WRITER, path, '0'], { stdio: 'pipe' });
    const [code] = await once(child, 'close');
    assert.equal(code, 1, 'the failed attempt must not have given up the lock');
    assert.ok((await store.transact({ then: [{ do: 'put', key: 'a', value: '1' }] })).committed);
    await store.close();
  });

  it('is refused with a sentence when it cannot be a file', async () => {
    await assert.rejects(openSqliteStore('/proc/nowhere/state.db'), { code: 'STORE_UNAVAILABLE' });
    await assert.rejects(openSqliteStore(directory), { code: 'STORE_UNAVAILABLE' });
  });
});

describe('the thread', () => {
  it('is replaced when it dies, which fails the calls that wait for it', async (t) => {
    const threads: Worker[] = [];
    const count = (worker: Worker) => void threads.push(worker);
    process.on('worker', count);
    t.after(() => process.off('worker', count));
    const store = await openSqliteStore(newPath());
    t.after(() => store.close());
    await store.transact({ then: [{ do: 'put', key: 'a', value: '1' }] });
    const lease = await store.grantLease(100);
    const watched: string[] = [];
    const watching = (async () => {
      for await (const message of store.watch('', 1, AbortSignal.timeout(60_000))) {
        if (message.type === 'changes') for (const change of message.changes) watched.push(JSON.stringify(change));
        if (watched.length === 2) return;
      }
    })();
    // Asked of a thread that has been told to stop: on a busy machine it could still answer before.
    const stopping = threads[0]!.terminate();
    await assert.rejects(store.list(''), { code: 'STORE_UNAVAILABLE' });
    await stopping;
    for (;;) {
      try {
        assert.equal((await store.get('a'))?.value, '1');
        break;
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'STORE_UNAVAILABLE');
        await setTimeout(20);
      }
    }
    assert.equal(threads.length, 2);
    await store.transact({ then: [{ do: 'put', key: 'b', value: '1' }] });
    await watching;
    assert.equal(await store.keepAlive(lease), true);
  });
});

describe('the history', () => {
  it('is forgotten in the background, so the file does not grow', async (test) => {
    const path = newPath();
    const store = await openSqliteStore(path, { keepRevisions: 100 });
    // Else its thread would keep a test that has failed from ending.
    test.after(() => store.close());
    const write = () =>
      Promise.all(
        Array.from({ length: 1000 }, (_, n) =>
          store.transact({ then: [{ do: 'put', key: `k/${n % 10}`, value: 'x'.repeat(1000) }] }),
        ),
      );
    await write();
    let { revision } = await store.list('');
    const oldest = async () => {
      for await (const message of store.watch('', 1, AbortSignal.timeout(30_000))) return message;
      return assert.fail('nothing came');
    };
    let first = await oldest();
    const forgotten = () => first.type === 'compacted' && first.revision > revision - 200;
    // On a busy machine the background comes late, and has perhaps done only a part of it.
    for (const end = performance.now() + 60_000; !forgotten() && performance.now() < end; ) {
      await setTimeout(50);
      first = await oldest();
    }
    assert.ok(forgotten(), `${JSON.stringify(first)} of ${revision}`);
    let kept = 0;
    for await (const message of store.watch('', revision - 99, AbortSignal.timeout(30_000))) {
      assert.equal(message.type, 'changes');
      if (++kept === 100) break;
    }
    for (let n = 0; n < 19; n++) await write();
    ({ revision } = await store.list(''));
    assert.equal(revision, 20_000);
    await store.close();
    const { size } = await stat(path);
    // Kept whole, the history takes more than 90 MB. How far behind the background is decides how large the file ever was.
    assert.ok(size < 60_000_000, `${size} bytes`);
  });
});
