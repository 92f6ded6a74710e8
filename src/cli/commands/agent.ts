/** `berth agent`: the daemon. Its options are read by the agent, which knows their place in the configuration file too. */
import type { Command } from 'commander';

export function agentCommand(program: Command): void {
  program.command('agent').description('run the agent in the foreground');
}
