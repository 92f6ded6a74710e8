/**
 * A LAN whose addresses a DHCP server gives: 192.168.7.0/24 with its gateway at .2, the server at .3, another machine at .10,
 * and a host whose uplink is a port of `br0`.
 */

import assert from 'node:assert/strict';
import { type DhcpOptions, type DhcpServer, startDhcp } from '../bed/dhcp.ts';
import type { EngineVersion } from '../bed/engines.ts';
import type { Host } from '../bed/host.ts';
import { waitFor } from '../bed/process.ts';
import { docker } from './containers.ts';
import { setStage } from './stage.ts';

export const GATEWAY = '192.168.7.2';
export const RANGE = ['192.168.7.100', '192.168.7.199'] as const;
export const usual: DhcpOptions = { range: RANGE, gateway: GATEWAY };

export function dhcpStage(engine: EngineVersion = '20.10', flags: readonly string[] = []) {
  return setStage(engine, async (bed, version) => {
    const [lan, host] = await Promise.all([
      bed.lan({ subnet: '192.168.7.0/24', gateway: GATEWAY, nat: false }),
      bed.host('host', { engine: version, underlay: false }),
    ]);
    const [other, machine] = await Promise.all([
      lan.machine('other', '192.168.7.10/24'),
      lan.machine('dhcp', '192.168.7.3/24'),
    ]);
    await lan.plug(host, { bridge: 'br0', addresses: ['192.168.7.20/24'], gateway: true });
    const [server] = await Promise.all([startDhcp(machine, usual), host.startBerth(flags)]);
    return { host, lan, other, server };
  });
}

/** A network whose addresses the server gives. */
export async function createNetwork(host: Host, name = 'lan', ...options: readonly string[]): Promise<void> {
  await docker(host, ['network create -d berth-lan --ipam-driver null -o dhcp=true', ...options, name].join(' '));
}

/** Waits until the server has leases of these addresses, and no other. */
export async function served(server: DhcpServer, addresses: readonly string[]): Promise<void> {
  await leased(() => server.leases(), addresses);
}

/** The same of what `leases` tells, twice in succession: dnsmasq empties its file before it writes it anew (lease_update_file, lease.c). */
export async function leased(
  leases: () => readonly { readonly address: string }[],
  addresses: readonly string[],
): Promise<void> {
  const wanted = addresses.toSorted().join();
  let seen = '';
  let times = 0;
  await waitFor(
    () => `the server to have leased ${wanted || 'nothing'}, not ${seen}`,
    () => {
      seen = leases()
        .map(({ address }) => address)
        .toSorted()
        .join();
      times = seen === wanted ? times + 1 : 0;
      return times === 2;
    },
    30_000,
    50,
  );
  assert.equal(seen, wanted);
}

/** Another server in the place of the one before, with what that had leased. */
export async function restartServer(server: DhcpServer, options: DhcpOptions): Promise<void> {
  await server.stop();
  await server.start(options);
}

/** Waits until the agent has told of something since a moment that `mark` gave: its log line. */
export async function told(host: Host, event: string, since: number): Promise<string> {
  let line: string | undefined;
  await waitFor(
    () => `the agent to tell of ${event}`,
    async () => {
      const said = (await host.agent().output()).slice(since).split('\n');
      line = said.find((one) => one.includes(`"event":"${event}"`));
      return line !== undefined;
    },
    40_000,
    50,
  );
  return line!;
}

/** Now, for `told`. */
export async function mark(host: Host): Promise<number> {
  return (await host.agent().output()).length;
}
