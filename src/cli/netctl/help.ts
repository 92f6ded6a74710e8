/**
 * Help in the form that netctl's users know. What Berth adds stands below, so that the upper part stays what it was, to the
 * blank.
 */

import { addedFlagsOf, type CommandSpec, type Flag, type NounSpec, type TopSpec } from './spec.ts';
import { alignTabs } from './tabwriter.ts';
import { clientVersion, versionLines } from './version.ts';

const program = 'netctl';
const helpFlag: Flag = { names: ['help', 'h'], kind: 'boolean', usage: 'show help' };
const helpLine = 'help, h\tShows a list of commands or help for one command';

/** `--tenant, -t "default"<tab>Name of the tenant`. */
function flagLine({ names, kind, standard, usage, env }: Flag): string {
  const forms = names.map((name) => (name.length === 1 ? `-${name}` : `--${name}`)).join(', ');
  const variable = env === undefined ? '' : ` [$${env}]`;
  switch (kind) {
    case 'boolean':
      return `${forms}\t${usage}${variable}`;
    case 'list':
      return `${forms} [--${names[0]} option --${names[0]} option]\t${usage}${variable}`;
    default:
      return `${forms} ${standard === undefined ? '' : `"${standard}"`}\t${usage}${variable}`;
  }
}

/** A part of a help page: its title, its lines indented, and the blank line that ends it. */
function part(title: string, lines: readonly string[]): string {
  return `${title}:\n${lines.map((line) => `   ${line}\n`).join('')}   \n`;
}

function page(text: string): string {
  return alignTabs(text, { padding: 1, tabStop: 8 });
}

function names({ name, aliases }: TopSpec): string {
  return [name, ...(aliases ?? [])].join(', ');
}

export interface ProgramHelp {
  readonly commands: readonly TopSpec[];
  readonly flags: readonly Flag[];
  /** Ours, and shown apart. */
  readonly addedCommands: readonly CommandSpec[];
  readonly addedFlags: readonly Flag[];
}

/** `netctl --help`. */
export function programHelp({ commands, flags, addedCommands, addedFlags }: ProgramHelp): string {
  const versionFlag: Flag = { names: ['version', 'v'], kind: 'boolean', usage: 'print the version' };
  return page(
    [
      `NAME:\n   ${program} - A command line client for Contiv netplugin\n\n`,
      `USAGE:\n   ${program} [global options] command [command options] [arguments...]\n   \n`,
      `VERSION:\n   \n${versionLines(clientVersion)}\n   \n`,
      part('COMMANDS', [...commands.map((command) => `${names(command)}\t${command.usage}`), helpLine]),
      part('GLOBAL OPTIONS', [...flags, helpFlag, versionFlag].map(flagLine)),
      part(
        'COMMANDS OF BERTH',
        addedCommands.map((command) => `${names(command)}\t${command.usage}`),
      ),
      part('GLOBAL OPTIONS OF BERTH', addedFlags.map(flagLine)),
    ].join(''),
  );
}

/** `netctl NOUN --help`. */
export function nounHelp(noun: NounSpec): string {
  return page(
    [
      `NAME:\n   ${program} ${noun.name} - ${noun.usage}\n\n`,
      `USAGE:\n   ${program} ${noun.name} command [command options] [arguments...]\n\n`,
      part('COMMANDS', [...noun.commands.map((command) => `${names(command)}\t${command.usage}`), helpLine]),
      part('OPTIONS', [flagLine(helpFlag)]),
    ].join(''),
  );
}

/** The part about options ends with a blank line; where Contiv has none, what follows needs one. */
function separate(command: CommandSpec): string {
  return command.flags.length > 0 ? '' : '\n';
}

/** `netctl NOUN COMMAND --help`, also what a wrong use of the command shows. */
export function commandHelp(path: readonly string[], command: CommandSpec): string {
  const name = [program, ...path].join(' ');
  const added = addedFlagsOf(command);
  return page(
    [
      `NAME:\n   ${name} - ${command.usage}\n\n`,
      `USAGE:\n   ${name}${command.flags.length > 0 ? ' [command options]' : ''} ${command.argsUsage ?? '[arguments...]'}\n`,
      command.flags.length > 0 ? `\n${part('OPTIONS', command.flags.map(flagLine))}` : '',
      added.length > 0 ? `${separate(command)}${part('OPTIONS OF BERTH', added.map(flagLine))}` : '',
      command.examples === undefined
        ? ''
        : part(
            'EXAMPLES',
            command.examples.map((example) => `${program} ${example}`),
          ),
    ].join(''),
  );
}
