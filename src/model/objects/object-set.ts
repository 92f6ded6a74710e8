/** Objects in memory, with what refers to what at hand, so that neither a list nor a deletion looks at all of them. */

import type { ClusterObject, KindName, Objects, Reference } from './kind.ts';
import { kindOf, kinds, references, targetsOf } from './kinds.ts';

export interface ObjectSet extends Objects {
  put(object: ClusterObject): void;
  delete(kind: KindName, key: string): void;
  clear(): void;
}

export function createObjectSet(): ObjectSet {
  const objects = new Map<KindName, Sorted>();
  const tenants = new Map<string, Sorted>();
  const referring = new Map<Reference, Map<string, Sorted>>();

  const clear = () => {
    tenants.clear();
    for (const kind of kinds.keys()) objects.set(kind, createSorted());
    for (const reference of references) referring.set(reference, new Map());
  };
  clear();

  /** What lists an object beside its kind: its tenant, and what it refers to. */
  function* indexes(object: ClusterObject): Generator<readonly [Map<string, Sorted>, string]> {
    if (kindOf(object.kind).fields.tenantName !== undefined) {
      yield [tenants, tenantKey(object.kind, object.config.tenantName as string)];
    }
    for (const reference of references) {
      if (reference.from !== object.kind) continue;
      const index = referring.get(reference)!;
      for (const { key } of targetsOf(reference, object.config)) yield [index, key];
    }
  }

  const remove = (kind: KindName, key: string) => {
    const object = objects.get(kind)!.get(key);
    if (object === undefined) return;
    objects.get(kind)!.delete(key);
    for (const [index, at] of indexes(object)) {
      const list = index.get(at);
      list?.delete(key);
      if (list?.all.length === 0) index.delete(at);
    }
  };

  return {
    get: (kind, key) => objects.get(kind)!.get(key),
    list: (kind) => objects.get(kind)!.all,
    ofTenant: (kind, tenant) => tenants.get(tenantKey(kind, tenant))?.all ?? [],
    referring: (reference, key) => referring.get(reference)!.get(key)?.all ?? [],
    put(object) {
      remove(object.kind, object.key);
      objects.get(object.kind)!.put(object);
      for (const [index, at] of indexes(object)) {
        const list = index.get(at) ?? createSorted();
        list.put(object);
        index.set(at, list);
      }
    },
    delete: remove,
    clear,
  };
}

function tenantKey(kind: KindName, tenant: string): string {
  return `${kind}/${tenant}`;
}

interface Sorted {
  /** In the order of their keys. */
  readonly all: readonly ClusterObject[];
  get(key: string): ClusterObject | undefined;
  put(object: ClusterObject): void;
  delete(key: string): void;
}

/** Objects of one kind, always in order: a change moves what comes after it, which costs less than sorting. */
function createSorted(): Sorted {
  const all: ClusterObject[] = [];
  /** Where the key is, or would be. */
  const place = (key: string): number => {
    let low = 0;
    let high = all.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (all[middle]!.key < key) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  return {
    all,
    get(key) {
      const found = all[place(key)];
      return found?.key === key ? found : undefined;
    },
    put(object) {
      const at = place(object.key);
      all.splice(at, all[at]?.key === object.key ? 1 : 0, object);
    },
    delete(key) {
      const at = place(key);
      if (all[at]?.key === key) all.splice(at, 1);
    },
  };
}
