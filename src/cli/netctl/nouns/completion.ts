/** `netctl completion`: what a shell asks when the tab key is pressed. */

import { completionScript, shells } from '../../completion/scripts.ts';
import { misuse } from '../failure.ts';
import type { CommandSpec } from '../spec.ts';

export const completion: CommandSpec = {
  name: 'completion',
  usage: 'Print a completion script for bash, zsh or fish',
  argsUsage: '[shell]',
  args: [{ name: 'shell', suggest: shells }],
  argsRequired: 'Name of a shell required',
  flags: [],
  examples: ['completion bash > /usr/share/bash-completion/completions/netctl'],
  run: async (session, [shell]) => {
    const script = completionScript(shell!, 'netctl');
    if (script === undefined)
      throw misuse(`there is no completion for ${shell}`, { next: `Choose of ${shells.join(', ')}.` });
    session.print(script);
  },
};
