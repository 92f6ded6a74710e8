/**
 * A LAN with a DNS server at .3 that keeps `home.example` and the names of the LAN's addresses, another machine at .10 with a
 * multicast DNS stack, and a host with three cards on it: one in the bridge `br0` with the host's address, one in `br1` without, and `eth2`.
 */

import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import type { EventView } from '../../../src/agent/api.ts';
import { startAvahi } from '../bed/avahi.ts';
import { startBind } from '../bed/bind.ts';
import type { EngineVersion } from '../bed/engines.ts';
import type { Host } from '../bed/host.ts';
import { waitFor } from '../bed/process.ts';
import { docker } from './containers.ts';
import { setStage } from './stage.ts';

export const SERVER = '192.168.7.3';
export const ZONE = 'home.example';
export const KEY = '/etc/berth/dns.key';
export type NamesStage = ReturnType<typeof namesStage>;

export function namesStage(engine: EngineVersion = '20.10') {
  return setStage(engine, async (bed, version) => {
    const [lan, host] = await Promise.all([
      bed.lan({
        subnet: '192.168.7.0/24',
        gateway: '192.168.7.2',
        subnet6: 'fd00:7::/64',
        gateway6: 'fd00:7::2',
        nat: false,
      }),
      bed.host('host', { engine: version, underlay: false }),
    ]);
    const [other, server] = await Promise.all([
      lan.machine('other', '192.168.7.10/24', 'fd00:7::10/64'),
      lan.machine('dns', `${SERVER}/24`),
    ]);
    await lan.plug(host, { bridge: 'br0', addresses: ['192.168.7.20/24', 'fd00:7::20/64'], gateway: true });
    await lan.plug(host, { name: 'eth1', bridge: 'br1' });
    await lan.plug(host, { name: 'eth2' });
    const [bind, avahi] = await Promise.all([
      startBind(server, [ZONE, '7.168.192.in-addr.arpa', '0.0.0.0.0.0.0.0.7.0.0.0.0.0.d.f.ip6.arpa']),
      startAvahi(other, 'other'),
      host.startBerth(),
    ]);
    giveKey(host, bind.key);
    return { host, lan, other, bind, avahi };
  });
}

/** Puts the key where Berth is told to find it. */
export function giveKey(host: Host, text: string, mode = 0o600, path = KEY): void {
  mkdirSync(host.path('/etc/berth'), { recursive: true });
  writeFileSync(host.path(path), text);
  chmodSync(host.path(path), mode);
}

/** A network whose containers are registered at the server. */
export async function createNetwork(host: Host, options = '', name = 'lan'): Promise<void> {
  const subnets = '--subnet 192.168.7.0/24 --gateway 192.168.7.2 --ip-range 192.168.7.128/25';
  const dns = `-o dns_update=${SERVER} -o dns_zone=${ZONE} -o dns_key_file=${KEY}`;
  await docker(host, `network create -d berth-lan --ipam-driver berth-lan ${subnets} ${dns} ${options} ${name}`);
}

/** Waits for an event that the agent has written to its log since it was started. */
export async function told(host: Host, event: string, pattern: RegExp): Promise<string> {
  let log = '';
  return waitFor(
    () => `the event ${event} ${pattern}; the log:\n${log}`,
    async () => {
      log = await host.agent().output();
      const events = log.split('\n').flatMap((line) => parse(line));
      return events.find((one) => one.event === event && pattern.test(one.msg))?.msg;
    },
    30_000,
    50,
  );
}

function parse(line: string): readonly (Pick<EventView, 'event'> & { readonly msg: string })[] {
  try {
    return [JSON.parse(line) as Pick<EventView, 'event'> & { readonly msg: string }];
  } catch {
    return [];
  }
}
