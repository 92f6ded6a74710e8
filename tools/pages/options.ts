/** docs/options.md: what `docker network create -o` and `--driver-opt` take, for each fabric. */

import type { OptionSpec } from '../../src/fabric/fabric.ts';
import { fabrics } from '../../src/fabric/fabrics.ts';
import { generatedNote, markdownTable } from './markdown.ts';

const introductions: Readonly<Record<string, string>> = {
  cluster: 'Virtual networks, driver `berth`: `docker network create -d berth -o OPTION=VALUE …`',
  lan: 'Networks on the host’s own LAN, drivers `berth-lan` and `local`: `docker network create -d berth-lan -o OPTION=VALUE …`',
};

function rows(options: readonly OptionSpec[]): string[][] {
  return options.map(({ name, aliases = [], values, default: standard, help }) => [
    [name, ...aliases].map((one) => `\`${one}\``).join(', '),
    values,
    standard,
    help,
  ]);
}

function optionsTable(options: readonly OptionSpec[]): string {
  if (options.length === 0) return 'None.\n';
  return markdownTable(['option', 'values', 'default', 'meaning'], rows(options));
}

export function optionsPage(): string {
  const sections = fabrics.map(
    ({ kind, networkOptions, endpointOptions }) => `
## ${kind}

${introductions[kind] ?? ''}

${optionsTable(networkOptions)}
Options of one container on it, \`docker network connect --driver-opt OPTION=VALUE …\`:

${optionsTable(endpointOptions)}`,
  );
  return `${generatedNote}
# Options

What \`-o\` takes when a network is made, and \`--driver-opt\` when a container is connected. An option that the driver does not
know, or a value that it cannot use, is an error and nothing is made. Keys of the engine and its other drivers
(\`com.docker.…\`) that are not listed here are passed over.
${sections.join('')}`;
}
