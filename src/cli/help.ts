/** Remarks and examples of the commands: in their help, and in docs/cli.md. */

import type { Command } from 'commander';

export interface Guide {
  /** What is not said by the description and the options: exit codes, what it works without. */
  readonly remark?: string;
  readonly examples: readonly (readonly [command: string, meaning?: string])[];
}

const guides = new WeakMap<Command, Guide>();

/** Gives a command its remark and examples. */
export function guide(command: Command, given: Guide): Command {
  guides.set(command, given);
  const remark = given.remark === undefined ? '' : `\n${given.remark}\n`;
  return command.addHelpText('after', `${remark}\nExamples:\n${exampleLines(given).replaceAll(/^/gm, '  ')}`);
}

export function guideOf(command: Command): Guide | undefined {
  return guides.get(command);
}

/** The examples, one per line, their meanings aligned as shell comments. */
export function exampleLines({ examples }: Guide): string {
  const width = Math.max(...examples.map(([command]) => command.length));
  return examples
    .map(([command, meaning]) => (meaning === undefined ? command : `${command.padEnd(width)}   # ${meaning}`))
    .join('\n');
}
