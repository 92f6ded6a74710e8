/** Which declared objects of our own namespace a change of a link or of a table can concern. Pure. */

import { needs, place } from './batch.ts';
import type { KernelObject, NftTable, ObjectKey } from './objects.ts';

export interface Dependents {
  /** An object is declared otherwise now, or not at all. */
  change(key: ObjectKey, before: KernelObject | undefined, now: KernelObject | undefined): void;
  /** Keys of the link itself and of what needs it to be there. */
  onLink(name: string): Iterable<ObjectKey>;
  /** Keys of the nftables table itself and of its elements; of rules in an engine's chain there. */
  onTable(family: NftTable['family'], name: string): Iterable<ObjectKey>;
}

export function createDependents(): Dependents {
  const index = new Map<string, Set<ObjectKey>>();
  return {
    change(key, before, now) {
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
    onLink: (name) => index.get(`\0${name}`) ?? [],
    onTable: (family, name) => index.get(`\0${family} ${name}`) ?? [],
  };
}

/** A table's name begins with its family and a blank, which no link's name contains. */
function places(object: KernelObject): string[] {
  switch (object.kind) {
    case 'link':
      return [object.name, ...needs(object)].map((name) => place(object, name));
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
