/** Takes a command line of netctl apart: which command, its arguments, its flags and those of every command. */

import { nearest } from '../../model/nearest.ts';
import { addedGlobalFlags, globalFlags } from './connection.ts';
import { MasterFailure, misuse } from './failure.ts';
import { findFlag, flagWord, takeFlag, type Values } from './flags.ts';
import { commandHelp, nounHelp, programHelp } from './help.ts';
import { addedCommands, commands } from './nouns.ts';
import { type CommandSpec, type Flag, flagsOf, isNoun, type NounSpec, type TopSpec } from './spec.ts';

export type CommandLine =
  /** Only something to read was asked for. */
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'version' }
  | {
      readonly kind: 'command';
      readonly path: readonly string[];
      readonly command: CommandSpec;
      readonly args: readonly string[];
      readonly values: Values;
      readonly globals: Values;
    };

/** Something is wrong with the words. What netctl always wrote about it to standard output comes with it. */
export class Misuse extends MasterFailure {
  readonly output: string;

  constructor({ message, next, because }: MasterFailure, output: string) {
    super('usage', message, { next, cause: because });
    this.output = output;
  }
}

export const allGlobalFlags: readonly Flag[] = [...globalFlags, ...addedGlobalFlags];
export const allCommands: readonly TopSpec[] = [...commands, ...addedCommands];
const helpFlag: Flag = { names: ['help', 'h'], kind: 'boolean', usage: '' };
const versionFlag: Flag = { names: ['version', 'v'], kind: 'boolean', usage: '' };

const wholeHelp = (): string =>
  programHelp({ commands, flags: globalFlags, addedCommands, addedFlags: addedGlobalFlags });

/**
 * @param words what follows the program's name.
 * @throws Misuse
 */
export function parseCommandLine(words: readonly string[]): CommandLine {
  const globals: Values = new Map();
  const forms = new Map<string, string>();
  const rest = [...words];

  /** Flags before the next word that is none. Undefined: there is no such word. */
  const nextWord = (more: readonly Flag[], help: () => string): string | undefined => {
    while (rest.length > 0) {
      const flag = flagWord(rest[0]!);
      if (flag === undefined) return rest.shift();
      const known = findFlag([helpFlag, ...more, ...allGlobalFlags], flag.name);
      if (known === undefined) throw incorrect(misuse(`flag provided but not defined: -${flag.name}`), help);
      rest.splice(
        0,
        inWords(() => takeFlag(rest, 0, known, globals, forms), help),
      );
    }
    return undefined;
  };

  const first = nextWord([versionFlag], wholeHelp);
  if (globals.get('version') === true) return { kind: 'version' };
  if (globals.get('help') === true || first === undefined) return { kind: 'help', text: wholeHelp() };
  if (isHelpWord(first)) return { kind: 'help', text: helpAbout(rest.filter((word) => flagWord(word) === undefined)) };
  const spec = find(allCommands, first);
  if (spec === undefined) throw unknown(first, allCommands, 'netctl');
  if (!isNoun(spec)) return parseCommand([spec.name], spec, rest, globals, forms);

  const second = nextWord([], () => nounHelp(spec));
  if (globals.get('help') === true || second === undefined) return { kind: 'help', text: nounHelp(spec) };
  if (isHelpWord(second)) {
    return { kind: 'help', text: helpAbout([spec.name, ...rest.filter((word) => flagWord(word) === undefined)]) };
  }
  const command = find(spec.commands, second);
  if (command === undefined) throw unknown(second, spec.commands, `netctl ${spec.name}`);
  return parseCommand([spec.name, command.name], command, rest, globals, forms);
}

function parseCommand(
  path: readonly string[],
  command: CommandSpec,
  words: readonly string[],
  globals: Values,
  forms: Map<string, string>,
): CommandLine {
  const help = (): string => commandHelp(path, command);
  const values: Values = new Map();
  const own = new Map<string, string>();
  const args: string[] = [];
  for (let i = 0; i < words.length; ) {
    const word = words[i]!;
    if (word === '--') {
      args.push(...words.slice(i + 1));
      break;
    }
    const flag = flagWord(word);
    if (flag === undefined) {
      args.push(word);
      i++;
      continue;
    }
    // A command's own flags come first: `global set -v` is the range of VLANs.
    const mine = findFlag(flagsOf(command), flag.name);
    const known = mine ?? findFlag([helpFlag, ...allGlobalFlags], flag.name);
    if (known === undefined) throw incorrect(undefinedFlag(flag.name, command), help);
    i += inWords(() => takeFlag(words, i, known, mine ? values : globals, mine ? own : forms), help);
  }
  if (globals.get('help') === true) return { kind: 'help', text: help() };
  if (args.length !== command.args.length) throw wrongArguments(command, args, help);
  return { kind: 'command', path, command, args, values, globals };
}

/** What a flag's parser says, with the help that netctl shows then. */
function inWords(take: () => number, help: () => string): number {
  try {
    return take();
  } catch (error) {
    throw incorrect(error as MasterFailure, help);
  }
}

function incorrect(failure: MasterFailure, help: () => string): Misuse {
  return new Misuse(failure, `Incorrect Usage.\n\n${help()}`);
}

function undefinedFlag(name: string, command: CommandSpec): MasterFailure {
  const known = [...flagsOf(command), ...allGlobalFlags]
    .flatMap(({ names }) => names)
    .filter((form) => form.length > 1);
  const [meant] = nearest(name, known, 1);
  const message = `flag provided but not defined: -${name}`;
  return meant === undefined ? misuse(message) : misuse(message, { next: `Did you mean --${meant}?` });
}

function wrongArguments({ args, argsRequired }: CommandSpec, given: readonly string[], help: () => string): Misuse {
  const message = argsRequired ?? 'More arguments than required';
  const wanted =
    args.length === 0 ? 'none is taken' : `it takes ${args.map(({ name }) => name.toUpperCase()).join(' ')}`;
  const cause = `${given.length} given${given.length === 0 ? '' : ` (${given.map((word) => JSON.stringify(word.slice(0, 64))).join(', ')})`}, ${wanted}`;
  return new Misuse(new MasterFailure('usage', message, { cause }), help());
}

function unknown(word: string, known: readonly TopSpec[], where: string): Misuse {
  const [meant] = nearest(
    word,
    known.flatMap(({ name, aliases }) => [name, ...(aliases ?? [])]),
    1,
  );
  return new Misuse(
    misuse(`${where} has no command '${word.slice(0, 100)}'`, {
      next: meant === undefined ? `See what there is with: ${where} --help` : `Did you mean ${where} ${meant}?`,
    }),
    `No help topic for '${word.slice(0, 100)}'\n`,
  );
}

function helpAbout(words: readonly string[]): string {
  const [first, second] = words;
  if (first === undefined) return wholeHelp();
  const spec = find(allCommands, first);
  if (spec === undefined) throw unknown(first, allCommands, 'netctl');
  if (!isNoun(spec)) return commandHelp([spec.name], spec);
  if (second === undefined) return nounHelp(spec);
  const command = find(spec.commands, second);
  if (command === undefined) throw unknown(second, spec.commands, `netctl ${spec.name}`);
  return commandHelp([spec.name, command.name], command);
}

function isHelpWord(word: string): boolean {
  return word === 'help' || word === 'h';
}

export function find<Spec extends NounSpec | CommandSpec>(specs: readonly Spec[], word: string): Spec | undefined {
  return specs.find(({ name, aliases }) => name === word || aliases?.includes(word) === true);
}
