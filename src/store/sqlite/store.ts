/** The embedded store: one SQLite file, for one host that needs no server. */

import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { BerthError } from '../../model/errors.ts';
import { checkTransaction, checkTtl, storeClosed } from '../check.ts';
import type { Entry, Listing, Store, TransactionResult } from '../store.ts';
import { createRevisionGauge, type HistoryPage, watchHistory } from '../watch.ts';
import { type Call, type Failure, type Message, monotonic, type Request, type WorkerOptions } from './protocol.ts';

export interface SqliteOptions {
  /** Milliseconds until a call is given up with STORE_UNAVAILABLE: the disk hangs. 5,000 when absent. */
  readonly deadline?: number;
  /** How many of the latest revisions a watch can start from; older ones are forgotten in the background. 10,000 when absent. */
  readonly keepRevisions?: number;
  /** Milliseconds to wait for another process to let go of the file. 1,000 when absent. */
  readonly lockTimeout?: number;
}

/** Opening checks the whole file, so it may take longer than a call. */
const OPEN_DEADLINE = 30_000;

/** Calls that may wait for the disk at once; more would only fill the memory while it hangs. */
const MOST_WAITING = 10_000;

/** A worker that died is replaced, at most this often. */
const RESTART_AFTER = 1000;

/** `build.ts` makes every file that is named like this an entry point, and puts its address in the bundle here. */
const WORKER = new URL('./worker.ts', import.meta.url);

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: BerthError) => void;
  readonly timer: NodeJS.Timeout;
}

/**
 * Opens the store in a file, which is made, with mode 0600, when it does not exist. All work on the file happens in a worker
 * thread; the calling thread never waits for the disk, and no call takes longer than the deadline.
 *
 * @throws BerthError STATE_LOCKED when another process has it open; STORE_CORRUPT or STORE_NEWER, the file being left as it
 *   was; STORE_FULL; STORE_UNAVAILABLE.
 */
export async function openSqliteStore(path: string, options: SqliteOptions = {}): Promise<Store> {
  const { deadline = 5000, keepRevisions = 10_000, lockTimeout = 1000 } = options;
  const link = connect({ path, keepRevisions, lockTimeout });
  await link.opened;
  const call = <T>(what: Call) => link.call(what, deadline) as Promise<T>;

  const history = {
    reached: (revision: number, signal: AbortSignal) => link.gauge.reached(revision, signal),
    async read(prefix: string, from: number): Promise<HistoryPage> {
      for (;;) {
        try {
          return await call<HistoryPage>({ call: 'history', prefix, from });
        } catch (error) {
          // A watch outlives a disk that hangs and a worker that died.
          const passing = error instanceof BerthError && error.code === 'STORE_UNAVAILABLE';
          if (!passing || link.closed) throw error;
        }
        await delay(RESTART_AFTER, undefined, { ref: false });
      }
    },
  };

  return {
    get: (key) => call<Entry | undefined>({ call: 'get', key }),
    list: (prefix, page) => call<Listing>({ call: 'list', prefix, ...page }),
    async transact(transaction) {
      checkTransaction(transaction);
      return await call<TransactionResult>({ call: 'transact', transaction });
    },
    watch: (prefix, fromRevision, signal) => watchHistory(history, prefix, fromRevision, signal),
    async grantLease(ttl) {
      checkTtl(ttl);
      return await call<string>({ call: 'grantLease', ttl });
    },
    keepAlive: (lease) => call<boolean>({ call: 'keepAlive', lease }),
    revokeLease: (lease) => call<void>({ call: 'revokeLease', lease }),
    compact: (revision) => call<void>({ call: 'compact', revision }),
    close: () => link.close(deadline),
  };
}

function connect(data: WorkerOptions) {
  const gauge = createRevisionGauge();
  const waiting = new Map<number, Waiting>();
  const opening = Promise.withResolvers<void>();
  const unavailable = (why: string, cause?: unknown) =>
    new BerthError('STORE_UNAVAILABLE', `the state file ${data.path} ${why}`, { cause });
  let worker: Worker | undefined;
  let startedAt = 0;
  let lastId = 0;
  let closed: Promise<void> | undefined;

  const settle = (id: number): Waiting | undefined => {
    const found = waiting.get(id);
    waiting.delete(id);
    clearTimeout(found?.timer);
    return found;
  };

  /** No answer will come to any of the calls that wait. */
  const abandon = (error: BerthError) => {
    worker = undefined;
    opening.reject(error);
    for (const id of waiting.keys()) settle(id)?.reject(error);
  };

  const start = (): Worker => {
    startedAt = monotonic();
    const started = new Worker(WORKER, { workerData: data, name: 'store' });
    // The timers of the calls keep the process alive while it waits for one, nothing else does.
    started.unref();
    let reason = unavailable('lost its thread');
    started.on('message', (message: Message) => {
      switch (message.type) {
        case 'opened':
          gauge.advance(message.head);
          opening.resolve();
          return;
        case 'failed':
          reason = revive(message.failure);
          return;
        case 'answers':
          for (const [id, outcome] of message.answers) {
            const call = settle(id);
            if ('failure' in outcome) call?.reject(revive(outcome.failure));
            else call?.resolve(outcome.value);
          }
          gauge.advance(message.head);
          return;
      }
    });
    started.on('error', (error) => {
      reason = unavailable(`lost its thread: ${error instanceof Error ? error.message : String(error)}`, error);
    });
    started.on('exit', () => abandon(closed === undefined ? reason : storeClosed()));
    return started;
  };

  const call = (what: Call, deadline: number): Promise<unknown> => {
    if (waiting.size >= MOST_WAITING) return Promise.reject(unavailable('is too slow; too many calls wait for it'));
    if (worker === undefined && monotonic() - startedAt < RESTART_AFTER) {
      return Promise.reject(unavailable('lost its thread, which is being restarted'));
    }
    worker ??= start();
    const id = ++lastId;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const timer = setTimeout(() => settle(id)?.reject(unavailable(`did not answer in ${deadline} ms`)), deadline);
    waiting.set(id, { resolve, reject, timer });
    worker.postMessage({ id, deadline: monotonic() + deadline, call: what } satisfies Request);
    return promise;
  };

  const opener = start();
  worker = opener;
  const tooLong = setTimeout(() => {
    abandon(unavailable('could not be opened in time'));
    closed = Promise.resolve();
    void opener.terminate();
  }, OPEN_DEADLINE);
  return {
    gauge,
    opened: opening.promise.finally(() => clearTimeout(tooLong)),
    get closed() {
      return closed !== undefined;
    },
    call: (what: Call, deadline: number) =>
      closed === undefined ? call(what, deadline) : Promise.reject(storeClosed()),
    close(deadline: number): Promise<void> {
      if (closed !== undefined) return closed;
      const done = worker === undefined ? Promise.resolve() : (call({ call: 'close' }, deadline) as Promise<void>);
      closed = done.finally(() => gauge.fail(storeClosed()));
      return closed;
    },
  };
}

function revive({ code, sentence }: Failure): BerthError {
  return new BerthError(code, sentence);
}
