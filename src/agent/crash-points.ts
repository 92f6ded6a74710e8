/**
 * For the test that kills the agent at every step: a process that ends itself just before or just after its Nth effect on
 * the store, the kernel or Neutron. Off unless one of the variables below is set.
 */

import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import type { Kernel } from '../kernel/kernel.ts';
import type { Session } from '../openstack/keystone/session.ts';
import { pathTemplate } from '../openstack/template.ts';
import type { Store } from '../store/store.ts';

export interface CrashPoints {
  store(store: Store): Store;
  kernel(kernel: Kernel): Kernel;
  /** Questions have no effect. */
  neutron(session: Session): Session;
}

/**
 * @param environment BERTH_CRASH_AT_EFFECT: a number counted from 1; each effect counts twice, before and after.
 *   BERTH_CRASH_LOG: a file that each effect is written to, so that the harness learns how many there are.
 *   BERTH_CRASH_FILE: a file that says the number in place of BERTH_CRASH_AT_EFFECT. Only while it is there is counted, and
 *   so anywhere in the life of a process.
 */
export function crashPoints(environment: NodeJS.ProcessEnv): CrashPoints {
  const log = environment.BERTH_CRASH_LOG;
  const file = environment.BERTH_CRASH_FILE;
  let at = Number(environment.BERTH_CRASH_AT_EFFECT ?? 0);
  if (at === 0 && log === undefined && file === undefined)
    return { store: (store) => store, kernel: (kernel) => kernel, neutron: (session) => session };

  let count = 0;
  function reach(point: string): void {
    if (file !== undefined && !existsSync(file)) {
      count = 0;
      return;
    }
    if (file !== undefined && count === 0) at = Number(readFileSync(file, 'utf8'));
    count += 1;
    if (log !== undefined) appendFileSync(log, `${count} ${point}\n`);
    if (count === at) process.kill(process.pid, 'SIGKILL');
  }
  function around<Arguments extends unknown[], Result>(
    name: string | ((...given: Arguments) => string),
    effect: (...given: Arguments) => Promise<Result>,
  ) {
    return async (...given: Arguments): Promise<Result> => {
      const named = typeof name === 'string' ? name : name(...given);
      reach(`before ${named}`);
      const result = await effect(...given);
      reach(`after ${named}`);
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
    neutron(session) {
      const change = around(({ method, path }) => `${method} ${pathTemplate(path)}`, session.call);
      return { ...session, call: (call) => (call.method === 'GET' ? session.call(call) : change(call)) };
    },
  };
}
