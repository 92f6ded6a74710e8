/** For tests: a kernel in memory that keeps the rules which matter for order, and fails when it is told to. */

import { BerthError } from '../model/errors.ts';
import { carrier, goWithTheirLink, needs } from './batch.ts';
import type { ObjectDriver } from './driver.ts';
import { type KernelObject, type ObjectKey, type ObjectKind, objectKey } from './objects.ts';

export interface FakeDriver extends ObjectDriver {
  readonly there: Map<ObjectKey, KernelObject>;
  /** `make KEY`, `unmake KEY`, `find N`, in the order of the calls. */
  readonly log: string[];
  /** Operations that fail: `make KEY` or `unmake KEY`. */
  readonly failing: Set<string>;
}

export const everyKind: readonly ObjectKind[] = [
  'link',
  'address',
  'route',
  'rule',
  'neighbour',
  'belonging',
  'virtual-function',
  'fdb',
  'qdisc',
  'class',
  'filter',
  'sysctl',
  'nft-table',
  'nft-element',
  'forward-accept',
  'ovs-port',
];

export function createFakeDriver(kinds: readonly ObjectKind[] = everyKind): FakeDriver {
  const there = new Map<ObjectKey, KernelObject>();
  const log: string[] = [];
  const failing = new Set<string>();

  function attempt(what: string): void {
    log.push(what);
    if (failing.has(what)) throw new BerthError('KERNEL_REFUSED', `cannot ${what}`);
  }

  function has(name: string): boolean {
    return [...there.values()].some((object) => object.kind === 'link' && object.name === name);
  }

  return {
    kinds,
    there,
    log,
    failing,
    find(wanted) {
      log.push(`find ${wanted.length}`);
      return new Map(
        wanted.flatMap((object) =>
          there.has(objectKey(object)) ? [[objectKey(object), there.get(objectKey(object))!]] : [],
        ),
      );
    },
    make(object) {
      const key = objectKey(object);
      attempt(`make ${key}`);
      for (const name of needs(object)) {
        if (!has(name)) throw new BerthError('KERNEL_REFUSED', `cannot make ${key}: there is no ${name}`);
      }
      there.set(key, object);
    },
    unmake(object) {
      const key = objectKey(object);
      attempt(`unmake ${key}`);
      there.delete(key);
      if (object.kind !== 'link') return;
      // As the kernel does: what stands on a link goes with it.
      for (const other of goWithTheirLink([object, ...there.values()])) {
        if (carrier(other) === object.name) there.delete(objectKey(other));
      }
    },
    close() {
      log.push('close');
    },
  };
}
