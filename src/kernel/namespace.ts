/** Steps of the kernel thread into other network namespaces, and back. */

import koffi from 'koffi';
import { BerthError } from '../model/errors.ts';
import type { Netns } from './objects.ts';
import { CLONE_NEWNET, O_CLOEXEC, O_RDONLY, type Syscalls } from './syscalls.ts';

/** Runs something in a network namespace. Synchronous: nothing else of the thread runs meanwhile. */
export interface Namespaces {
  /**
   * In the namespace with this path; absent: our own.
   *
   * @throws BerthError KERNEL_REFUSED when there is no such namespace, or it may not be entered.
   */
  within<T>(netns: Netns | undefined, work: () => T): T;
  /**
   * In a new, empty namespace, which is gone afterwards: 0.5 ms. For asking the kernel how it would list something.
   *
   * @throws BerthError KERNEL_REFUSED
   */
  withinEmpty<T>(work: () => T): T;
  close(): void;
}

/** @throws BerthError KERNEL_REFUSED when /proc is not mounted. */
export function openNamespaces(syscalls: Syscalls): Namespaces {
  const unshare = koffi.load(null).func('int unshare(int)');
  const own = syscalls.open('/proc/thread-self/ns/net', O_RDONLY | O_CLOEXEC);
  if (own < 0) throw new BerthError('KERNEL_REFUSED', `cannot open /proc/thread-self/ns/net: errno ${-own}`);

  function andBack<T>(work: () => T): T {
    try {
      return work();
    } finally {
      const back = syscalls.setns(own, CLONE_NEWNET);
      // A thread in the wrong namespace would configure somebody else's network: it must not run on.
      if (back < 0) process.exit(1);
    }
  }

  return {
    within(netns, work) {
      if (netns === undefined) return work();
      const fd = syscalls.open(netns, O_RDONLY | O_CLOEXEC);
      if (fd < 0) throw new BerthError('KERNEL_REFUSED', `cannot open the network namespace ${netns}: errno ${-fd}`);
      try {
        const entered = syscalls.setns(fd, CLONE_NEWNET);
        if (entered < 0) {
          throw new BerthError('KERNEL_REFUSED', `cannot enter the network namespace ${netns}: errno ${-entered}`);
        }
        return andBack(work);
      } finally {
        syscalls.close(fd);
      }
    },
    withinEmpty(work) {
      if (unshare(CLONE_NEWNET) !== 0) {
        throw new BerthError('KERNEL_REFUSED', `cannot make a network namespace: errno ${koffi.errno()}`);
      }
      return andBack(work);
    },
    close() {
      syscalls.close(own);
    },
  };
}
