/** Objects in memory, with what refers to what at hand, so that neither a list nor a deletion looks at all of them. */

import type { ClusterObject, KindName, Objects, Reference } from './kind.ts';
import { kindOf, kinds, references, targetsOf } from './kinds.ts';

export interface ObjectSet extends Objects {
  put(object: ClusterObject): void;
  delete(kind: KindName, key: string): void;
  clear(): void;
}

const byKey = (a: ClusterObject, b: ClusterObject): number => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);

export function createObjectSet(): ObjectSet {
  const objects = new Map<KindName, Map<string, ClusterObject>>();
  const tenants = new Map<string, Map<string, ClusterObject>>();
  const referring = new Map<Reference, Map<string, Map<string, ClusterObject>>>();
  /** Sorting is for those who ask; most changes are followed by others. */
  const sorted = new Map<KindName, readonly ClusterObject[]>();

  const clear = () => {
    sorted.clear();
    tenants.clear();
    for (const kind of kinds.keys()) objects.set(kind, new Map());
    for (const reference of references) referring.set(reference, new Map());
  };
  clear();

  const within = <Key>(map: Map<Key, Map<string, ClusterObject>>, key: Key): Map<string, ClusterObject> => {
    const existing = map.get(key);
    if (existing !== undefined) return existing;
    const made = new Map<string, ClusterObject>();
    map.set(key, made);
    return made;
  };

  const remove = (kind: KindName, key: string) => {
    const object = objects.get(kind)!.get(key);
    if (object === undefined) return;
    objects.get(kind)!.delete(key);
    sorted.delete(kind);
    tenants.get(`${kind}/${tenantOf(object)}`)?.delete(key);
    for (const reference of references) {
      if (reference.from !== kind) continue;
      const index = referring.get(reference)!;
      for (const target of targetsOf(reference, object.config)) {
        const by = index.get(target.key);
        by?.delete(key);
        if (by?.size === 0) index.delete(target.key);
      }
    }
  };

  return {
    get: (kind, key) => objects.get(kind)!.get(key),
    list(kind) {
      const known = sorted.get(kind);
      if (known !== undefined) return known;
      const list = [...objects.get(kind)!.values()].sort(byKey);
      sorted.set(kind, list);
      return list;
    },
    ofTenant: (kind, tenant) => [...(tenants.get(`${kind}/${tenant}`)?.values() ?? [])].sort(byKey),
    referring: (reference, key) => [...(referring.get(reference)!.get(key)?.values() ?? [])].sort(byKey),
    put(object) {
      remove(object.kind, object.key);
      objects.get(object.kind)!.set(object.key, object);
      sorted.delete(object.kind);
      within(tenants, `${object.kind}/${tenantOf(object)}`).set(object.key, object);
      for (const reference of references) {
        if (reference.from !== object.kind) continue;
        for (const target of targetsOf(reference, object.config)) {
          within(referring.get(reference)!, target.key).set(object.key, object);
        }
      }
    },
    delete: remove,
    clear,
  };
}

function tenantOf({ kind, config }: ClusterObject): string {
  return kindOf(kind).fields.tenantName === undefined ? '' : (config.tenantName as string);
}
