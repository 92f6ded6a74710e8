/** docs/cli.md: every command with its options, as the command line itself declares them. */

import type { Command, Option } from 'commander';
import { exitCode } from '../../src/cli/failure.ts';
import { exampleLines, guideOf } from '../../src/cli/help.ts';
import { buildProgram } from '../../src/cli/program.ts';
import { generatedNote, markdownTable } from './markdown.ts';

const exitMeanings: Readonly<Record<keyof typeof exitCode, string>> = {
  ok: 'Done, and nothing to complain about.',
  failed: 'It failed, or it found what should not be: drift that remains, an unhealthy agent, a failed check.',
  usage: 'The command line or the configuration was wrong.',
  unreachable: 'No agent answers, or no master.',
  notFound: 'What was named does not exist.',
  badOldFlags: 'The flags of `netmaster` or `netplugin` were wrong.',
  interrupted: 'Ended with Ctrl-C.',
};

function optionRow(option: Option): string[] {
  const standard = typeof option.defaultValue === 'string' ? `\`${option.defaultValue}\`` : '';
  return [
    `\`${option.flags}\``,
    option.envVar === undefined ? '' : `\`${option.envVar}\``,
    standard,
    option.description,
  ];
}

function optionsTable(options: readonly Option[]): string {
  if (options.length === 0) return '';
  return `\n${markdownTable(['option', 'environment', 'default', 'meaning'], options.map(optionRow))}`;
}

function guideText(command: Command): string {
  const given = guideOf(command);
  if (given === undefined) return '';
  const remark = given.remark === undefined ? '' : `\n${given.remark}\n`;
  return `${remark}\n\`\`\`\n${exampleLines(given)}\n\`\`\`\n`;
}

function visible(command: Command): Command[] {
  return command.commands.filter((child) => !child.name().startsWith('__'));
}

function section(command: Command, path: string): string {
  const name = `${path} ${command.name()}`;
  const children = visible(command);
  const below = children.map((child) => section(child, name)).join('');
  // Some do something themselves beside what is below them, and take an argument for that.
  if (children.length > 0 && command.registeredArguments.length === 0) return below;
  const usage = [
    name,
    ...command.registeredArguments.map((argument) => {
      const name = `${argument.name()}${argument.variadic ? '...' : ''}`;
      return argument.required ? `<${name}>` : `[${name}]`;
    }),
  ];
  const aliases = command.aliases().length === 0 ? '' : ` Also: \`${path} ${command.aliases().join('`, `')}\`.`;
  const description = command.description();
  return `
### ${usage.join(' ')}

${description.charAt(0).toUpperCase()}${description.slice(1)}.${aliases}
${optionsTable(command.options)}${guideText(command)}${below}`;
}

export function cliPage(): string {
  const output = { write: () => true };
  const program = buildProgram({ stdout: output, stderr: output, now: Date.now }, () => undefined);
  const codes = Object.entries(exitCode).map(([name, code]) => [
    String(code),
    exitMeanings[name as keyof typeof exitCode],
  ]);
  return `${generatedNote}
# The command line

\`berth COMMAND\` talks to the agent of this host through \`berth.sock\` in its run directory. Output for people goes to
stdout as aligned text; with \`--json\` it is the JSON of the agent's API, whose shape is stable. Errors go to stderr: what
failed and why, and a line \`next:\` that says what to do.

What is the cluster's (\`tenant\`, \`group\`, \`policy\` and so on, \`network create\` and \`rm\`, and whatever is asked with \`--cluster\`) is asked of
a master. \`netctl\` has the same commands in Contiv's form, see [From Contiv to Berth](migrate-contiv.md).

## Options of every command

Before or after the command.
${optionsTable(program.options)}
## Exit codes

${markdownTable(['code', 'meaning'], codes)}
## Commands
${visible(program)
  .map((command) => section(command, 'berth'))
  .join('')}`;
}
