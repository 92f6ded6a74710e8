/** The kernel thread's life: started, started again when it dies, ended. */

import { Worker } from 'node:worker_threads';
import { asBerthError, BerthError } from '../model/errors.ts';
import type { DatabaseAddress } from '../ovs/address.ts';
import { type Command, type PortNotice, type Report, unpackError } from './protocol.ts';

export interface Thread {
  /** False from its death until it has been started again. */
  readonly alive: boolean;
  /** Lost while it is not alive. */
  post(message: Command | PortNotice): void;
  /** Lets it finish what it is at, for a little while. */
  close(): Promise<void>;
}

export interface ThreadOptions {
  readonly settings: ThreadSettings;
  readonly program: URL;
  readonly report: (report: Report) => void;
  readonly died: () => void;
  readonly startedAgain: () => void;
}

/** Milliseconds before a thread that died is started again: at once, unless it keeps dying. */
const DELAYS = [0, 100, 500, 2_000, 5_000] as const;
/** After so many milliseconds of life, a death is the first again. */
const HEALTHY = 60_000;
/** Milliseconds that it gets to end by itself. */
const FAREWELL = 2_000;
/** The same when the process ends without a farewell. */
const AT_EXIT = 200;

/** What the thread is told once and for all. */
export interface ThreadSettings {
  /** Where the database of this host's Open vSwitch listens. */
  readonly ovsDatabase: DatabaseAddress;
}

/**
 * What the thread is born with. When the process is about to end, the first number becomes 1; once the thread has stopped
 * listening to the kernel, it makes the second one 1. A listener that is called while its thread is torn down would abort the
 * whole process (koffi cannot call into a thread that ends).
 */
export interface ThreadData extends ThreadSettings {
  readonly farewell: Int32Array;
}

/** @throws BerthError when it cannot be started, in the thread's own words. */
export async function startThread(options: ThreadOptions): Promise<Thread> {
  // In place of a message, which would not be read any more: at exit, only this thread still runs.
  const farewell = new Int32Array(new SharedArrayBuffer(8));
  const atExit = (): void => {
    if (worker === undefined) return;
    Atomics.store(farewell, 0, 1);
    Atomics.notify(farewell, 0);
    Atomics.wait(farewell, 1, 0, AT_EXIT);
  };
  let deaths = 0;
  let closed = false;
  let worker: Worker | undefined;
  worker = await start();
  process.once('exit', atExit);

  async function start(): Promise<Worker> {
    const fresh = new Worker(options.program, {
      name: 'kernel',
      workerData: { ...options.settings, farewell } satisfies ThreadData,
      // What it decodes is soon forgotten. By default, three times 16 MB of that may pile up before it is collected.
      resourceLimits: { maxYoungGenerationSizeMb: 8 },
    });
    const born = performance.now();
    const { promise, resolve, reject } = Promise.withResolvers<Worker>();
    fresh.on('message', (report: Report) => {
      if (report.type === 'ready') resolve(fresh);
      else if (report.type === 'unusable') reject(unpackError(report.refusal));
      else options.report(report);
    });
    fresh.on('error', (error) => reject(asBerthError(error)));
    fresh.on('exit', () => {
      reject(new BerthError('INTERNAL', 'the kernel thread ended before it was ready'));
      if (worker !== fresh) return;
      worker = undefined;
      if (closed) return;
      if (performance.now() - born > HEALTHY) deaths = 0;
      options.died();
      startAgain();
    });
    return promise;
  }

  function startAgain(): void {
    const delay = DELAYS[Math.min(deaths, DELAYS.length - 1)];
    deaths += 1;
    setTimeout(() => {
      if (closed) return;
      start().then(
        (fresh) => {
          if (closed) {
            void fresh.terminate();
            return;
          }
          worker = fresh;
          options.startedAgain();
        },
        () => startAgain(),
      );
    }, delay);
  }

  return {
    get alive() {
      return worker !== undefined;
    },
    post(message) {
      worker?.postMessage(message);
    },
    async close() {
      closed = true;
      process.off('exit', atExit);
      const last = worker;
      if (last === undefined) return;
      const ended = new Promise<void>((resolve) => {
        last.once('exit', () => resolve());
      });
      last.postMessage({ type: 'close' } satisfies Command);
      const timer = setTimeout(() => void last.terminate(), FAREWELL);
      await ended;
      clearTimeout(timer);
    },
  };
}
