/** docs/configuration.md: every key of the agent's configuration. */

import { configKeys } from '../../src/agent/config-keys.ts';
import { variableOf } from '../../src/cli/commands/agent.ts';
import { generatedNote, markdownTable } from './markdown.ts';

export function configurationPage(): string {
  const rows = configKeys.map(({ key, values, default: standard, help }) => [
    `\`${key}\``,
    `\`--${key}\``,
    `\`${variableOf(key)}\``,
    values,
    standard === 'none' ? '' : `\`${standard}\``,
    help,
  ]);
  return `${generatedNote}
# Configuration

The agent needs none: without any it serves the plugins \`berth\`, \`berth-lan\` and \`local\`. Each setting may be given as a flag of
\`berth agent\`, as a variable in the environment, or as a key in the configuration file, and counts in that order.

The configuration file is JSON, and is named with \`--config\` or \`BERTH_CONFIG\`:

\`\`\`json
{
  "bridge": "br0",
  "default-pools": "10.64.0.0/12:24",
  "audit-interval": 60
}
\`\`\`

A key that Berth does not know, or a value that it cannot use, stops the agent at its start, before anything is changed.

${markdownTable(['key', 'flag', 'environment', 'values', 'default', 'meaning'], rows)}`;
}
