/**
 * What one agent asks of another: a key of the shared store, on a lease that ends soon, answered in its place. So agents need not
 * reach each other, nor listen to anybody.
 */

import { randomBytes } from 'node:crypto';
import * as z from 'zod';
import { asBerthError, BerthError, type ErrorCode, errorCatalogue } from '../../model/errors.ts';
import { keys, SCHEMA_VERSION } from '../../model/keys.ts';
import { mirror } from '../../store/mirror.ts';
import { decodeRecord } from '../../store/record.ts';
import type { Entry, Store } from '../../store/store.ts';
import type { Events } from '../events.ts';

const JobRecord = z.object({
  version: z.number(),
  request: z.unknown().optional(),
  answer: z.unknown().optional(),
  error: z.object({ code: z.string(), message: z.string() }).optional(),
});

export interface Jobs {
  /**
   * Asks the agent of a host.
   *
   * @param patience milliseconds.
   * @throws BerthError HOST_SILENT when it does not answer in time, what it answers as an error, and those of the store.
   */
  ask(host: string, request: unknown, patience: number): Promise<unknown>;
  /** Does what others ask of this host, until the signal aborts. */
  follow(signal: AbortSignal): Promise<void>;
}

export interface JobsParts {
  readonly store: Store;
  readonly host: string;
  readonly events: Pick<Events, 'emit'>;
  /** Does a job. What it throws is the answer, too. */
  perform(request: unknown): Promise<unknown>;
}

/** Jobs done at a time; others wait. */
const AT_ONCE = 4;
/** Milliseconds that a job may lie about after nobody waits for it any more. */
const GRACE = 5_000;

export function createJobs({ store, host, events, perform }: JobsParts): Jobs {
  const seen = new Set<string>();
  const waiting: Entry[] = [];
  let running = 0;

  async function answer(entry: Entry): Promise<void> {
    let value: object;
    try {
      const { request } = decodeRecord(JobRecord, entry.key, entry.value);
      // Answered before our last start.
      if (request === undefined) return;
      value = { answer: (await perform(request)) ?? null };
    } catch (thrown) {
      const { code, message } = asBerthError(thrown);
      value = { error: { code, message } };
    }
    const text = JSON.stringify({ version: SCHEMA_VERSION, ...value });
    const lease = entry.lease === undefined ? {} : { lease: entry.lease };
    await store.transact({
      if: [{ key: entry.key, is: 'at', revision: entry.modRevision }],
      then: [{ do: 'put', key: entry.key, value: text, ...lease }],
    });
  }

  function next(): void {
    while (running < AT_ONCE) {
      const entry = waiting.shift();
      if (entry === undefined) return;
      running += 1;
      void answer(entry)
        // Nobody waits for it any more, or the store is away: then it is asked again.
        .catch(() => undefined)
        .finally(() => {
          running -= 1;
          next();
        });
    }
  }

  return {
    async ask(whom, request, patience) {
      const key = keys.job(whom, randomBytes(8).toString('hex'));
      const lease = await store.grantLease(Math.ceil((patience + GRACE) / 1000));
      const stop = new AbortController();
      const timer = setTimeout(() => stop.abort(), patience);
      try {
        const value = JSON.stringify({ version: SCHEMA_VERSION, request });
        // With a condition, though the key is new: so it is never written a second time, over an answer.
        const { revision } = await store.transact({
          if: [{ key, is: 'absent' }],
          then: [{ do: 'put', key, value, lease }],
        });
        for await (const message of store.watch(key, revision + 1, stop.signal)) {
          if (message.type === 'compacted') break;
          for (const change of message.changes) if (change.type === 'put') return answerIn(change.entry);
        }
        const found = await store.get(key);
        if (found !== undefined && found.modRevision > revision) return answerIn(found);
      } finally {
        clearTimeout(timer);
        stop.abort();
        await store.revokeLease(lease).catch(() => undefined);
      }
      throw new BerthError('HOST_SILENT', `the agent of the host ${whom} did not answer within ${patience / 1000} s`);
    },

    follow: (signal) =>
      mirror(
        {
          store,
          prefix: keys.jobsOf(host),
          absorb(key, entry) {
            if (entry === undefined) return void seen.delete(key);
            if (seen.has(key)) return;
            seen.add(key);
            waiting.push(entry);
          },
          changed: next,
        },
        signal,
      ).catch((error: unknown) => {
        if (!signal.aborted) events.emit('cluster.failed', `cannot follow jobs: ${asBerthError(error).message}`);
      }),
  };
}

/** @throws BerthError what was answered as an error */
function answerIn(entry: Entry): unknown {
  const { answer, error } = decodeRecord(JobRecord, entry.key, entry.value);
  if (error === undefined) return answer;
  throw new BerthError(error.code in errorCatalogue ? (error.code as ErrorCode) : 'INTERNAL', error.message);
}
