/** Tables and elements as commands in nft's own language. Pure. */

import type { NftElement, NftTable } from '../objects.ts';

export type Table = Pick<NftTable, 'family' | 'name'>;

export function tableOf(object: NftTable | NftElement): Table {
  return { family: object.family, name: object.kind === 'nft-table' ? object.name : object.table };
}

export function tableName(table: Table): string {
  return `${table.family} ${table.name}`;
}

/** Adding first makes the deletion succeed when there is no such table. */
export function deleteTable(table: Table): string {
  return `add table ${tableName(table)}\ndelete table ${tableName(table)}\n`;
}

/** In one transaction no packet sees anything between the old table and the new one with its elements. */
export function replaceTable(table: NftTable, elements: Iterable<NftElement>): string {
  return `${deleteTable(table)}table ${tableName(table)} {\n${table.body}\n}\n${addElements(elements)}`;
}

export function addElements(elements: Iterable<NftElement>): string {
  return perSet('add', elements, (element) =>
    element.value === undefined ? element.element : `${element.element} : ${element.value}`,
  );
}

export function deleteElements(elements: Iterable<NftElement>): string {
  return perSet('delete', elements, (element) => element.element);
}

function perSet(
  verb: 'add' | 'delete',
  elements: Iterable<NftElement>,
  write: (element: NftElement) => string,
): string {
  const sets = new Map<string, string[]>();
  for (const element of elements) {
    const set = `${element.family} ${element.table} ${element.set}`;
    const texts = sets.get(set);
    if (texts === undefined) sets.set(set, [write(element)]);
    else texts.push(write(element));
  }
  return [...sets].map(([set, texts]) => `${verb} element ${set} { ${texts.join(', ')} }\n`).join('');
}

/** Names of the sets and maps that a body defines. */
export function definedSets(body: string): ReadonlySet<string> {
  return new Set([...body.matchAll(/\b(?:set|map)\s+([A-Za-z0-9_/\\.-]+)\s*\{/g)].map((match) => match[1]!));
}
