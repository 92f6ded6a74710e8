/** Ports of a real Neutron on Linux bridges and in a virtual machine, and what happens when they are not bound, or not active in time. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { waitFor } from './bed/process.ts';
import { addressOf, cannotReach, dockerFails, onlyInterface, reaches, start } from './suites/containers.ts';
import { startNeutronAgent } from './suites/neutron.ts';
import {
  auditIsClean,
  createNetwork,
  noPorts,
  onlyLinks,
  portsOf,
  removeNetwork,
  restartWith,
  setBindingStage,
  short,
} from './suites/neutron-binding.ts';

const stage = setBindingStage();

describe('bridge', () => {
  test('is shared with machines, outlives the agent, is mended, and goes when nobody needs it', async () => {
    const { stack, h1 } = stage();
    const one = await createNetwork(stack, h1, 'one', '10.31.0.0/24');
    const two = await createNetwork(stack, h1, 'two', '10.32.0.0/24');
    await start(h1, 'ca', '--network one');
    await start(h1, 'cb', '--network one');
    await start(h1, 'cc', '--network two');
    const vm = await stack.plugVm(h1, { id: one });
    const b = await addressOf(h1, 'cb');
    await reaches([h1, 'ca'], b);
    await reaches([h1, 'ca'], vm.addresses[0]!);
    assert.ok(await vm.pings(b));
    await cannotReach([h1, 'cc'], b);

    const ports = await portsOf(stack, one);
    const tap = `tap${short(ports[0]!.id)}`;
    const brq = `brq${short(one)}`;
    const { mtu } = await stack.neutron.get<{ mtu: number }>(`/networks/${one}`);
    for (const link of [tap, brq])
      assert.match((await h1.net(['ip', '-o', 'link', 'show', link])).stdout, new RegExp(`mtu ${mtu} `));
    assert.equal((await onlyInterface(h1, 'ca')).mtu, mtu);
    await auditIsClean(h1);

    // What drifts comes back by itself, whether the agent looks on or was away.
    const mended = (what: string, sign: string) =>
      waitFor(`${what} to be mended`, async () =>
        (await h1.net(['ip', '-o', 'link', 'show', tap], { check: false })).stdout.includes(sign),
      );
    await h1.net(['ip', 'link', 'set', tap, 'nomaster']);
    await mended('the port of the bridge', `master ${brq}`);
    await h1.net(['ip', 'link', 'set', tap, 'mtu', '1300']);
    await mended('the MTU', `mtu ${mtu} `);
    await h1.killBerth();
    await h1.net(['ip', 'link', 'set', tap, 'nomaster']);
    await startNeutronAgent(h1);
    await mended('the port of the bridge', `master ${brq}`);
    await h1.net(['ip', 'link', 'del', brq]);
    await mended('the bridge', `master ${brq}`);
    await h1.net(['ip', 'link', 'set', vm.tap, 'master', brq]);
    await reaches([h1, 'ca'], b);
    await reaches([h1, 'ca'], vm.addresses[0]!);

    await h1.docker('rm', '-f', 'ca', 'cb', 'cc');
    await noPorts(stack, one);
    await noPorts(stack, two);
    // The machine has it now.
    await onlyLinks(h1, brq, vm.tap);
    await vm.remove();
    await start(h1, 'cd', '--network one');
    await h1.docker('rm', '-f', 'cd');
    await onlyLinks(h1);
    await removeNetwork(stack, h1, 'one', one);
    await removeNetwork(stack, h1, 'two', two);
  });
});

describe('a port that Neutron does not bind', () => {
  test('is told with the host and its agents, and is gone afterwards', async () => {
    const { stack, h1 } = stage();
    const network = await createNetwork(stack, h1, 'lost', '10.33.0.0/24');
    const refused = async (...said: readonly RegExp[]) => {
      const words = await dockerFails(h1, `run --rm --network lost ${await h1.image()} true`);
      for (const each of said) assert.match(words, each);
      await noPorts(stack, network);
      await onlyLinks(h1);
    };
    stack.addFakeAgent('h1', { alive: false });
    await refused(/'h1'/, /binding_failed/, /Linux bridge agent \(not alive\)/);
    stack.addFakeAgent('h1');
    await restartWith(stack, h1, {}, ['--host', 'elsewhere']);
    await refused(/'elsewhere'/, /tells of no agent there/);
    await restartWith(stack, h1);
    await start(h1, 'ca', '--network lost');
    await h1.docker('rm', '-f', 'ca');
    await noPorts(stack, network);
    await removeNetwork(stack, h1, 'lost', network);
  });
});

describe('waiting until a port is active', () => {
  test('that does not become so undoes the start in time', async () => {
    const { stack, h1 } = stage();
    await restartWith(stack, h1, { neutron: { vif_plugging_is_fatal: 'true', vif_plugging_timeout: '3' } });
    const network = await createNetwork(stack, h1, 'slow', '10.34.0.0/24');
    const words = await dockerFails(h1, `run --rm --network slow ${await h1.image()} true`);
    assert.match(words, /did not become active on the host 'h1'.*status is DOWN.*Linux bridge agent \(alive\)/);
    await noPorts(stack, network);
    await onlyLinks(h1);

    await restartWith(stack, h1, { neutron: { vif_plugging_is_fatal: 'true' } });
    const starting = start(h1, 'ca', '--network slow');
    // The agent answers when it finds the link.
    await waitFor(
      'the link of the port',
      async () => {
        const [port] = await portsOf(stack, network);
        if (port === undefined) return false;
        const tap = `tap${short(port.id)}`;
        if ((await h1.net(['ip', 'link', 'show', tap], { check: false })).code !== 0) return false;
        stack.setPortStatus(port.id, 'ACTIVE');
        return true;
        // One process serves this Neutron: who asks all the time keeps the start waiting.
      },
      30_000,
      500,
    );
    await starting;
    await h1.docker('rm', '-f', 'ca');
    await noPorts(stack, network);
    await onlyLinks(h1);
    await restartWith(stack, h1);
    await removeNetwork(stack, h1, 'slow', network);
  });
});

describe('within a virtual machine', () => {
  /** The machine's card on a LAN that stands for its network in Neutron, and its port. */
  async function machine(cidr: string, gateway: string, own: string) {
    const { bed, stack, h1 } = stage();
    const data = await bed.lan({ name: `data${own.split('.')[1]}`, subnet: cidr, gateway });
    const card = `vm${own.split('.')[1]}`;
    await data.plug(h1, { name: card, addresses: [`${own}/24`] });
    const { stdout } = await h1.net(['ip', '-j', 'link', 'show', card]);
    const [{ address: mac }] = JSON.parse(stdout) as [{ address: string }];
    const { id: network } = await stack.neutron.post('/networks', { name: card });
    await stack.neutron.post('/subnets', { network_id: network, ip_version: 4, cidr, gateway_ip: gateway });
    const port = await stack.neutron.post('/ports', {
      network_id: network,
      mac_address: mac,
      fixed_ips: [{ ip_address: own }],
      device_owner: 'compute:nova',
      device_id: 'the-machine',
      allowed_address_pairs: [{ ip_address: '10.200.0.1' }],
    });
    return { data, card, mac, network, port: port.id };
  }
  const pairsOf = async (id: string) =>
    (
      await stage().stack.neutron.get<{ allowed_address_pairs: { ip_address: string; mac_address: string }[] }>(
        `/ports/${id}`,
      )
    ).allowed_address_pairs;

  test('macvlan: the container is on the machine’s network, and let through at its port as long', async () => {
    const { stack, h1 } = stage();
    const { data, card, mac, network, port } = await machine('10.51.0.0/24', '10.51.0.1', '10.51.0.5');
    await restartWith(stack, h1, {
      DEFAULT: { default_port_driver: 'nested' },
      binding: { default_driver: 'macvlan', link_iface: card },
    });
    const shared = { ip_address: '10.200.0.1', mac_address: mac };
    assert.equal(
      await createNetwork(stack, h1, 'inside', '10.51.0.0/24', '-o', `neutron.net.uuid=${network}`),
      network,
    );
    await start(h1, 'ca', '--network inside');
    await start(h1, 'cb', '--network inside');
    const a = await onlyInterface(h1, 'ca');
    const b = await addressOf(h1, 'cb');
    await reaches([h1, 'ca'], b);
    await reaches(data.router, b);
    const ports = await portsOf(stack, network);
    const expected = ports.map(({ fixed_ips, mac_address }) => ({ ip_address: fixed_ips[0]!.ip_address, mac_address }));
    assert.ok(expected.some(({ mac_address }) => mac_address === a.mac));
    const sorted = (pairs: readonly { ip_address: string }[]) =>
      pairs.toSorted((one, other) => one.ip_address.localeCompare(other.ip_address));
    assert.deepEqual(sorted(await pairsOf(port)), sorted([...expected, shared]));
    await auditIsClean(h1);

    // Somebody else changes the port between our question and our change: twice, and neither is lost.
    await restartWith(stack, h1, {
      DEFAULT: { default_port_driver: 'nested' },
      binding: { default_driver: 'macvlan', link_iface: card },
    });
    const conflict = stack.calls.inject(
      { kind: 'answer', status: 412 },
      { service: 'neutron', method: 'PUT', template: '/v2.0/ports/{id}' },
    );
    await start(h1, 'cc', '--network inside');
    await conflict.hit();
    assert.equal((await pairsOf(port)).length, 4);

    await h1.docker('rm', '-f', 'ca', 'cb', 'cc');
    await noPorts(stack, network);
    assert.deepEqual(await pairsOf(port), [shared]);
    await onlyLinks(h1);
    await h1.docker('network', 'rm', 'inside');
    await restartWith(stack, h1);
  });

  test('vlan: the port is a subport of the machine’s trunk, and none when the link cannot be made', async () => {
    const { stack, h1 } = stage();
    const { card, port } = await machine('10.52.0.0/24', '10.52.0.1', '10.52.0.5');
    const trunk = await stack.neutron.post<{ id: string; sub_ports: unknown[] }>('/trunks', { port_id: port });
    await restartWith(stack, h1, { DEFAULT: { default_port_driver: 'vlan' }, binding: { link_iface: card } });
    const network = await createNetwork(stack, h1, 'tagged', '10.53.0.0/24');
    stack.calls.clear();
    // This machine's kernel has no VLANs; a guest whose kernel has them shows the link.
    const words = await dockerFails(h1, `run --rm --network tagged ${await h1.image()} true`);
    assert.match(words, /vlan|VLAN|802.1Q/);
    await noPorts(stack, network);
    const counts = stack.calls.counts({ service: 'neutron' });
    assert.equal(counts['PUT /v2.0/trunks/{id}/add_subports'], 1);
    assert.equal(counts['PUT /v2.0/trunks/{id}/remove_subports'], 1);
    const left = await stack.neutron.get<{ sub_ports: unknown[] }>(`/trunks/${trunk.id}`);
    assert.deepEqual(left.sub_ports, []);
    await onlyLinks(h1);
    await removeNetwork(stack, h1, 'tagged', network);
    await restartWith(stack, h1);
  });
});
