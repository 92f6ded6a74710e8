/** `berth agent`: the daemon. It reads its options itself, because they are keys of its configuration file as well. */

import { type Command, Option } from 'commander';
import { configKeys } from '../../agent/config-keys.ts';
import { guide } from '../help.ts';

type RunAgent = (flags: Readonly<Record<string, string>>) => Promise<void>;

/** The agent, which can serve the API of the cluster too. */
async function withMaster(): Promise<RunAgent> {
  const { runAgent } = await import('../../agent/main.ts');
  return (flags) =>
    runAgent(flags, [], async (store, { listen, ...settings }, logger) => {
      const { startMaster } = await import('../../master/main.ts');
      const cluster = { forwardMode: 'routing', fabricMode: 'default', clusterMode: 'docker' };
      return await startMaster(store, { listen: [listen], ...settings, ...cluster }, logger);
    });
}

/** @param load for tests. */
export function agentCommand(program: Command, load: () => Promise<RunAgent> = withMaster): Command {
  const command = program
    .command('agent')
    .description('run the agent in the foreground: it serves Docker and keeps the networks')
    .addOption(new Option('--config <file>', 'configuration file (JSON)').env('BERTH_CONFIG'));
  for (const { key, values, default: standard, help } of configKeys) {
    // Every command knows --run-dir already.
    if (key === 'run-dir') continue;
    const words = help.charAt(0).toLowerCase() + help.slice(1).replace(/\.$/, '');
    command.addOption(
      new Option(`--${key} <value>`, `${words} (${values}; default: ${standard})`).env(variableOf(key)),
    );
  }
  command.action(async () => {
    const runAgent = await load();
    await runAgent(givenFlags(command));
  });
  return guide(command, {
    remark:
      'Logs go to stderr. SIGTERM ends it in order; the networks stay as they are.\nA flag counts before the environment, and that before the configuration file. See docs/configuration.md.',
    examples: [
      ['berth agent'],
      ['berth agent --config /etc/berth.json'],
      ['berth agent --state-dir /tmp/b/state --run-dir /tmp/b/run --plugin-dir /tmp/b/plugins', 'a second one beside'],
    ],
  });
}

/** The variable in the environment that stands for a key of the configuration. */
export function variableOf(key: string): string {
  return `BERTH_${key.toUpperCase().replaceAll('-', '_')}`;
}

/** What stood on the command line, by configuration key. Defaults and the environment are the agent's to know. */
function givenFlags(command: Command): Record<string, string> {
  const flags: Record<string, string> = {};
  for (let at: Command | null = command; at !== null; at = at.parent) {
    for (const option of at.options) {
      const name = option.attributeName();
      if (at.getOptionValueSource(name) !== 'cli' || option.long === '--json') continue;
      flags[option.long!.slice('--'.length)] = String(at.getOptionValue(name));
    }
  }
  return flags;
}
