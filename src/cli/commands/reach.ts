/** `berth ping` and `berth test`: the flags. What they do is in `../ping.ts` and `../reach-test.ts`. */

import type { Command } from 'commander';
import { guide } from '../help.ts';
import type { Binder } from '../session.ts';

export function reachCommands(program: Command, on: Binder): void {
  guide(
    on(program.command('ping'), async () => (await import('../ping.ts')).ping)
      .description(
        'say how one container or host is reached from another: link by link, how fast, and with packets of which size',
      )
      .argument('<from>', 'NAME or HOST/NAME of a container, or a HOST')
      .argument('<to>', 'the same'),
    {
      remark:
        'Packets are sent from within the container, on whichever host it is; it needs no program for that. A container of this host\\ngoes before another of the same name. Exit code 1 when something is wrong: it says what, and where.',
      examples: [
        ['berth ping web db', 'two containers'],
        ['berth ping host1/web host2/db', 'where several hosts have one of that name'],
        ['berth ping host1 host2', 'between two hosts, outside all networks'],
        ['berth ping web db --json | jq .echoes'],
      ],
    },
  );
  guide(
    on(program.command('test'), async () => (await import('../reach-test.ts')).test)
      .description('try from every container of a network, or of a group, on all hosts, to reach every other')
      .argument(
        '<network>',
        'NETWORK, NETWORK/TENANT or TENANT:NETWORK; or the same of a group: then its containers only',
      )
      .option('--limit <count>', 'containers that are tried at most, evenly over the hosts (default: 64)')
      .option('--timeout <seconds>', 'begin with no other container after that (default: 120)'),
    {
      remark:
        'IPv4, IPv6, the container’s name, and packets as large as the network’s MTU. Exit code 1 when something that should\\nreach does not, or could not be tried.',
      examples: [['berth test shop'], ['berth test shop --json | jq ".pairs[] | select(.problems != [])"']],
    },
  );
}
