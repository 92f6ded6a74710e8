/**
 * The thread that owns the state file, so that a disk that hangs holds up nobody but those who wait for it. Everything that
 * has arrived while the last commit was on its way to the disk shares the next one.
 */

import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { BerthError } from '../../model/errors.ts';
import { createLeaseClock, runLeaseTimer } from '../leases.ts';
import { createDatabase, type Database } from './database.ts';
import { storeError } from './errors.ts';
import type { Message, Outcome, Read, Request, WorkerOptions, Write } from './protocol.ts';
import { monotonic } from './protocol.ts';
import { openStateFile } from './schema.ts';

const { path, keepRevisions, lockTimeout } = workerData as WorkerOptions;
const port = parentPort!;
const post = (message: Message) => port.postMessage(message);

function failure(thrown: unknown): Outcome & { failure: unknown } {
  const { code, message } = storeError(thrown, path);
  return { failure: { code, sentence: message } };
}

function serve(database: Database): void {
  const clock = createLeaseClock(monotonic);
  for (const { id, ttl } of database.leases()) clock.grant(id, ttl);

  /** Does what is to be done at once and answers it; what has waited too long has nobody left who would hear. */
  const handle = (requests: readonly Request[]) => {
    // Renewals first and always: a lease must not end because the disk kept its renewal waiting.
    for (const { call } of requests) if (call.call === 'keepAlive') clock.keepAlive(call.lease);
    const now = monotonic();
    const waiting = requests.filter((request) => request.deadline > now);
    const writes: { id: number; write: Write }[] = [];
    for (const { id, call } of waiting) {
      if (
        call.call === 'transact' ||
        call.call === 'grantLease' ||
        call.call === 'revokeLease' ||
        call.call === 'compact'
      ) {
        writes.push({ id, write: call });
      }
    }
    if (writes.length > 0) {
      const results = commit(writes.map(({ write }) => write));
      answer(writes.map(({ id }, index) => [id, results[index]!]));
    }
    for (const { id, call } of waiting) {
      if (call.call === 'keepAlive') answer([[id, { value: clock.has(call.lease) }]]);
      else if (call.call === 'get' || call.call === 'list' || call.call === 'history') answer([[id, read(call)]]);
    }
    const close = requests.find(({ call }) => call.call === 'close');
    if (close !== undefined) stop(close.id);
    else if (writes.length > 0) tidy();
  };

  const answer = (answers: readonly (readonly [number, Outcome])[]) =>
    post({ type: 'answers', head: database.head, answers });

  const commit = (writes: readonly Write[]): readonly Outcome[] => {
    const results = database.write(writes);
    for (const [index, write] of writes.entries()) {
      if (results[index] instanceof BerthError) continue;
      if (write.call === 'grantLease') clock.grant(results[index] as string, write.ttl);
      if (write.call === 'revokeLease') clock.end(write.lease);
    }
    timer.arm();
    return results.map((value) => (value instanceof BerthError ? failure(value) : { value }));
  };

  const read = (call: Read): Outcome => {
    try {
      switch (call.call) {
        case 'get':
          return { value: database.get(call.key) };
        case 'list':
          return { value: database.list(call.prefix, call.after, call.limit) };
        case 'history':
          return { value: database.history(call.prefix, call.from) };
      }
    } catch (error) {
      return failure(error);
    }
  };

  const timer = runLeaseTimer(clock, monotonic, () => {
    handle(received());
    const overdue = clock.overdue();
    if (overdue.length === 0) return;
    const results = commit(overdue.map((lease) => ({ call: 'revokeLease', lease })));
    // What could not be ended now (the disk is full, say) is tried again, not at once.
    for (const [index, result] of results.entries()) if ('failure' in result) clock.grant(overdue[index]!, 1);
    answer([]);
  });

  /** Forgets history that nobody is expected to ask for, a little at a time while there is nothing else to do. */
  const SLACK = Math.max(10, Math.ceil(keepRevisions / 10));
  let tidying: NodeJS.Immediate | undefined;
  const tidy = () => {
    if (tidying !== undefined || database.head - database.oldest < keepRevisions + SLACK) return;
    tidying = setImmediate(() => {
      tidying = undefined;
      const target = Math.min(database.head - keepRevisions, database.oldest + 2000);
      const [result] = database.write([{ call: 'compact', revision: target }]);
      if (!(result instanceof BerthError)) tidy();
    });
  };

  const stop = (id: number) => {
    timer.stop();
    clearImmediate(tidying);
    try {
      database.close();
      answer([[id, { value: undefined }]]);
    } catch (error) {
      answer([[id, failure(error)]]);
    }
    port.close();
  };

  port.on('message', (first: Request) => handle([first, ...received()]));
  timer.arm();
  post({ type: 'opened', head: database.head });
}

function received(): Request[] {
  const requests: Request[] = [];
  for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
    requests.push(next.message as Request);
  }
  return requests;
}

try {
  serve(createDatabase(openStateFile(path, lockTimeout), path));
} catch (error) {
  post({ type: 'failed', ...failure(error) } as Message);
  port.close();
}
