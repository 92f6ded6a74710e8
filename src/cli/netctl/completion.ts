/** `netctl __complete -- WORDS…`: what may stand for the last word. Asked by the shells on every press of the tab key. */

import { allCommands, allGlobalFlags, find } from './command-line.ts';
import { findFlag, flagsFrom, flagWord, takeFlag, type Values } from './flags.ts';
import { type CommandSpec, type Flag, flagsOf, isNoun, type NounSpec } from './spec.ts';
import { type Candidate, suggest } from './suggestions.ts';

/** Where in a command line the unfinished word stands. */
interface Place {
  readonly noun: NounSpec | undefined;
  readonly command: CommandSpec | undefined;
  readonly args: readonly string[];
  /** The flag whose value it is. */
  readonly flagOf: Flag | undefined;
  readonly values: Values;
  readonly globals: Values;
}

/** @returns lines `VALUE<tab>DESCRIPTION`. */
export async function completeNetctl(words: readonly string[], environment: NodeJS.ProcessEnv): Promise<string> {
  const unfinished = words.at(-1) ?? '';
  let found: readonly Candidate[];
  try {
    found = await candidates(placeOf(words.slice(0, -1)), unfinished, environment);
  } catch {
    // Nobody could read a complaint in the middle of typing.
    found = [];
  }
  return found
    .filter(({ value }) => value.startsWith(unfinished))
    .map(({ value, description }) => `${value}\t${description}\n`)
    .join('');
}

function placeOf(words: readonly string[]): Place {
  const [values, globals]: [Values, Values] = [new Map(), new Map()];
  let noun: NounSpec | undefined;
  let command: CommandSpec | undefined;
  let flagOf: Flag | undefined;
  const args: string[] = [];
  for (let i = 0; i < words.length; ) {
    const flag = flagWord(words[i]!);
    if (flag === undefined) {
      const next =
        command === undefined ? find(noun === undefined ? allCommands : noun.commands, words[i]!) : undefined;
      if (next === undefined) args.push(words[i]!);
      else if (isNoun(next)) noun = next;
      else command = next;
      i++;
      continue;
    }
    const own = command === undefined ? undefined : findFlag(flagsOf(command), flag.name);
    const known = own ?? findFlag(allGlobalFlags, flag.name);
    if (known === undefined) i++;
    else if (known.kind !== 'boolean' && flag.value === undefined && i === words.length - 1) {
      flagOf = known;
      i++;
    } else i += takeFlag(words, i, known, own === undefined ? globals : values, new Map());
  }
  return { noun, command, args, flagOf, values, globals };
}

async function candidates(
  place: Place,
  unfinished: string,
  environment: NodeJS.ProcessEnv,
): Promise<readonly Candidate[]> {
  const { noun, command, args, flagOf, globals, values } = place;
  const tenant = flagsFrom(command === undefined ? [] : flagsOf(command), values).text('tenant');
  const asker = { globals, environment, tenant, args };
  if (flagOf !== undefined) return suggest(flagOf.suggest, asker);
  if (unfinished.startsWith('-')) {
    return [...(command === undefined ? [] : flagsOf(command)), ...allGlobalFlags].map(({ names, usage }) => ({
      value: `--${names[0]}`,
      description: usage.trim(),
    }));
  }
  if (command !== undefined) return suggest(command.args[args.length]?.suggest, asker);
  return (noun?.commands ?? allCommands).map(({ name, usage }) => ({ value: name, description: usage }));
}
