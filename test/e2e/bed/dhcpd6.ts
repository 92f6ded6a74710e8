/** ISC's DHCPv6 server on a machine of a LAN: unlike dnsmasq it offers before it grants, says what T1 and T2 are, and has a preference. */

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Machine } from './machine.ts';
import type { Process } from './process.ts';

export interface Dhcpd6Options {
  readonly subnet: string;
  readonly range: readonly [string, string];
  /** Seconds. */
  readonly lease?: number;
  readonly renew?: number;
  readonly rebind?: number;
  readonly preference?: number;
  /** Grants without another word. */
  readonly rapid?: boolean;
}

export interface Dhcpd6 {
  /** Addresses that are leased now, as its lease file says. */
  leases(): readonly string[];
  /** All that it has written. */
  log(): Promise<string>;
  stop(): Promise<void>;
  start(): Promise<void>;
}

/** Starts a server on a machine that has an address of the subnet at `eth0`. It ends with the machine. */
export async function startDhcpd6(machine: Machine, options: Dhcpd6Options): Promise<Dhcpd6> {
  const { subnet, range, lease = 3600, renew, rebind, preference, rapid = false } = options;
  const [configuration, leases] = [join(machine.dir, 'dhcpd6.conf'), join(machine.dir, 'dhcpd6.leases')];
  writeFileSync(
    configuration,
    [
      'authoritative;',
      `default-lease-time ${lease};`,
      `preferred-lifetime ${lease};`,
      ...(renew === undefined ? [] : [`option dhcp-renewal-time ${renew};`]),
      ...(rebind === undefined ? [] : [`option dhcp-rebinding-time ${rebind};`]),
      ...(preference === undefined ? [] : [`option dhcp6.preference ${preference};`]),
      ...(rapid ? ['option dhcp6.rapid-commit;'] : []),
      `subnet6 ${subnet} { range6 ${range[0]} ${range[1]}; }`,
    ].join('\n'),
  );
  writeFileSync(leases, '');
  // Its answers go through no card that would fill in their checksums.
  await machine.net(['ethtool', '-K', 'eth0', 'tx', 'off'], { check: false });
  let running: Process | undefined;

  async function start(): Promise<void> {
    if (running !== undefined) throw new Error(`dhcpd of ${machine.name} runs`);
    const command = ['dhcpd', '-6', '-f', '-d', '--no-pid', '-cf', configuration, '-lf', leases, 'eth0'];
    running = await machine.netSpawn(command, { name: 'dhcpd6' });
    await running.waitForOutput(/Sending on +Socket/);
  }

  await start();
  return {
    leases: () => (existsSync(leases) ? readLeases(readFileSync(leases, 'utf8')) : []),
    log: () => Promise.resolve(readFileSync(join(machine.dir, 'log/dhcpd6.log'), 'utf8')),
    async stop() {
      await running?.stop();
      running = undefined;
    },
    start,
  };
}

/** `iaaddr ADDRESS { binding state STATE; … }`, of which a later one of the same address counts (dhcpd.leases(5)). */
function readLeases(text: string): string[] {
  const states = new Map<string, string>();
  for (const [, address = '', state = ''] of text.matchAll(/iaaddr (\S+) \{\s*binding state (\w+);/g))
    states.set(address, state);
  return [...states].filter(([, state]) => state === 'active').map(([address]) => address);
}
