/** Reads `-o key=value` options against a fabric's table: unknown keys and bad values are errors, never silent defaults. */

import { BerthError } from '../model/errors.ts';
import { isLinkName } from '../model/ids.ts';
import { nearest } from '../model/nearest.ts';
import type { OptionSpec } from './fabric.ts';

export type OptionValues = ReadonlyMap<string, string>;

/**
 * The options by their own names. Keys of the engine and its other drivers (`com.docker.…`) that we do not know are theirs
 * and are passed over; any other unknown key is an error that names the nearest known one.
 *
 * @throws BerthError BAD_OPTION
 */
export function readOptions(given: Readonly<Record<string, string>>, specs: readonly OptionSpec[]): OptionValues {
  const names = new Map<string, string>();
  for (const spec of specs) {
    for (const name of [spec.name, ...(spec.aliases ?? [])]) names.set(name, spec.name);
  }
  const values = new Map<string, string>();
  for (const [key, value] of Object.entries(given)) {
    const name = names.get(key);
    if (name === undefined) {
      if (key.startsWith('com.docker.')) continue;
      throw new BerthError('BAD_OPTION', `the option '${printable(key)}' is not known${meant(key, names.keys())}`);
    }
    const earlier = values.get(name);
    if (earlier !== undefined && earlier !== value) {
      throw new BerthError(
        'BAD_OPTION',
        `the option '${name}' is given twice, as '${printable(earlier)}' and '${printable(value)}'`,
      );
    }
    values.set(name, value);
  }
  return values;
}

function meant(key: string, known: Iterable<string>): string {
  const [best] = nearest(key, known, 1);
  return best === undefined ? '' : `; did you mean '${best}'?`;
}

/** A user's text as it may stand in a one-line message. */
export function printable(text: string): string {
  const clean = text.replaceAll(/\p{C}/gu, '?');
  return clean.length > 64 ? `${clean.slice(0, 61)}...` : clean;
}

/** @throws BerthError BAD_OPTION */
export function booleanOption(values: OptionValues, name: string, fallback: boolean): boolean {
  const value = values.get(name);
  if (value === undefined) return fallback;
  if (value === 'true' || value === '1') return true;
  if (value === 'false' || value === '0') return false;
  throw new BerthError('BAD_OPTION', `the option '${name}' is true or false, not '${printable(value)}'`);
}

/** @throws BerthError BAD_OPTION */
export function integerOption(values: OptionValues, name: string, least: number, most: number): number | undefined {
  const value = values.get(name);
  if (value === undefined) return undefined;
  const number = Number(value);
  if (!/^[0-9]{1,9}$/.test(value) || number < least || number > most) {
    throw new BerthError(
      'BAD_OPTION',
      `the option '${name}' is a whole number from ${least} to ${most}, not '${printable(value)}'`,
    );
  }
  return number;
}

/** @throws BerthError BAD_OPTION */
export function choiceOption<Choice extends string>(
  values: OptionValues,
  name: string,
  choices: readonly Choice[],
  fallback: Choice,
): Choice {
  const value = values.get(name);
  if (value === undefined) return fallback;
  const choice = choices.find((candidate) => candidate === value);
  if (choice !== undefined) return choice;
  throw new BerthError('BAD_OPTION', `the option '${name}' is one of ${choices.join(', ')}, not '${printable(value)}'`);
}

/** @throws BerthError BAD_OPTION */
export function linkOption(values: OptionValues, name: string, longest = 15): string | undefined {
  const value = values.get(name);
  if (value === undefined) return undefined;
  if (!isLinkName(value) || value.length > longest) {
    throw new BerthError(
      'BAD_OPTION',
      `the option '${name}' is the name of an interface (1 to ${longest} letters, digits, '.', '_', '-'), not '${printable(value)}'`,
    );
  }
  return value;
}
