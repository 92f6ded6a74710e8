/**
 * Flags as Go's package `flag` reads them, which netctl's users have in their fingers: `-x`, `--x`, `-x=v`, `--x v`; several letters
 * are one name, never several flags. Other than there, flags may stand anywhere among the arguments.
 */

import { misuse } from './failure.ts';
import type { Flag, Flags, FlagValue } from './spec.ts';

/** What a command line has said, by long form. */
export type Values = Map<string, FlagValue>;

interface Word {
  readonly name: string;
  readonly value: string | undefined;
}

/** A word that is a flag, taken apart; undefined for an argument. `-` alone is an argument. */
export function flagWord(word: string): Word | undefined {
  const match = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(word);
  return match === null ? undefined : { name: match[1]!, value: match[2] };
}

export function findFlag(known: readonly Flag[], name: string): Flag | undefined {
  return known.find(({ names }) => names.includes(name));
}

/**
 * Takes one flag, and its value if that is the next word.
 *
 * @returns how many words were taken.
 * @throws MasterFailure in Go's words, for a value that is missing or wrong, or two forms of one flag.
 */
export function takeFlag(
  words: readonly string[],
  at: number,
  flag: Flag,
  values: Values,
  forms: Map<string, string>,
): number {
  const { name, value: attached } = flagWord(words[at]!)!;
  const key = flag.names[0]!;
  const form = forms.get(key);
  if (form !== undefined && form !== name && flag.kind !== 'list') {
    throw misuse(`Cannot use two forms of the same flag: ${form} ${name}`);
  }
  forms.set(key, name);
  if (flag.kind === 'boolean') {
    values.set(key, attached === undefined || readBoolean(name, attached));
    return 1;
  }
  const value = attached ?? words[at + 1];
  if (value === undefined) throw misuse(`flag needs an argument: -${name}`);
  if (flag.kind === 'list') values.set(key, [...((values.get(key) as string[] | undefined) ?? []), value]);
  else values.set(key, flag.kind === 'number' ? readNumber(name, value) : value);
  return attached === undefined ? 2 : 1;
}

function readBoolean(name: string, text: string): boolean {
  const value = parseBoolean(text);
  if (value === undefined) throw misuse(`invalid boolean value "${text}" for -${name}: parse error`);
  return value;
}

/** As Go's strconv.ParseBool; undefined for other words. */
export function parseBoolean(text: string): boolean | undefined {
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text)) return true;
  if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(text)) return false;
  return undefined;
}

/** @throws MasterFailure in Go's words. */
export function readNumber(name: string, text: string): number {
  const value = /^[+-]?(0|[1-9][0-9]*|0[xX][0-9a-fA-F]+)$/.test(text) ? Number(text.replace(/^\+/, '')) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw misuse(`invalid value "${text}" for flag -${name}: parse error`);
  return value;
}

/** The flags of a command line, with what holds where nothing was said. */
export function flagsFrom(known: readonly Flag[], values: Values): Flags {
  const standard = (name: string): FlagValue | undefined => {
    const flag = known.find(({ names }) => names[0] === name);
    return flag === undefined || flag.onlyShown === true ? undefined : flag.standard;
  };
  const of = (name: string): FlagValue | undefined => values.get(name) ?? standard(name);
  return {
    text: (name) => String(of(name) ?? ''),
    number: (name) => Number(of(name) ?? 0),
    boolean: (name) => of(name) === true,
    list: (name) => (of(name) as readonly string[] | undefined) ?? [],
    given: (name) => values.has(name),
  };
}
