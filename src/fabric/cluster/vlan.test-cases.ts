/** Networks of the cluster on VLANs, on a kernel that has 802.1Q. */

import assert from 'node:assert/strict';
import { isolate } from '../../kernel/isolate.ts';
import { openKernel } from '../../kernel/linux.ts';
import type { Network } from '../../model/network.ts';
import { parseInterfaceAddress, parsePrefix } from '../../model/prefix.ts';
import { segmentBridge } from './segment.ts';
import { address, type Container, createLab, type Host, netnsOf, run } from './testing/hosts.ts';
import type { ClusterNetwork } from './view.ts';

const vlan = (name: string, tag: number, more: Partial<ClusterNetwork> = {}): ClusterNetwork => ({
  key: `blue:${name}`,
  tenant: 'blue',
  name,
  encapsulation: 'vlan',
  tag,
  kind: 'data',
  forwarding: 'bridge',
  arp: 'proxy',
  subnets: [{ prefix: parsePrefix(`10.${tag}.0.0/24`)!, gateway: address(`10.${tag}.0.254`) }],
  ...more,
});
const networks = new Map(
  [vlan('office', 12), vlan('guests', 13), vlan('machines', 14, { kind: 'infra' })].map((one) => [one.key, one]),
);

const reaches = (netns: string, to: string): boolean => {
  try {
    run(`ip netns exec ${netns} busybox ping -c 1 -W 2 ${to}`);
    return true;
  } catch {
    return false;
  }
};

/** To be called on such a kernel. @throws AssertionError */
export async function exerciseVlans(): Promise<void> {
  isolate();
  const kernel = await openKernel();
  const lab = createLab(kernel, networks, { filter: false });
  try {
    const hosts = [await lab.host(1), await lab.host(2)];
    const router = lab.machine(9);
    run(`ip -n ${router} link set wire up`);
    run(`ip -n ${router} link add link wire name wire.12 type vlan id 12`);
    run(`ip -n ${router} address add 10.12.0.254/24 dev wire.12`);
    run(`ip -n ${router} link set wire.12 up`);
    const made: [Host, Network][] = [];
    const boxes: Record<'office' | 'guests', Container[]> = { office: [], guests: [] };
    for (const [index, host] of hosts.entries()) {
      host.view = { uplinks: ['none', 'wire'] };
      for (const [name, tag] of [
        ['office', 12],
        ['guests', 13],
      ] as const) {
        const network = await host.network({ tenant: 'blue', network: name }, [`10.${tag}.0.0/24`]);
        await host.apply(network);
        made.push([host, network]);
        boxes[name].push(await host.container(network, `10.${tag}.0.${index + 1}/24`));
      }
    }
    const [one] = boxes.office as [Container];
    assert.match(run(`ip -n ${one.name} link show eth0`), /mtu 1500/);
    assert.ok(one.pings('10.12.0.2', 1500 - 28), 'on the other host');
    assert.ok(one.pings('10.12.0.254'), 'the router of the VLAN');
    assert.match(run(`ip -n ${one.name} route`), /default via 10\.12\.0\.254/);
    const bridge = segmentBridge('blue:office');
    assert.equal(run(`ip -n ${hosts[0]!.name} -4 address show dev ${bridge}`), '', 'the gateway is not ours');
    assert.match(run(`ip -n ${hosts[0]!.name} -d link show wire.12`), /802\.1Q id 12 .*|id 12/);
    run(`ip -n ${one.name} address add 10.13.0.77/24 dev eth0`);
    assert.ok(!one.pings('10.13.0.2'), 'not on the other VLAN');

    // Hosts themselves, in a network for them.
    for (const [index, host] of hosts.entries()) {
      const own = parseInterfaceAddress(`10.14.0.${index + 1}/24`)!;
      host.view = { ...host.view, hostAddresses: (key) => (key === 'blue:machines' ? [own] : []) };
      const network = await host.network({ tenant: 'blue', network: 'machines' }, ['10.14.0.0/24']);
      await host.apply(network);
      made.push([host, network]);
    }
    assert.ok(reaches(hosts[0]!.name, '10.14.0.2'));
    assert.ok(reaches(hosts[1]!.name, '10.14.0.1'));

    // What somebody removes comes back, with the bridge that it is a port of.
    run(`ip -n ${hosts[0]!.name} link delete wire.12`);
    const drifts = await kernel.audit({ repair: true });
    assert.ok(drifts.some(({ key, repaired }) => repaired && key === `link@${netnsOf(hosts[0]!.name)} wire.12`));
    assert.ok(one.pings('10.12.0.2'));

    // A VLAN that the host has for itself is not taken from it.
    run(`ip -n ${hosts[1]!.name} link add link wire name wire.15 type vlan id 15`);
    networks.set('blue:other', vlan('other', 15));
    const other = await hosts[1]!.network({ tenant: 'blue', network: 'other' }, ['10.15.0.0/24']);
    await assert.rejects(hosts[1]!.container(other, '10.15.0.1/24'), { code: 'INTERFACE_UNSUITABLE' });
    hosts[1]!.view = { uplinks: [] };
    await assert.rejects(hosts[1]!.container(other, '10.15.0.1/24'), {
      code: 'INTERFACE_UNKNOWN',
      message: /no uplinks/,
    });

    hosts[1]!.view = { uplinks: ['wire'] };
    for (const [host, network] of made) await host.withdraw(network);
    for (const { name } of hosts) assert.doesNotMatch(run(`ip -n ${name} link show`), /wire\.1[234]|bt/);
    assert.match(run(`ip -n ${hosts[1]!.name} link show wire.15`), /wire/);
  } finally {
    lab.close();
    await kernel.close();
  }
}
