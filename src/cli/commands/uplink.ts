/** `berth uplink plan`: the flags. What it does is in `../uplink.ts`. */

import type { Command } from 'commander';
import { guide } from '../help.ts';
import type { Binder } from '../session.ts';

/** @param group the command `berth uplink`. */
export function uplinkCommands(group: Command, on: Binder): void {
  guide(
    on(group.command('plan'), async () => (await import('../uplink.ts')).plan)
      .description('show what making a bridge from a NIC would change on this host, and how; changes nothing')
      .argument('<nic>', 'an interface of this host')
      .option('--bridge <name>', 'name of the bridge to make (default: br-NIC)'),
    {
      remark: 'Exit code 1 when it cannot be done.',
      examples: [['berth uplink plan eth0'], ['berth uplink plan eth0 --json | jq -r ".commands[]"']],
    },
  );
}
