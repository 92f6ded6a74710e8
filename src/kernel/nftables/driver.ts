/**
 * nftables tables and set elements. A table is replaced whole, in one transaction together with every element that is
 * declared for it; elements come and go one by one, at 0.1 ms each whatever the table holds.
 *
 * Whether a table is as it was made is told by comparing nft's listing of it with the one read back when it was made. A
 * table that an earlier process made has no such listing: the kernel is asked for one, in an empty namespace.
 */

import { BerthError } from '../../model/errors.ts';
import type { ObjectDriver } from '../driver.ts';
import type { Namespaces } from '../namespace.ts';
import {
  type KernelObject,
  type Netns,
  type NftElement,
  type NftTable,
  type ObjectKey,
  objectKey,
} from '../objects.ts';
import { readElement, spell } from './element.ts';
import { difference, fingerprint } from './fingerprint.ts';
import { type Nftables, NftablesError, type NftObject, openNftables } from './library.ts';
import {
  addElements,
  definedSets,
  deleteElements,
  deleteTable,
  replaceTable,
  type Table,
  tableName,
  tableOf,
} from './text.ts';

export interface NftDriverOptions {
  readonly namespaces: Namespaces;
  /** Runs a write to tables of our own namespace; whoever listens to kernel events uses it to tell our changes from others'. */
  readonly ownWrite?: (tables: readonly Table[], write: () => void) => void;
}

type NftDeclared = NftTable | NftElement;

/** What we know of a table that we made or looked at. */
interface Known {
  /** Listing as it should be, for this body. */
  body?: string;
  print?: string;
  /** Elements that are there for all we know: they go along when the table is replaced. */
  readonly elements: Map<ObjectKey, NftElement>;
}

/** Up to so many elements are looked up one by one (0.05 ms each); more, by listing the table. */
const singleLookups = 8;

