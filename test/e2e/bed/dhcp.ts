/** A real DHCP server (dnsmasq) on a machine of a LAN, with its own view of what it has leased. */

import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Machine } from './machine.ts';
import type { Process } from './process.ts';

export interface DhcpOptions {
  /** First and last address. */
  readonly range: readonly [string, string];
  /** Seconds, or `infinite`; dnsmasq gives 120 at least. */
  readonly lease?: number | 'infinite';
  /** T1 and T2 in seconds, which dnsmasq reckons itself otherwise. */
  readonly renew?: number;
  readonly rebind?: number;
  readonly gateway?: string;
  readonly dns?: string;
  readonly mtu?: number;
  /** More dnsmasq options, such as `--dhcp-host=…`. */
  readonly flags?: readonly string[];
  /** Look whether a fresh address answers a ping, for 3 s, as dnsmasq does unless told otherwise. */
  readonly ping?: boolean;
}

/** A line of the server's lease file. */
export interface ServedLease {
  readonly mac: string;
  readonly address: string;
  /** Empty when the client gave none. */
  readonly name: string;
  readonly clientId: string;
}

/** A line of its part for DHCPv6. */
export interface ServedLease6 {
  readonly association: number;
  readonly address: string;
  readonly name: string;
  readonly duid: string;
}

export interface DhcpServer {
  readonly machine: Machine;
  /** What it has leased now. */
  leases(): readonly ServedLease[];
  leases6(): readonly ServedLease6[];
  /** All that it has written, messages of clients included, since it was first started. */
  log(): Promise<string>;
  stop(): Promise<void>;
  /** Starts it again, as it was or otherwise; `forget` without what it had leased. */
  start(options?: DhcpOptions, how?: { readonly forget?: boolean }): Promise<void>;
  /** Stands still, as if its cable were out; and goes on with what has come meanwhile. */
  freeze(): Promise<void>;
  thaw(): void;
}

/** Starts a server on a machine that has an address on the LAN at `eth0`. It ends with the machine. */
export async function startDhcp(machine: Machine, options: DhcpOptions): Promise<DhcpServer> {
  const file = join(machine.dir, 'dhcp-leases');
  let current = options;
  let running: Process | undefined;
  // Its answers go through no card that would fill in their checksums, which clients elsewhere want.
  await machine.net(['ethtool', '-K', 'eth0', 'tx', 'off'], { check: false });

  async function start(): Promise<void> {
    const { range, lease = 3600, renew, rebind, gateway, dns, mtu, flags = [], ping = false } = current;
    const option = (number: number, value: string | number | undefined) =>
      value === undefined ? [] : [`--dhcp-option=${number},${value}`];
    const command = [
      'dnsmasq',
      '--keep-in-foreground',
      '--conf-file=/dev/null',
      '--user=root',
      '--pid-file=',
      '--port=0',
      '--interface=eth0',
      '--log-facility=-',
      '--log-dhcp',
      `--dhcp-leasefile=${file}`,
      `--dhcp-range=${range[0]},${range[1]},${lease}`,
      '--dhcp-authoritative',
      // Twice, or dnsmasq sends itself where none is given.
      ...(gateway === undefined ? ['--dhcp-option=3'] : option(3, gateway)),
      ...(dns === undefined ? [] : option(6, dns)),
      ...option(26, mtu),
      ...option(58, renew),
      ...option(59, rebind),
      ...(ping ? [] : ['--no-ping']),
      ...flags,
    ];
    running = await machine.netSpawn(command, { name: 'dnsmasq' });
    await running.waitForOutput(/DHCP, IP range/);
  }

  await start();
  return {
    machine,
    leases: () => (existsSync(file) ? readLeases(readFileSync(file, 'utf8')) : []),
    leases6: () => (existsSync(file) ? readLeases6(readFileSync(file, 'utf8')) : []),
    log: () => Promise.resolve(readFileSync(join(machine.dir, 'log/dnsmasq.log'), 'utf8')),
    async stop() {
      await running?.stop();
      running = undefined;
    },
    async start(next = current, { forget = false } = {}) {
      if (running !== undefined) throw new Error(`the DHCP server of ${machine.name} runs`);
      if (forget) rmSync(file, { force: true });
      current = next;
      await start();
    },
    freeze: () => running!.freeze(),
    thaw: () => running!.thaw(),
  };
}

/** After the server's own `duid …`: `expiry IAID address name DUID` a line. */
function readLeases6(text: string): ServedLease6[] {
  return text
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([expiry, association]) => /^\d+$/.test(expiry ?? '') && /^\d+$/.test(association ?? ''))
    .map(([, association = '', address = '', name = '', duid = '']) => ({
      association: Number(association),
      address,
      name: name === '*' ? '' : name,
      duid,
    }));
}

/** `expiry mac address name client-id` a line, with `*` for what is not known; then `duid …`, and leases of DHCPv6. */
function readLeases(text: string): ServedLease[] {
  return text
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([expiry, mac]) => /^\d+$/.test(expiry ?? '') && /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(mac ?? ''))
    .map(([, mac = '', address = '', name = '', clientId = '']) => ({
      mac,
      address,
      name: name === '*' ? '' : name,
      clientId: clientId === '*' ? '' : clientId,
    }));
}
