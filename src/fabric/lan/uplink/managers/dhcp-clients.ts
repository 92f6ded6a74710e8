/** DHCP clients that run by themselves. Those of systemd-networkd and NetworkManager are part of them. */

import type { ManagedNic, Manager, Program } from './manager.ts';

/** By name as the kernel keeps it. */
const clients = ['dhclient', 'dhcpcd', 'udhcpc', 'udhcpc6', 'dhcp6c', 'pump', 'connmand', 'wickedd-dhcp4'];

export function findDhcpClients(nic: ManagedNic, bridge: string, programs: readonly Program[]): readonly Manager[] {
  return programs.flatMap((program): Manager[] => {
    if (!clients.includes(program.name)) return [];
    const words = program.words.slice(1);
    const named = words.some((word) => word === nic.name || word.endsWith(`=${nic.name}`) || word === `-i${nic.name}`);
    const everywhere = (program.name === 'dhcpcd' && !words.some(isInterface)) || program.name === 'connmand';
    if (!named && !everywhere) return [];
    const found = `${program.name} runs ${named ? `for ${nic.name}` : 'for all interfaces'}`;
    if (program.name === 'dhcpcd' || program.name === 'connmand') {
      return [
        {
          name: program.name,
          found,
          fights: 'at once',
          then: `it notices that ${nic.name} has lost its address, and asks for one again at once, there and on ${bridge}`,
          fix:
            program.name === 'dhcpcd'
              ? `printf 'denyinterfaces ${nic.name} ${bridge}\\n' >> /etc/dhcpcd.conf && dhcpcd -n`
              : `printf '[General]\\nNetworkInterfaceBlacklist=${nic.name},${bridge}\\n' >> /etc/connman/main.conf && systemctl restart connman`,
          files: [],
        },
      ];
    }
    return [
      {
        name: program.name,
        found,
        fights: 'never',
        then: `when it renews its lease it gives ${nic.name} the address again, which Berth moves to ${bridge} with its new lifetime`,
        files: [],
      },
    ];
  });
}

/** dhcpcd: words that are neither options nor paths are interfaces. */
const isInterface = (word: string): boolean => /^[a-z][a-z0-9._-]*$/i.test(word);