export function createNftDriver(options: NftDriverOptions): ObjectDriver {
  const { namespaces } = options;
  const known = new Map<string, Known>();
  let own: Nftables | undefined;

  /**
   * Our own namespace has one connection for good. For others it is closed again: an open socket would keep the
   * namespace of a container that is gone.
   */
  function using<T>(netns: Netns | undefined, work: (nft: Nftables) => T): T {
    if (netns === undefined) {
      own ??= openNftables();
      return work(own);
    }
    return namespaces.within(netns, () => briefly(work));
  }

  function knownOf(netns: Netns | undefined, table: Table): Known {
    const name = `${netns ?? ''}\0${tableName(table)}`;
    let entry = known.get(name);
    if (entry === undefined) {
      entry = { elements: new Map() };
      known.set(name, entry);
    }
    return entry;
  }

  function forget(netns: Netns | undefined, table: Table): void {
    known.delete(`${netns ?? ''}\0${tableName(table)}`);
  }

  function write(netns: Netns | undefined, tables: readonly Table[], commands: string): void {
    using(netns, (nft) => {
      if (netns === undefined && options.ownWrite !== undefined) options.ownWrite(tables, () => nft.run(commands));
      else nft.run(commands);
    });
  }

  /** One transaction: the tables with all their elements, and the elements of tables that stay. */
  function makeTogether(objects: readonly NftDeclared[]): void {
    const netns = objects[0]!.netns;
    const tables = objects.filter((object) => object.kind === 'nft-table');
    const elements = objects.filter((object) => object.kind === 'nft-element');
    const replaced = new Set(tables.map(tableName));
    let commands = '';
    for (const table of tables) {
      const sets = definedSets(table.body);
      const kept = [...knownOf(netns, table).elements.values()].filter((element) => sets.has(element.set));
      const fresh = elements.filter((element) => tableName(tableOf(element)) === tableName(table));
      const all = new Map([...kept, ...fresh].map((element) => [objectKey(element), element]));
      commands += replaceTable(table, all.values());
    }
    commands += addElements(elements.filter((element) => !replaced.has(tableName(tableOf(element)))));
    write(netns, distinctTables(objects), commands);

    for (const table of tables) {
      const entry = knownOf(netns, table);
      const sets = definedSets(table.body);
      for (const [key, element] of entry.elements) if (!sets.has(element.set)) entry.elements.delete(key);
      entry.body = table.body;
      entry.print = using(netns, (nft) => fingerprint(listTable(nft, table, true)));
    }
    for (const element of elements) knownOf(netns, tableOf(element)).elements.set(objectKey(element), element);
  }

  /** A map's element cannot be changed, only replaced. */
  function replaceElement(element: NftElement): void {
    write(element.netns, [tableOf(element)], deleteElements([element]) + addElements([element]));
    knownOf(element.netns, tableOf(element)).elements.set(objectKey(element), element);
  }

  function makeOne(object: NftDeclared): void {
    try {
      makeTogether([object]);
    } catch (thrown) {
      if (
        !(
          thrown instanceof NftablesError &&
          thrown.exists &&
          object.kind === 'nft-element' &&
          object.value !== undefined
        )
      ) {
        throw thrown;
      }
      replaceElement(object);
    }
  }

  function unmakeOne(object: NftDeclared): void {
    const table = tableOf(object);
    try {
      write(object.netns, [table], object.kind === 'nft-table' ? deleteTable(table) : deleteElements([object]));
    } catch (thrown) {
      if (!(thrown instanceof NftablesError && thrown.missing)) throw thrown;
    }
    if (object.kind === 'nft-table') forget(object.netns, table);
    else knownOf(object.netns, table).elements.delete(objectKey(object));
  }

  /** The listing that this body ought to have; undefined when only making it would tell. */
  function expected(table: NftTable): string | undefined {
    const entry = knownOf(table.netns, table);
    if (entry.body === table.body && entry.print !== undefined) return entry.print;
    try {
      entry.print = namespaces.withinEmpty(() =>
        briefly((nft) => {
          nft.run(`table ${tableName(table)} {\n${table.body}\n}`);
          return fingerprint(listTable(nft, table, true));
        }),
      );
      entry.body = table.body;
      return entry.print;
    } catch {
      // It names a device that only the real namespace has. Whoever asked will have to make it again.
      return undefined;
    }
  }

  function findTable(wanted: NftTable, listing: readonly NftObject[]): NftTable {
    const print = expected(wanted);
    if (print === undefined) return { ...wanted, body: 'made by an earlier process' };
    const now = fingerprint(listing);
    return now === print ? wanted : { ...wanted, body: `as declared, but ${difference(print, now)}` };
  }

  function findElements(
    nft: Nftables,
    wanted: readonly NftElement[],
    listing: readonly NftObject[] | undefined,
  ): NftElement[] {
    const there = listing === undefined ? undefined : readSets(listing);
    const found: NftElement[] = [];
    for (const element of wanted) {
      const set = there?.get(element.set);
      const key = spell(element.element);
      let value = set?.get(key);
      if (value === undefined && (set === undefined ? there === undefined : set.size > 0)) value = lookUp(nft, element);
      if (value === undefined) continue;
      const same = element.value === undefined || value === spell(element.value);
      found.push(same ? element : { ...element, value });
    }
    return found;
  }

  return {
    kinds: ['nft-table', 'nft-element'],

    find(wanted, netns) {
      const found = new Map<ObjectKey, KernelObject>();
      for (const group of byTable(wanted as readonly NftDeclared[])) {
        const entry = knownOf(netns, group.table);
        const few = group.elements.length <= singleLookups;
        const objects = using(netns, (nft) => {
          const listing = missingAs(undefined, () => listTable(nft, group.table, few));
          if (listing === undefined) return [];
          const tables = group.tables.map((table) => findTable(table, listing));
          return [...tables, ...findElements(nft, group.elements, few ? undefined : listing)];
        });
        for (const object of objects) {
          found.set(objectKey(object), object);
          if (object.kind === 'nft-element') entry.elements.set(objectKey(object), object);
        }
        // What is wanted and was there goes along as it is wanted when the table is replaced, even with another value.
        for (const element of group.elements) {
          const key = objectKey(element);
          if (entry.elements.has(key)) entry.elements.set(key, element);
        }
      }
      return found;
    },

    make(object) {
      refused(object, () => makeOne(object as NftDeclared));
    },

    makeAll(objects) {
      refused(objects[0]!, () => makeTogether(objects as readonly NftDeclared[]));
    },

    unmake(object) {
      refused(object, () => unmakeOne(object as NftDeclared));
    },

    unmakeAll(objects) {
      const all = objects as readonly NftDeclared[];
      const tables = all.filter((object) => object.kind === 'nft-table');
      const going = new Set(tables.map(tableName));
      const elements = all
        .filter((object) => object.kind === 'nft-element')
        .filter((element) => !going.has(tableName(tableOf(element))));
      const commands = deleteElements(elements) + tables.map(deleteTable).join('');
      refused(objects[0]!, () => write(all[0]!.netns, distinctTables(all), commands));
      for (const table of tables) forget(table.netns, table);
      for (const element of elements) knownOf(element.netns, tableOf(element)).elements.delete(objectKey(element));
    },

    close() {
      own?.close();
      own = undefined;
    },
  };
}

