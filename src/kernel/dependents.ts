/** Which declared objects a change of a link can concern. Pure. */

import { needs, place } from './batch.ts';
import type { KernelObject, ObjectKey } from './objects.ts';

export interface Dependents {
  /** An object is declared otherwise now, or not at all. */
  change(key: ObjectKey, before: KernelObject | undefined, now: KernelObject | undefined): void;
  /** Keys of the link itself and of what needs it to be there, in our own namespace. */
  of(link: string): Iterable<ObjectKey>;
}

export function createDependents(): Dependents {
  const keysByLink = new Map<string, Set<ObjectKey>>();
  return {
    change(key, before, now) {
      for (const at of before === undefined ? [] : concerned(before)) {
        const keys = keysByLink.get(at);
        keys?.delete(key);
        if (keys?.size === 0) keysByLink.delete(at);
      }
      for (const at of now === undefined ? [] : concerned(now)) {
        const keys = keysByLink.get(at);
        if (keys === undefined) keysByLink.set(at, new Set([key]));
        else keys.add(key);
      }
    },
    of: (link) => keysByLink.get(`\0${link}`) ?? [],
  };
}

function concerned(object: KernelObject): string[] {
  const names = object.kind === 'link' ? [object.name, ...needs(object)] : needs(object);
  return names.map((name) => place(object, name));
}
