/** A host with a network card that has something of everything, through which another machine has sessions with it. */

import { after, before } from 'node:test';
import type { Host } from '../bed/host.ts';
import type { Cable, Lan } from '../bed/lan.ts';
import type { Machine } from '../bed/machine.ts';
import { waitFor } from '../bed/process.ts';
import { openSessions, type Sessions } from './sessions.ts';
import { type Stage, setStage } from './stage.ts';
import { setting, settings } from './uplink-holdings.ts';

export const NIC = 'eth1';
export const BRIDGE = 'br-eth1';
export const ADDRESS = '192.168.160.20';
export const ADDRESS6 = 'fd00:160::20';
export const GATEWAY = '192.168.160.2';
export const create = `network create -d berth-lan --ipam-driver berth-lan -o parent=${NIC} --subnet=192.168.160.0/24 --gateway=${GATEWAY} --ip-range=192.168.160.128/26`;

/** Of everything that can hang on a card, something. */
export const belongings = [
  `addr add 192.168.160.21/24 dev ${NIC}`,
  `addr add 192.168.160.22/24 dev ${NIC} label ${NIC}:two`,
  `addr add 198.51.100.5/25 dev ${NIC} valid_lft 7900 preferred_lft 3900 metric 55`,
  `addr add fd00:160::21/64 dev ${NIC} nodad valid_lft 7900 preferred_lft 3900`,
  `route add default via ${GATEWAY} dev ${NIC} metric 600 proto dhcp src ${ADDRESS}`,
  `route add default via ${GATEWAY} dev ${NIC} table 77`,
  `route add 203.0.113.128/25 via 192.168.99.1 dev ${NIC} onlink mtu 1300`,
  `route add default via fd00:160::2 dev ${NIC} proto ra metric 1024 expires 3900 pref high`,
  `rule add iif ${NIC} lookup 77 priority 7000`,
  `rule add from ${ADDRESS} oif ${NIC} fwmark 0x7/0xff lookup 77 priority 7001`,
  `neigh add 192.168.160.99 lladdr 02:00:00:00:00:99 nud permanent dev ${NIC}`,
  `neigh add proxy 192.168.160.98 dev ${NIC}`,
  `neigh add fd00:160::99 lladdr 02:00:00:00:00:99 nud permanent dev ${NIC}`,
];

/** The command that takes away what a command adds. */
export const removal = (command: string): string => command.replace(' add ', ' del ');

export async function exists(host: Host, link: string): Promise<boolean> {
  return (await host.net(['ip', 'link', 'show', link], { check: false })).code === 0;
}

export interface UplinkStage extends Stage {
  readonly lan: Lan;
  readonly other: Machine;
  readonly cable: Cable;
  readonly sessions: Sessions;
}

/** For the tests of the current `describe`. */
export function setUplinkStage(): () => UplinkStage {
  let sessions: Sessions | undefined;
  // Before the stage goes.
  after(() => sessions?.close());
  const stage = setStage('20.10', async (bed, engine) => {
    const [lan, host] = await Promise.all([
      bed.lan({
        name: 'second',
        subnet: '192.168.160.0/24',
        gateway: GATEWAY,
        subnet6: 'fd00:160::/64',
        gateway6: 'fd00:160::2',
        nat: false,
      }),
      bed.host('host', { engine, underlay: false }),
    ]);
    const other = await lan.machine('other', '192.168.160.10/24', 'fd00:160::10/64');
    const cable = await lan.plug(host, { name: NIC, addresses: [`${ADDRESS}/24`, `${ADDRESS6}/64`] });
    await host.startBerth();
    return { host, lan, other, cable };
  });

  before(async () => {
    const { host, other } = stage();
    // The link-local address is one by rule, and usable only after a second.
    await waitFor('the card to be ready', async () => !(await host.net(['ip', 'a'])).stdout.includes('tentative'));
    await host.ip(...belongings, `link set ${NIC} mtu 1450`);
    for (const [path, value] of Object.entries(settings)) await host.sh(`echo ${value} >${setting(path, NIC)}`);
    sessions = await openSessions(host, other, [ADDRESS, ADDRESS6]);
  });
  return () => ({ ...stage(), sessions: sessions! });
}