function briefly<T>(work: (nft: Nftables) => T): T {
  const nft = openNftables();
  try {
    return work(nft);
  } finally {
    nft.close();
  }
}

function listTable(nft: Nftables, table: Table, terse: boolean): readonly NftObject[] {
  return nft.list(`list table ${tableName(table)}`, { terse });
}

function missingAs<T>(value: T, work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    if (thrown instanceof NftablesError && thrown.missing) return value;
    throw thrown;
  }
}

/** Asks the kernel for one element, whatever the spelling; its value, '' for a set, undefined when it is not there. */
function lookUp(nft: Nftables, element: NftElement): string | undefined {
  const command = `get element ${tableName(tableOf(element))} ${element.set} { ${element.element} }`;
  const text = missingAs(undefined, () => nft.get(command));
  if (text === undefined) return undefined;
  const value = / : (.*?) (?:\}|,)/.exec(text)?.[1];
  return value === undefined ? '' : spell(value);
}

/** Elements by set, each key with its value ('' where there is none). */
function readSets(listing: readonly NftObject[]): Map<string, Map<string, string>> {
  const sets = new Map<string, Map<string, string>>();
  for (const object of listing) {
    const set = (object.set ?? object.map) as { name: string; elem?: unknown[] } | undefined;
    if (set === undefined) continue;
    const elements = (set.elem ?? []).map(readElement);
    sets.set(set.name, new Map(elements.map((element) => [element.key, element.value ?? ''])));
  }
  return sets;
}

function byTable(
  objects: readonly NftDeclared[],
): Iterable<{ table: Table; tables: NftTable[]; elements: NftElement[] }> {
  const groups = new Map<string, { table: Table; tables: NftTable[]; elements: NftElement[] }>();
  for (const object of objects) {
    const table = tableOf(object);
    const name = tableName(table);
    let group = groups.get(name);
    if (group === undefined) {
      group = { table, tables: [], elements: [] };
      groups.set(name, group);
    }
    if (object.kind === 'nft-table') group.tables.push(object);
    else group.elements.push(object);
  }
  return groups.values();
}

function distinctTables(objects: readonly NftDeclared[]): Table[] {
  return [...new Map(objects.map((object) => [tableName(tableOf(object)), tableOf(object)])).values()];
}

function refused(object: KernelObject, work: () => void): void {
  try {
    work();
  } catch (thrown) {
    if (!(thrown instanceof NftablesError)) throw thrown;
    throw new BerthError('KERNEL_REFUSED', `nftables refused ${objectKey(object)}: ${thrown.message}`, {
      cause: thrown,
    });
  }
}
