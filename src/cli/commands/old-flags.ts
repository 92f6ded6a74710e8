/** The flags of Contiv's daemons: `--flag value` or `--flag=value` with one hyphen or two, and the environment. */

import { BerthError } from '../../model/errors.ts';

export interface OldFlag {
  /** All its names; the first is the one that is shown. */
  readonly names: readonly string[];
  /** After the prefix of the daemon's variables. */
  readonly env: string;
  readonly help: string;
  readonly switch?: true;
  readonly standard?: string;
}

export interface OldFlags<Flag extends string> {
  /** As it was given: on the command line, else in the environment. */
  given(flag: Flag): string | undefined;
  /** As it was given, else what it is otherwise; empty when it is nothing. */
  value(flag: Flag): string;
  /** @throws BerthError BAD_CONFIG when it is none of these. */
  oneOf(flag: Flag, choices: readonly string[]): string;
}

/**
 * Reads the words of a command line by a table of flags.
 *
 * @param prefix of the variables in the environment.
 * @throws BerthError BAD_CONFIG
 */
export function readOldFlags<Flag extends string>(
  table: Readonly<Record<Flag, OldFlag>>,
  prefix: string,
  words: readonly string[],
  environment: NodeJS.ProcessEnv,
): OldFlags<Flag> {
  const found = readWords(table, words);
  const given = (flag: Flag): string | undefined => found.get(flag) ?? environment[`${prefix}${table[flag].env}`];
  const value = (flag: Flag): string => given(flag) ?? table[flag].standard ?? '';
  return {
    given,
    value,
    oneOf(flag, choices) {
      const text = value(flag);
      if (choices.includes(text)) return text;
      const name = table[flag].names[0];
      if (text === '') throw badFlag(`--${name} is needed: ${choices.join(' or ')}`);
      throw badFlag(`--${name} must be ${choices.join(' or ')}, not '${text}'`);
    },
  };
}

function readWords<Flag extends string>(
  table: Readonly<Record<Flag, OldFlag>>,
  words: readonly string[],
): Map<Flag, string> {
  const given = new Map<Flag, string>();
  const rest = [...words];
  while (rest.length > 0) {
    const word = rest.shift()!;
    const [, name, attached] = /^--?([a-z][a-z0-9-]*)(?:=(.*))?$/s.exec(word) ?? [];
    const flag = (Object.keys(table) as Flag[]).find((known) => table[known].names.includes(name ?? ''));
    if (flag === undefined) throw badFlag(`there is no flag '${word.slice(0, 60)}'`);
    const value = attached ?? (table[flag].switch === true ? 'true' : rest.shift());
    if (value === undefined) throw badFlag(`--${name} needs a value`);
    given.set(flag, value);
  }
  return given;
}

/** A switch that was given a value, as Go's flag package reads it. */
export function isOn(text: string): boolean {
  return !['', 'false', '0', 'f', 'F', 'FALSE', 'False'].includes(text);
}

/** `http://a:2379,http://b:2380` as the address of a store of ours. @throws BerthError BAD_CONFIG */
export function etcdLocation(endpoints: string): string {
  const urls = endpoints.split(',').map((endpoint) => /^(?:(https?):\/\/)?([^/]+)\/?$/.exec(endpoint.trim()));
  const schemes = new Set(urls.map((url) => url?.[1] ?? 'http'));
  if (urls.includes(null) || schemes.size > 1)
    throw badFlag(`--etcd-endpoints '${endpoints}' is no list of URLs of one kind`);
  return `${schemes.has('https') ? 'etcds' : 'etcd'}://${urls.map((url) => url![2]).join(',')}`;
}

/** Contiv's names of levels as those of our log. */
export function logLevel(text: string): string {
  const level = text.toUpperCase();
  return { WARNING: 'warn', PANIC: 'fatal' }[level] ?? level.toLowerCase();
}

export function asksForHelp(words: readonly string[]): boolean {
  return words.some((word) => ['--help', '-help', '-h', 'help'].includes(word));
}

/** A line for each flag. */
export function oldFlagLines(table: Readonly<Record<string, OldFlag>>, prefix: string): string {
  return Object.values(table)
    .map(({ names, env, help, standard }) => {
      const shown = names.map((name) => `--${name}`).join(', ');
      return `  ${shown.padEnd(44)} ${help}${standard === undefined ? '' : ` (default: ${standard})`} [${prefix}${env}]\n`;
    })
    .join('');
}

export function badFlag(sentence: string): BerthError {
  return new BerthError('BAD_CONFIG', sentence);
}
