/** `berth attach` and `berth detach`: the flags. What they do is in `../attach.ts`. */

import { type Command, Option } from 'commander';
import { guide } from '../help.ts';
import type { Binder } from '../session.ts';
import { listCommand } from './resource.ts';

const collect = (value: string, before: readonly string[] | undefined): string[] => [...(before ?? []), value];

export function attachCommands(program: Command, on: Binder): void {
  const attach = on(program.command('attach'), async () => (await import('../attach.ts')).attach)
    .description('plug a running container into a LAN, whatever network it was started with')
    .argument('<container>', 'name or id')
    .option('--network <network>', 'with the settings of this network of Berth, and an address of its pool')
    .option('--bridge <bridge>', 'as a port of this bridge (default: the bridge of the agent’s configuration)')
    .option('--parent <interface>', 'on this interface of the host')
    .option('--mode <mode>', 'how: bridge, macvlan and others; docs/options.md lists them')
    .option('--vlan <id>', 'in this VLAN')
    .option('--mtu <bytes>', 'MTU of the interface')
    .addOption(
      new Option('-o, --opt <key=value>', 'another option of a LAN network; may be repeated').argParser(collect),
    )
    .addOption(
      new Option(
        '--address <address/length>',
        'address in the container, also as address/length@gateway; once for IPv4 and once for IPv6',
      ).argParser(collect),
    )
    .option('--no-address', 'no address at all')
    .option('--dhcp', 'address, default route and the rest from the DHCP server of the LAN')
    .addOption(
      new Option('--gateway <address>', 'where the default route leads from now on; once for each family').argParser(
        collect,
      ),
    )
    .option('--mac <mac>', 'MAC address; U:TEXT makes one of a text, always the same')
    .option('--interface <name>', 'what it is called in the container (default: eth1, or the next that is free)')
    .addOption(
      new Option('--route <route>', 'another route, as in "10.0.0.0/8 via 192.168.1.2"; may be repeated').argParser(
        collect,
      ),
    )
    .addOption(
      new Option('--rule <rule>', 'a routing rule, as in "from 192.168.1.5 table 100"; may be repeated').argParser(
        collect,
      ),
    )
    .option('--rate-in <rate>', 'the most that the container receives, as in 100mbit')
    .option('--rate-out <rate>', 'the most that it sends')
    .option('--burst <size>', 'how much may pass at once')
    .addOption(
      new Option('--sysctl <name=value>', 'as in net.ipv4.conf.IFNAME.rp_filter=2; may be repeated').argParser(collect),
    )
    .addOption(new Option('--driver-opt <key=value>', 'an option of the endpoint; may be repeated').argParser(collect))
    .option('--keep', 'when the container is removed, wait for the next one of that name');
  guide(attach, {
    remark:
      'It stays so when the container, the engine or the agent is started again, until `berth detach`. The same command again changes nothing.',
    examples: [
      ['berth attach web --bridge br0 --address 192.168.159.200/24'],
      ['berth attach web --bridge br0 --address 192.168.159.200/24 --gateway 192.168.159.2', 'with the default route'],
      ['berth attach web --network lan', 'an address of the network’s pool'],
      ['berth attach web --mode macvlan --parent eth0 --vlan 120 --address 10.1.20.5/24 --interface lan0'],
    ],
  });
  // Which attachments there are: who looks for them begins here.
  listCommand(attach, 'attachment', on);
  guide(
    on(program.command('detach'), async () => (await import('../attach.ts')).detach)
      .description('unplug what `berth attach` plugged in')
      .argument('<container>', 'name or id of the container, or id of the attachment')
      .argument('[interface]', 'only this interface of the container'),
    { examples: [['berth detach web'], ['berth detach web eth1']] },
  );
}
