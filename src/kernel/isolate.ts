/** For tests: a network namespace of their own, so that they cannot touch the machine's. */

import { execFileSync } from 'node:child_process';
import koffi from 'koffi';
import { CLONE_NEWNET } from './syscalls.ts';

/**
 * Moves the calling thread into a new network namespace, for good; threads and processes that it starts from now on are
 * born there. The namespace goes with the process.
 *
 * @throws Error without the privilege to do so: a test that silently ran elsewhere would be worse.
 */
export function isolate(): void {
  const unshare = koffi.load(null).func('int unshare(int)');
  if (unshare(CLONE_NEWNET) !== 0) throw new Error(`unshare: errno ${koffi.errno()}; kernel tests run as root`);
  execFileSync('ip', ['link', 'set', 'lo', 'up']);
}
