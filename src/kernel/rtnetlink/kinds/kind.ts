import type { KernelObject, ObjectKey } from '../../objects.ts';
import type { Session } from '../session.ts';

/** How one kind of object is found, made and unmade. The functions throw Refusal or UnknownLink; the driver makes them sentences. */
export interface Kind<T extends KernelObject> {
  find(wanted: readonly T[], session: Session, found: Map<ObjectKey, KernelObject>): void;
  make(object: T, session: Session): void;
  unmake(object: T, session: Session): void;
}

/** The same object without the fields that are undefined: a field that was not found is absent. */
export function withoutUndefined(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** The things by what `keyOf` says of them. */
export function groupBy<T, K>(things: Iterable<T>, keyOf: (thing: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const thing of things) {
    const key = keyOf(thing);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [thing]);
    else group.push(thing);
  }
  return groups;
}
