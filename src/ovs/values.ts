/**
 * OVSDB's values, RFC 7047 §5.1. A column holds an atom, a set or a map; a set of one element is written as the bare atom,
 * and an optional column is a set of at most one.
 */

import { isObject, ProtocolError } from './json-stream.ts';

/** An atom as it stands in JSON: `["uuid", "…"]` and `["named-uuid", "…"]` are atoms too. */
export type Atom = string | number | boolean | readonly ['uuid' | 'named-uuid', string];
export type Value = Atom | readonly ['set', readonly Atom[]] | readonly ['map', readonly (readonly [Atom, Atom])[]];
/** One row, or some of its columns. */
export type Row = Readonly<Record<string, unknown>>;

export function uuid(id: string): Atom {
  return ['uuid', id];
}

/** A row that the same transaction inserts, by the `uuid-name` given there. */
export function namedUuid(name: string): Atom {
  return ['named-uuid', name];
}

export function set(atoms: readonly Atom[]): Value {
  return ['set', atoms];
}

/** An optional column: a value, or none. */
export function optional(atom: Atom | null): Value {
  return set(atom === null ? [] : [atom]);
}

export function map(entries: Readonly<Record<string, string>>): Value {
  return ['map', Object.entries(entries)];
}

/** @throws ProtocolError */
export function readText(row: Row, column: string): string {
  const value = row[column];
  if (typeof value !== 'string') throw new ProtocolError(`the column ${column} holds no text`);
  return value;
}

/** The elements of a set, or the one atom that stands for it. @throws ProtocolError */
function readSet(row: Row, column: string): readonly unknown[] {
  const value = row[column];
  if (value === undefined) throw new ProtocolError(`the column ${column} is missing`);
  if (!Array.isArray(value) || value[0] !== 'set') return [value];
  if (value.length !== 2 || !Array.isArray(value[1])) throw new ProtocolError(`the column ${column} holds no set`);
  return value[1];
}

/** @throws ProtocolError */
export function readNumbers(row: Row, column: string): readonly number[] {
  return readSet(row, column).map((element) => {
    if (typeof element !== 'number') throw new ProtocolError(`the column ${column} holds something that is no number`);
    return element;
  });
}

/** The texts of a set; an optional text is none or one. @throws ProtocolError */
export function readTexts(row: Row, column: string): readonly string[] {
  return readSet(row, column).map((element) => {
    if (typeof element !== 'string') throw new ProtocolError(`the column ${column} holds something that is no text`);
    return element;
  });
}

/** The ids of rows that a column refers to. @throws ProtocolError */
export function readUuids(row: Row, column: string): readonly string[] {
  const value = row[column];
  const elements = Array.isArray(value) && value[0] === 'uuid' ? [value] : readSet(row, column);
  return elements.map((element) => {
    if (!Array.isArray(element) || element[0] !== 'uuid' || typeof element[1] !== 'string') {
      throw new ProtocolError(`the column ${column} holds something that is no row`);
    }
    return element[1];
  });
}

/** @throws ProtocolError */
export function readMap(row: Row, column: string): Readonly<Record<string, string>> {
  const value = row[column];
  if (!Array.isArray(value) || value[0] !== 'map' || !Array.isArray(value[1])) {
    throw new ProtocolError(`the column ${column} holds no map`);
  }
  const entries = value[1].map((entry: unknown) => {
    if (!Array.isArray(entry) || typeof entry[0] !== 'string' || typeof entry[1] !== 'string') {
      throw new ProtocolError(`the column ${column} holds a map of something else than texts`);
    }
    return [entry[0], entry[1]] as const;
  });
  return Object.fromEntries(entries);
}

/** @throws ProtocolError */
export function readRow(value: unknown): Row {
  if (!isObject(value)) throw new ProtocolError('a row is not an object');
  return value;
}
