/**
 * A host whose Open vSwitch bridge `ovsbr0` has two uplinks, each an access port: `eth1` to the office (VLAN 120), `eth2` to the
 * lab (VLAN 20). In each there is another machine.
 */

import assert from 'node:assert/strict';
import { openVswitch, withoutOffload } from '../bed/open-vswitch.ts';
import { waitFor } from '../bed/process.ts';
import { docker } from './containers.ts';
import { observe } from './observer.ts';
import { setStage } from './stage.ts';

export const OFFICE = '192.168.120.10';
export const LAB = '192.168.20.10';
export const CREATE_OFFICE =
  'network create -d berth-lan --ipam-driver berth-lan --subnet 192.168.120.0/24 --gateway 192.168.120.1 -o mode=ovs -o bridge=ovsbr0';
export const CREATE_LAB =
  'network create -d berth-lan --ipam-driver berth-lan --subnet 192.168.20.0/24 --gateway 192.168.20.1 -o mode=ovs -o bridge=ovsbr0';
/** Short, so that what is left over is freed while the test looks on; and only events may mend, not a rolling pass. */
export const FLAGS = ['--gc-grace', '1', '--linger', '0', '--audit-interval', '3600'];
export const UPLINKS = ['eth1', 'eth2'];

export type OvsStage = ReturnType<typeof ovsStage>;

export function ovsStage() {
  return setStage('20.10', async (bed, engine) => {
    const [office, lab, host] = await Promise.all([
      bed.lan({ name: 'office', subnet: '192.168.120.0/24', gateway: '192.168.120.1', nat: false }),
      bed.lan({ name: 'lab', subnet: '192.168.20.0/24', gateway: '192.168.20.1', nat: false }),
      bed.host('host', { engine, underlay: false }),
    ]);
    const [inOffice, inLab] = await Promise.all([office.machine('ws', `${OFFICE}/24`), lab.machine('ws', `${LAB}/24`)]);
    await office.plug(host, { name: 'eth1' });
    await lab.plug(host, { name: 'eth2' });
    await Promise.all([inOffice, inLab, office.router, lab.router].map((machine) => withoutOffload(machine)));
    const ovs = await openVswitch(host);
    await ovs.vsctl('add-br', 'ovsbr0', '--', 'set', 'bridge', 'ovsbr0', 'datapath_type=netdev');
    await ovs.vsctl('add-port', 'ovsbr0', 'eth1', 'tag=120', '--', 'add-port', 'ovsbr0', 'eth2', 'tag=20');
    await Promise.all([observe(inOffice), observe(office.outside), host.startBerth(FLAGS)]);
    return { host, ovs, office, lab, inOffice, inLab };
  });
}

/** Ports of containers. */
export async function portsOf(stage: OvsStage): Promise<readonly string[]> {
  const found = ['--bare', '--columns=name', 'find', 'port', 'external_ids:berth-network!=""'];
  return (await stage().ovs.vsctl(...found)).split('\n').filter(Boolean);
}

/** Waits until no port is left but the uplinks, and the database has no row of ours. */
export async function noPortLeft(stage: OvsStage): Promise<void> {
  let left = '';
  await waitFor(
    () => `no port to be left: ${left}`,
    async () => {
      const { vsctl } = stage().ovs;
      const ports = (await vsctl('list-ports', 'ovsbr0')).split('\n');
      for (const uplink of UPLINKS) assert.ok(ports.includes(uplink), `${uplink} is a port no more`);
      const cards = (await vsctl('--bare', '--columns=name', 'list', 'interface')).split('\n').filter(Boolean);
      left = [...ports, ...cards].filter((name) => ![...UPLINKS, 'ovsbr0'].includes(name)).join(' ');
      return left === '';
    },
    30_000,
    100,
  );
}

/** One number of the agent's metrics, over all labels that the line holds. */
export async function repairs(stage: OvsStage): Promise<number> {
  const { body } = await stage().host.berthApi('/metrics');
  const lines = body
    .split('\n')
    .filter((line) => line.startsWith('berth_drifts_total') && /repaired="true"/.test(line));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

/** Networks of the office (VLAN 120) and of the lab (VLAN 20). */
export async function makeNetworks(stage: OvsStage): Promise<void> {
  await docker(stage().host, `${CREATE_OFFICE} -o vlan=120 office`);
  await docker(stage().host, `${CREATE_LAB} -o vlan=20 lab`);
}
