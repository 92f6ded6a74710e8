/**
 * For the test that kills the agent at every step: a process that ends itself just before or just after its Nth effect on
 * the store or the kernel. Off unless BERTH_CRASH_AT_EFFECT is set.
 */

import { appendFileSync } from 'node:fs';
import type { Kernel } from '../kernel/kernel.ts';
import type { Store } from '../store/store.ts';

export interface CrashPoints {
  store(store: Store): Store;
  kernel(kernel: Kernel): Kernel;
}

/**
 * @param environment BERTH_CRASH_AT_EFFECT: a number counted from 1; each effect counts twice, before and after.
 *   BERTH_CRASH_LOG: a file that each effect is written to, so that the harness learns how many there are.
 */
export function crashPoints(environment: NodeJS.ProcessEnv): CrashPoints {
  const at = Number(environment.BERTH_CRASH_AT_EFFECT ?? 0);
  const log = environment.BERTH_CRASH_LOG;
  if (at === 0 && log === undefined) return { store: (store) => store, kernel: (kernel) => kernel };

  let count = 0;
  function reach(point: string): void {
    count += 1;
    if (log !== undefined) appendFileSync(log, `${count} ${point}\n`);
    if (count === at) process.kill(process.pid, 'SIGKILL');
  }
  function around<Arguments extends unknown[], Result>(name: string, effect: (...given: Arguments) => Promise<Result>) {
    return async (...given: Arguments): Promise<Result> => {
      reach(`before ${name}`);
      const result = await effect(...given);
      reach(`after ${name}`);
      return result;
    };
  }
  /** Each step on its own, with a point between any two: in one go, a kill in their midst would be a matter of luck. */
  const oneByOne =
    (kernel: Kernel): Kernel['execute'] =>
    async (steps) => {
      if (steps.length === 0) await kernel.execute(steps);
      for (const [index, step] of steps.entries()) {
        if (index > 0) reach('within kernel.execute');
        await kernel.execute([step]);
      }
    };
  return {
    store: (store) =>
      Object.create(store, { transact: { value: around('store.transact', store.transact.bind(store)) } }) as Store,
    kernel: (kernel) =>
      Object.create(kernel, {
        apply: { value: around('kernel.apply', kernel.apply.bind(kernel)) },
        remove: { value: around('kernel.remove', kernel.remove.bind(kernel)) },
        execute: { value: around('kernel.execute', oneByOne(kernel)) },
      }) as Kernel,
  };
}
