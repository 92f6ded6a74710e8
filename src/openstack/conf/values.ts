/** What a value in kuryr.conf may be, in the forms that oslo.config takes (oslo_config/types.py). */

import { nearest } from '../../model/nearest.ts';

export interface ValueType<Value> {
  /** In words that follow "is". */
  readonly expected: string;
  /** Undefined when it is none of that kind. */
  parse(text: string): Value | undefined;
  /** It is not to be shown. */
  readonly secret?: boolean;
}

export const text: ValueType<string> = { expected: 'a text', parse: (value) => value };

export const secret: ValueType<string> = { ...text, secret: true };

export const boolean: ValueType<boolean> = {
  expected: 'true or false (also yes, no, on, off, 1, 0)',
  parse(value) {
    if (/^(true|1|on|yes)$/i.test(value)) return true;
    return /^(false|0|off|no)$/i.test(value) ? false : undefined;
  },
};

export function wholeNumber(least: number, unit: string): ValueType<number> {
  return {
    expected: `a whole number ${unit} from ${least} on`,
    parse: (value) => (/^[0-9]{1,9}$/.test(value) && Number(value) >= least ? Number(value) : undefined),
  };
}

export const list: ValueType<readonly string[]> = {
  expected: 'a list with commas',
  parse: (value) =>
    value
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== ''),
};

export function oneOf<const Choice extends string>(...choices: readonly Choice[]): ValueType<Choice> {
  return {
    expected: choices.length === 1 ? `'${choices[0]}'` : `one of ${choices.join(', ')}`,
    parse: (value) => choices.find((choice) => choice === value),
  };
}

export function listOf<const Choice extends string>(...choices: readonly Choice[]): ValueType<readonly Choice[]> {
  return {
    expected: `a list of ${choices.join(', ')}, with commas`,
    parse(value) {
      const items = list.parse(value)!;
      return items.every((item): item is Choice => (choices as readonly string[]).includes(item)) ? items : undefined;
    },
  };
}

export const url: ValueType<string> = {
  expected: 'a URL, such as https://cloud.example:5000/v3',
  parse: (value) => (/^https?:\/\/[^/\s]/i.test(value) && URL.canParse(value) ? value : undefined),
};

export const path: ValueType<string> = {
  expected: 'an absolute path',
  parse: (value) => (value.startsWith('/') ? value : undefined),
};

/** A port driver or a binding driver: the short name, or the Python module that held it. */
export function driver(names: readonly string[]): ValueType<string> {
  const parse = (value: string): string | undefined => names.find((name) => name === value.split('.').at(-1));
  return { expected: `one of ${names.join(', ')}, or its module ….drivers.${names[0]}`, parse };
}

export function drivers(names: readonly string[]): ValueType<readonly string[]> {
  const one = driver(names);
  return {
    expected: `a list of ${names.join(', ')}, with commas`,
    parse(value) {
      const found = list.parse(value.replace(/^\[(.*)\]$/s, '$1'))!.map((item) => one.parse(item));
      return found.includes(undefined) ? undefined : (found as string[]);
    },
  };
}

/** `; did you mean 'x'?`, or nothing. */
export function didYouMean(word: string, known: Iterable<string>): string {
  const [meant] = nearest(word, known, 1);
  return meant === undefined ? '' : `; did you mean '${meant}'?`;
}
