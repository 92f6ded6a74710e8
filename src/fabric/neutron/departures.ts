/**
 * What is to go from Neutron goes in the background, for as long as it takes: Docker waits for none of it, and a Neutron that is away
 * only makes it later. What is to be done stands in the records; here is when.
 */

import { asBerthError } from '../../model/errors.ts';
import { type Bounds, within } from '../../openstack/bounds.ts';

export interface Departures {
  /**
   * Begins, unless it has begun already. Resolves when it is done, or `close` was called: never rejects.
   *
   * @param work is repeated when it fails, and when it returns how many milliseconds are left in which there may be more to do.
   */
  begin(key: string, work: (bounds: Bounds) => Promise<number | undefined>): Promise<void>;
  /** Resolves when this one is done or was never begun; false when the bounds ended before. */
  done(key: string, bounds: Bounds): Promise<boolean>;
  /** How many have not been done yet, and what the last of them failed for. */
  waiting(): { readonly count: number; readonly problem?: string };
  /** Neutron has answered: what waits because it did not is tried now. */
  hurry(): void;
  close(): void;
}

/** What `work` returns when it has found that there is more to do by now. */
export const AGAIN = 1;

/** Milliseconds. */
export interface DepartureTimes {
  /** Of one attempt. */
  readonly attempt: number;
  readonly firstWait: number;
  readonly longestWait: number;
}

const USUAL: DepartureTimes = { attempt: 30_000, firstWait: 500, longestWait: 20_000 };
/** Neutron works on a few requests at a time; more would only keep starts waiting. */
const AT_ONCE = 4;

export function createDepartures(
  failed: (key: string, sentence: string) => void,
  times: DepartureTimes = USUAL,
): Departures {
  const ending = new AbortController();
  const under = new Map<string, Promise<void>>();
  const wakers = new Set<() => void>();
  /** Those of them that Neutron did not answer. */
  const unheard = new Set<() => void>();
  const queue: (() => void)[] = [];
  let running = 0;
  let problem: string | undefined;

  async function turn(): Promise<void> {
    if (running >= AT_ONCE) await new Promise<void>((resolve) => queue.push(resolve));
    running++;
  }

  function finished(): void {
    running--;
    queue.shift()?.();
  }

  function pause(milliseconds: number, isUnheard: boolean): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        wakers.delete(wake);
        unheard.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, milliseconds);
      timer.unref();
      wakers.add(wake);
      if (isUnheard) unheard.add(wake);
    });
  }

  function hurry(): void {
    for (const wake of unheard) wake();
  }

  async function untilDone(key: string, work: (bounds: Bounds) => Promise<number | undefined>): Promise<void> {
    for (let wait = times.firstWait; !ending.signal.aborted; wait = Math.min(wait * 2, times.longestWait)) {
      let most = Number.POSITIVE_INFINITY;
      let isUnheard = false;
      await turn();
      try {
        const left = await work(within(times.attempt, ending.signal));
        hurry();
        if (left === undefined) return;
        most = left;
      } catch (error) {
        if (ending.signal.aborted) return;
        const { code, message } = asBerthError(error);
        isUnheard = code.startsWith('OPENSTACK_');
        problem = message;
        failed(key, problem);
      } finally {
        finished();
      }
      await pause(Math.min(wait, most), isUnheard);
    }
  }

  return {
    begin(key, work) {
      const known = under.get(key);
      if (known !== undefined) return known;
      const done = untilDone(key, work).finally(() => {
        under.delete(key);
        if (under.size === 0) problem = undefined;
      });
      under.set(key, done);
      return done;
    },
    async done(key, { until, signal }) {
      const going = under.get(key);
      if (going === undefined) return true;
      const left =
        until === undefined ? undefined : AbortSignal.timeout(Math.max(0, Math.ceil(until - performance.now())));
      const bounds = AbortSignal.any([signal, left].filter((one) => one !== undefined));
      if (bounds.aborted) return false;
      const ended = Promise.withResolvers<false>();
      const end = () => ended.resolve(false);
      bounds.addEventListener('abort', end, { once: true });
      try {
        return await Promise.race([going.then(() => true), ended.promise]);
      } finally {
        bounds.removeEventListener('abort', end);
      }
    },
    waiting: () => ({ count: under.size, ...(problem === undefined ? {} : { problem }) }),
    hurry,
    close() {
      ending.abort();
      for (const wake of wakers) wake();
      for (const next of queue.splice(0)) next();
    },
  };
}
