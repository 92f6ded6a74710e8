/** What a command of netctl is, as data: parsing, help, completion, `berth`'s own commands and the docs are made from it. */

import type { Fields, Master } from './master.ts';

/** What may stand for a value, for completion: names of objects, or fixed words. */
export type Suggestion =
  | 'tenant'
  | 'network'
  | 'group'
  | 'policy'
  | 'rule'
  | 'netprofile'
  | 'service'
  | 'app-profile'
  | 'external-contracts'
  | 'bgp'
  | readonly string[];

export interface Flag {
  /** The long form first; all forms may be written with one dash or two, as Go's flags are. */
  readonly names: readonly string[];
  readonly kind: 'text' | 'number' | 'boolean' | 'list';
  readonly usage: string;
  /** What holds when it is not given. */
  readonly standard?: string;
  /** Shown in the help but not applied: what is not given stays as it is. */
  readonly onlyShown?: boolean;
  readonly env?: string;
  readonly suggest?: Suggestion;
}

export type FlagValue = string | number | boolean | readonly string[];

/** The flags of one command line, by their long form. */
export interface Flags {
  /** Empty when neither given nor by default something. */
  text(name: string): string;
  number(name: string): number;
  boolean(name: string): boolean;
  list(name: string): readonly string[];
  /** Whether the command line has it. */
  given(name: string): boolean;
}

/** What a command works with. */
export interface Session {
  readonly master: Master;
  readonly flags: Flags;
  readonly json: boolean;
  /** Writes to standard output. */
  print(text: string): void;
  /** One line about what is done; silent where the output is JSON. */
  say(text: string): void;
  /** Shows objects as a table: in the look of the program that runs. */
  table(listing: Table, objects: readonly Fields[]): void;
  /** For the one command that makes others trusted. */
  readonly login?: { readonly credentials: Credentials; readonly terminal: Terminal };
}

export interface Credentials {
  /** Whether what is said to the master is encrypted. */
  readonly secure: boolean;
  /** The token of the command line or the environment. */
  readonly token: string | undefined;
  /** Where tokens are kept. */
  readonly file: string;
  /** Keeps a token for commands to come, readable for this user only. @throws MasterFailure `io` */
  keep(token: string): Promise<void>;
}

/** The user, for the one command that asks questions. */
export interface Terminal {
  /** @throws MasterFailure `io` when the input ends. */
  ask(question: string): Promise<string>;
  /** Without showing what is typed. */
  askSecretly(question: string): Promise<string>;
}

export interface TableColumn {
  readonly title: string;
  readonly text: (object: Fields) => string;
}

export interface Table {
  readonly columns: readonly TableColumn[];
  /** The lines of Contiv's table, with tabs: its titles, dashes and quirks. */
  readonly lines: (objects: readonly Fields[]) => string;
}

export interface CommandSpec {
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly usage: string;
  /** What its help says about arguments; Contiv's is not always what it takes. */
  readonly argsUsage?: string;
  /** The arguments that it takes, all of them required. */
  readonly args: readonly { readonly name: string; readonly suggest?: Suggestion }[];
  /** Contiv's words for another number of arguments. */
  readonly argsRequired?: string;
  /** Contiv's flags, in the order of its help. */
  readonly flags: readonly Flag[];
  /** Those that are ours. `--json` is added where it is missing. */
  readonly extraFlags?: readonly Flag[];
  readonly examples?: readonly string[];
  readonly run: (session: Session, args: readonly string[]) => Promise<void>;
}

export interface NounSpec {
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly usage: string;
  readonly commands: readonly CommandSpec[];
}

/** `version` and `login` stand alone. */
export type TopSpec = NounSpec | CommandSpec;

export function isNoun(spec: TopSpec): spec is NounSpec {
  return 'commands' in spec;
}

export const tenantFlag: Flag = {
  names: ['tenant', 't'],
  kind: 'text',
  standard: 'default',
  usage: 'Name of the tenant',
  suggest: 'tenant',
};
export const allFlag: Flag = { names: ['all', 'a'], kind: 'boolean', usage: 'List all items' };
export const jsonFlag: Flag = { names: ['json', 'j'], kind: 'boolean', usage: 'Output list in JSON format' };
export const quietFlag: Flag = { names: ['quiet', 'q'], kind: 'boolean', usage: 'Only display name field' };

/** `-x VALUE` of plain text. */
export function textFlag(names: string, usage: string, more: Partial<Flag> = {}): Flag {
  return { names: names.split(', '), kind: 'text', usage, ...more };
}

/** Every flag that a command understands besides the global ones: Contiv's, ours, and JSON for all. */
export function flagsOf(command: CommandSpec): readonly Flag[] {
  return [...command.flags, ...addedFlagsOf(command)];
}

/** The flags that Contiv's command did not have. */
export function addedFlagsOf(command: CommandSpec): readonly Flag[] {
  const extra = command.extraFlags ?? [];
  const known = [...command.flags, ...extra];
  if (known.some(({ names }) => names.includes('json'))) return extra;
  const short = known.some(({ names }) => names.includes('j')) ? [] : ['j'];
  return [...extra, { names: ['json', ...short], kind: 'boolean', usage: 'Output the object in JSON format' }];
}
