/** `berth reserve` and `berth unreserve`: the flags. What they do is in `../reserve.ts`. */

import type { Command } from 'commander';
import { guide } from '../help.ts';
import type { Binder } from '../session.ts';
import { listCommand } from './resource.ts';

export function reserveCommands(program: Command, on: Binder): void {
  const reserve = guide(
    on(program.command('reserve'), async () => (await import('../reserve.ts')).reserve)
      .description('keep an address for somebody: it is not given out by itself any more')
      .argument('<address>', 'an address of a pool of Berth')
      .option('--network <network>', 'in the subnet of this network; of the cluster also TENANT:NETWORK')
      .option('--pool <pool>', 'in the subnet of this pool')
      .option('--mac <mac>', 'for who has this MAC address; U:TEXT makes one of a text')
      .option('--for <name>', 'for the container of this name'),
    {
      remark:
        'Who is meant gets the address where the engine tells who asks: the name from engine 29 on, and with berth attach. Anybody else gets it only by asking for it with --ip, where the engine does not tell. It stays when networks and pools go. In a network of the cluster it is kept there only: other tenants may have the same subnet.',
      examples: [
        ['berth reserve 192.168.1.20 --for web'],
        ['berth reserve 192.168.1.21 --network lan --mac 0a:00:00:00:00:05'],
        ['berth reserve ls'],
      ],
    },
  );
  listCommand(reserve, 'reservation', on);
  guide(
    on(program.command('unreserve'), async () => (await import('../reserve.ts')).unreserve)
      .description('give a reserved address free again; who has it keeps it')
      .argument('<reserved>', 'an address that is reserved')
      .option('--network <network>', 'of this network, where it is reserved in several'),
    { examples: [['berth unreserve 192.168.1.20'], ['berth unreserve 10.1.0.20 --network red:shop']] },
  );
}
