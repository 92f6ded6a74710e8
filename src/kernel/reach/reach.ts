/**
 * Whether somebody is reached from a network namespace, how fast, and with packets of which size: as `ping` would tell from in
 * there, without a program in the container. It is the namespace's own kernel that sends, with its own routes and neighbours.
 *
 * Each request has a thread of its own, which waits in system calls; it ends with the answer. A bundler must emit `worker.ts`
 * as an entry point of its own.
 */

import { Worker } from 'node:worker_threads';
import { type Address, formatAddress } from '../../model/address.ts';
import { asBerthError, BerthError } from '../../model/errors.ts';
import type { Netns } from '../objects.ts';
import { type Refusal, unpackError } from '../protocol.ts';

export interface ReachRequest {
  /** Absent: our own. */
  readonly netns?: Netns;
  readonly echoes?: readonly EchoRequest[];
  readonly questions?: readonly QuestionRequest[];
}

export interface EchoRequest {
  readonly target: Address;
  /** How many small echoes are sent. */
  readonly count: number;
  /** Milliseconds between them. */
  readonly interval: number;
  /** Milliseconds that each is waited for. */
  readonly patience: number;
  /** Bytes of the largest packet that may pass, IP header and all: the MTU of the link that it leaves by. Absent: not asked. */
  readonly largest?: number;
}

/** A datagram that is to be answered by one, as of DNS. */
export interface QuestionRequest {
  readonly server: Address;
  readonly port: number;
  readonly payload: Uint8Array;
  /** Milliseconds; asked a second time in between. */
  readonly patience: number;
}

/** What a packet met instead of an answer. */
export interface Obstacle {
  /** As of errno(3): `EHOSTUNREACH`, `ENETUNREACH`, `EMSGSIZE`, `ECONNREFUSED`, `EACCES` … */
  readonly code: string;
  /** Who says so; absent: the kernel of the namespace itself. */
  readonly from?: string;
}

export interface EchoAnswer {
  readonly sent: number;
  /** Round trips of those that were answered, in milliseconds. */
  readonly times: readonly number[];
  /** Bytes of the largest packet that was answered without having been cut up; absent when not asked, or nothing is answered. */
  readonly mtu?: number;
  /** Without repetitions. */
  readonly obstacles: readonly Obstacle[];
}

export interface QuestionAnswer {
  readonly payload?: Uint8Array;
  readonly obstacles: readonly Obstacle[];
}

/** In the order of the request. */
export interface ReachAnswer {
  readonly echoes: readonly EchoAnswer[];
  readonly questions: readonly QuestionAnswer[];
}

export type ReachReport = { readonly answer: ReachAnswer } | { readonly refusal: Refusal };

/** Milliseconds beyond what the request itself may take. */
const SLACK = 5_000;

/** How long a request takes at most, in milliseconds: its echoes go side by side, and each search for an MTU has its bound. */
function limitOf({ echoes = [], questions = [] }: ReachRequest): number {
  const each = echoes.map(({ count, interval, patience, largest }) => {
    return count * interval + patience * (largest === undefined ? 1 : 1 + SEARCH_STEPS);
  });
  return Math.max(0, ...each, ...questions.map(({ patience }) => patience)) + SLACK;
}

/** Packets that a search for an MTU sends at most, one after the other. */
export const SEARCH_STEPS = 24;

/**
 * Bounded: by what the request allows, and some seconds.
 *
 * @throws BerthError KERNEL_REFUSED when there is no such namespace, KERNEL_LACKS, KERNEL_BUSY when it takes too long.
 */
export async function reach(request: ReachRequest): Promise<ReachAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<ReachAnswer>();
  const worker = new Worker(new URL('./worker.ts', import.meta.url), {
    name: 'reach',
    workerData: request,
    resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 64 },
  });
  const timer = setTimeout(() => {
    const whom = request.echoes?.map(({ target }) => formatAddress(target)).join(', ') ?? '';
    reject(new BerthError('KERNEL_BUSY', `the kernel did not finish to reach ${whom.slice(0, 200)}`));
  }, limitOf(request));
  worker.once('message', (report: ReachReport) => {
    if ('answer' in report) resolve(report.answer);
    else reject(unpackError(report.refusal));
  });
  worker.once('error', (error) => reject(asBerthError(error)));
  worker.once('exit', () => reject(new BerthError('INTERNAL', 'the thread that was to reach somebody ended early')));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    void worker.terminate();
  }
}
