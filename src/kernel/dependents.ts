/** Which declared objects a change of a link or of a table can concern. Pure. */

import { needs, place } from './batch.ts';
import type { KernelObject, Netns, NftTable, ObjectKey } from './objects.ts';

export interface Dependents {
  /** An object is declared otherwise now, or not at all. */
  change(key: ObjectKey, before: KernelObject | undefined, now: KernelObject | undefined): void;
  /** Keys of the link itself and of what needs it to be there. */
  onLink(name: string, netns?: Netns): Iterable<ObjectKey>;
  /** Keys of the nftables table itself and of its elements; of rules in an engine's chain there. */
  onTable(family: NftTable['family'], name: string): Iterable<ObjectKey>;
  /** Whether anything is declared in another namespace. */
  isIn(netns: Netns): boolean;
  /** Namespaces in which something has been declared for the first time since this was last asked. */
  newNamespaces(): readonly Netns[];
}

export function createDependents(): Dependents {
  const index = new Map<string, Set<ObjectKey>>();
  const inside = new Map<Netns, number>();
  let fresh = new Set<Netns>();

  function count(object: KernelObject | undefined, by: 1 | -1): void {
    const netns = object && namespaceOf(object);
    if (netns === undefined) return;
    const number = inside.get(netns) ?? 0;
    if (number === 0) fresh.add(netns);
    inside.set(netns, number + by);
    if (number + by > 0) return;
    inside.delete(netns);
    fresh.delete(netns);
  }

  return {
    change(key, before, now) {
      // In this order: what stays is not new.
      count(now, 1);
      count(before, -1);
      for (const at of before === undefined ? [] : places(before)) {
        const keys = index.get(at);
        keys?.delete(key);
        if (keys?.size === 0) index.delete(at);
      }
      for (const at of now === undefined ? [] : places(now)) {
        const keys = index.get(at);
        if (keys === undefined) index.set(at, new Set([key]));
        else keys.add(key);
      }
    },
    onLink: (name, netns = '') => index.get(`${netns}\0${name}`) ?? [],
    onTable: (family, name) => index.get(`\0${family} ${name}`) ?? [],
    isIn: (netns) => inside.has(netns),
    newNamespaces() {
      const all = [...fresh];
      fresh = new Set();
      return all;
    },
  };
}

/** Of a link that was given to a container: where that is. */
function namespaceOf(object: KernelObject): Netns | undefined {
  if ('plugged' in object && typeof object.plugged === 'object') return object.plugged.netns;
  return object.netns;
}

/** A table's name begins with its family and a blank, which no link's name contains. */
function places(object: KernelObject): string[] {
  switch (object.kind) {
    case 'link':
      return [
        ...[object.name, ...needs(object)].map((name) => place(object, name)),
        ...('plugged' in object && typeof object.plugged === 'object'
          ? [`${object.plugged.netns}\0${object.plugged.name}`]
          : []),
      ];
    case 'nft-table':
      return [place(object, `${object.family} ${object.name}`)];
    case 'nft-element':
      return [place(object, `${object.family} ${object.table}`)];
    case 'forward-accept':
      return [place(object, `${object.family === 4 ? 'ip' : 'ip6'} filter`)];
    default:
      return needs(object).map((name) => place(object, name));
  }
}
