/**
 * What kuryr-libnetwork did wrong with ports of containers: each fault by its number in the study of it, shown to be absent here. See
 * `neutron-kuryr-faults.test.ts` for networks. Shown elsewhere are 5 (`neutron-global.test.ts`: networks of all engines), 11 and 17
 * (`neutron-binding.test.ts`: within a virtual machine; virtual functions: `virtual-function.test.ts`).
 */

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { waitFor } from './bed/process.ts';
import type { EngineContainer, EngineNetwork } from './suites/engine-calls.ts';
import { kuryrConf, startNeutronAgent } from './suites/neutron.ts';
import { agree, nothing } from './suites/neutron-agreement.ts';
import { kuryrStage, on } from './suites/neutron-kuryr.ts';

const stage = kuryrStage('neutron-kuryr-ports');

/** With an agent on h1 that has other keys and flags for the time of this. */
async function withConf(
  keys: Readonly<Record<string, string>>,
  flags: readonly string[],
  work: () => Promise<void>,
): Promise<void> {
  const { stack, h1 } = stage();
  const file = h1.path('/etc/kuryr.conf');
  const before = readFileSync(file, 'utf8');
  await h1.stopBerth();
  writeFileSync(file, kuryrConf(stack, keys).replace('/usr/libexec/kuryr', '/etc/kuryr-bin'));
  await startNeutronAgent(h1, flags);
  try {
    await work();
  } finally {
    await h1.stopBerth();
    writeFileSync(file, before);
    await startNeutronAgent(h1);
  }
}

describe('containers', () => {
  test('1: ports of machines and of other containers are not taken over', async () => {
    const { stack, h1, one, two, make, theirs, asItIs, containersOn } = stage();
    const net = await theirs({ cidr: '10.41.0.0/24' });
    const vm = await make('/ports', {
      network_id: net.id,
      name: 'vm',
      device_id: 'vm',
      device_owner: 'compute:nova',
      'binding:host_id': 'h2',
      fixed_ips: [{ ip_address: '10.41.0.9' }],
    });
    const before = await asItIs(`/ports/${vm.id}`);
    const [n1, n2] = [
      await one.createNetwork({ subnets: [{ subnet: '10.41.0.0/24' }], ...on(net) }),
      await two.createNetwork({ subnets: [{ subnet: '10.41.0.0/24' }], ...on(net) }),
    ];
    await assert.rejects(
      one.start(n1, { ip: '10.41.0.9' }),
      /10\.41\.0\.9 is held by a port of compute:nova in Neutron: 'vm'/,
    );
    assert.deepEqual(await asItIs(`/ports/${vm.id}`), before);

    const first = await one.start(n1, { ip: '10.41.0.20' });
    const [port] = await containersOn(net.id);
    const running = await asItIs(`/ports/${port!.id}`);
    await assert.rejects(one.start(n1, { ip: '10.41.0.20' }), /10\.41\.0\.20 is held by another container/);
    await assert.rejects(two.start(n2, { ip: '10.41.0.20' }), /10\.41\.0\.20 is held by a port of compute:kuryr/);
    await assert.rejects(two.start(n2, { mac: first.mac }), /held by a port of compute:kuryr/);
    assert.deepEqual(await asItIs(`/ports/${port!.id}`), running);
    await one.stop(n1, first);
    await one.removeNetwork(n1);
    await two.removeNetwork(n2);
    await agree(stack, h1, nothing);
    assert.deepEqual(await asItIs(`/ports/${vm.id}`), before);
  });

  test('1: a port of a machine is not taken, whichever way it is asked for', async () => {
    const { stack, one, make, theirs, asItIs } = stage();
    const cidrs = ['10.64.0.0/24', 'fd64::/64'] as const;
    const net = await theirs({ cidr: cidrs[0] }, { cidr: cidrs[1], ip_version: 6 });
    const [ip, ip6] = ['10.64.0.9', 'fd64::9'];
    const vm = await make('/ports', {
      network_id: net.id,
      name: 'vm',
      fixed_ips: [{ ip_address: ip }, { ip_address: ip6 }],
    });
    const [mac, options] = [String(vm.mac_address), { 'neutron.port.uuid': vm.id }];
    const network = await one.createNetwork({ subnets: cidrs.map((subnet) => ({ subnet })), ...on(net) });
    const PoolID = network.pools[0]!.id;
    /** The MAC address is told only with the endpoint. */
    async function late(): Promise<void> {
      const { Address } = await one.call('IpamDriver.RequestAddress', { PoolID, Address: '', Options: null });
      try {
        await one.call('NetworkDriver.CreateEndpoint', {
          NetworkID: network.id,
          EndpointID: 'e'.repeat(64),
          Interface: { Address, AddressIPv6: '', MacAddress: mac },
          Options: {},
        });
      } finally {
        await one.call('IpamDriver.ReleaseAddress', { PoolID, Address: String(Address).replace(/\/.*/, '') });
      }
    }
    const ways: Readonly<Record<string, () => Promise<unknown>>> = {
      'its address': () => one.start(network, { ip }),
      'its IPv6 address': () => one.start(network, { ip6 }),
      'both addresses': () => one.start(network, { ip, ip6 }),
      'its MAC address': () => one.start(network, { mac }),
      'address and MAC address': () => one.start(network, { ip, ip6, mac }),
      'its id': () => one.start(network, { options }),
      'id, address and MAC address': () => one.start(network, { ip, mac, options }),
      'its name': () => one.start(network, { options: { 'neutron.port.uuid': 'vm' } }),
      'its MAC address, later': late,
    };
    for (const owner of [
      { device_owner: 'compute:nova', device_id: 'the-machine', 'binding:host_id': 'h2' },
      { device_owner: 'compute:az-2', device_id: 'the-machine', 'binding:host_id': 'h1' },
    ]) {
      await stack.neutron.put(`/ports/${vm.id}`, owner);
      stack.setPortStatus(vm.id, 'ACTIVE');
      const before = await asItIs(`/ports/${vm.id}`);
      for (const [way, ask] of Object.entries(ways)) {
        await assert.rejects(
          ask(),
          /held by|in use|MacAddressInUse|give the address of that port|is a UUID, not/i,
          way,
        );
        assert.deepEqual(await asItIs(`/ports/${vm.id}`), before, way);
      }
    }
    await one.removeNetwork(network);
  });

  test('7 and 18: of two families, with one port that is made once', async () => {
    const { stack, one, containersOn, neutronsOf } = stage();
    const subnets = [{ subnet: '10.55.0.0/24' }, { subnet: 'fd55::/64' }];
    const network = await one.createNetwork({ subnets });
    stack.calls.clear();
    const container = await one.start(network);
    assert.deepEqual(stack.calls.counts({ service: 'neutron' }), { 'POST /v2.0/ports': 1 });
    assert.equal(container.addresses.length, 2);
    const named = await one.start(network, { ip: '10.55.0.77', ip6: 'fd55::77' });
    assert.deepEqual(named.addresses, ['10.55.0.77/24', 'fd55::77/64']);
    const ports = await containersOn((await neutronsOf(network)).id);
    assert.deepEqual(
      ports.map(({ fixed_ips }) => (fixed_ips as unknown[]).length),
      [2, 2],
    );
    for (const each of [container, named]) await one.stop(network, each);
    await one.removeNetwork(network);
  });

  test('16: what an engine never takes back goes by itself, also when the agent was killed', async () => {
    const { stack, h1, one } = stage();
    const network = await one.createNetwork({ subnets: [{ subnet: '10.56.0.0/24' }] });
    const PoolID = network.pools[0]!.id;
    const Options = { 'com.docker.network.endpoint.macaddress': '02:42:0a:38:00:09' };
    await one.call('IpamDriver.RequestAddress', { PoolID, Address: '', Options });
    const container = await one.start(network);
    await h1.killBerth();
    await startNeutronAgent(h1);
    await agree(stack, h1, { networks: 1, containers: 1 });
    const endpoint = { NetworkID: network.id, EndpointID: container.id };
    await one.call('NetworkDriver.Leave', endpoint);
    await one.call('NetworkDriver.DeleteEndpoint', endpoint);
    await agree(stack, h1, { networks: 1, containers: 0 });
    await one.removeNetwork(network);
  });

  test('24: what is gone can be removed again', async () => {
    const { stack, one, containersOn, neutronsOf } = stage();
    const network = await one.createNetwork({ subnets: [{ subnet: '10.57.0.0/24' }] });
    const container = await one.start(network);
    const [port] = await containersOn((await neutronsOf(network)).id);
    await stack.neutron.delete(`/ports/${port!.id}`);
    const endpoint = { NetworkID: network.id, EndpointID: container.id };
    for (const _twice of [1, 2]) await one.call('NetworkDriver.DeleteEndpoint', endpoint);
    const Address = container.addresses[0]!.replace(/\/.*/, '');
    for (const _twice of [1, 2]) await one.call('IpamDriver.ReleaseAddress', { PoolID: network.pools[0]!.id, Address });
    await one.removeNetwork(network);
    for (const _twice of [1, 2]) await one.call('NetworkDriver.DeleteNetwork', { NetworkID: network.id });
  });

  test('25: a host that Neutron does not know by this name is told of', async () => {
    const { stack, h1, one } = stage();
    await h1.stopBerth();
    await startNeutronAgent(h1, ['--host', 'elsewhere']);
    const network = await one.createNetwork({ subnets: [{ subnet: '10.58.0.0/24' }] });
    await assert.rejects(one.start(network), /does not bind the port on the host 'elsewhere' \(binding_failed\)/);
    await one.removeNetwork(network);
    await agree(stack, { ...h1, name: 'elsewhere' }, nothing);
    await h1.stopBerth();
    await startNeutronAgent(h1);
  });

  test('26: a subnet that is for containers only is for them', async () => {
    const { one, theirs } = stage();
    const net = await theirs({ cidr: '10.59.0.0/24', service_types: ['compute:kuryr'] });
    const network = await one.createNetwork({ subnets: [{ subnet: '10.59.0.0/24' }], ...on(net) });
    const container = await one.start(network);
    assert.match(container.addresses[0]!, /^10\.59\.0\./);
    await one.stop(network, container);
    await one.removeNetwork(network);
  });

  test('14 and 23: a port that does not become active holds up its own start alone, for a while, and leaves nothing', async () => {
    const { stack, h1, one } = stage();
    await withConf({ vif_plugging_is_fatal: 'true', vif_plugging_timeout: '0' }, [], async () => {
      const network = await one.createNetwork({ subnets: [{ subnet: '10.60.0.0/24' }] });
      const starting = assert.rejects(one.start(network), /did not become active on the host 'h1'/);
      // One that is asked for meanwhile is answered.
      const other = await one.createNetwork({ subnets: [{ subnet: '10.61.0.0/24' }] });
      await one.removeNetwork(other);
      await starting;
      await agree(stack, h1, { networks: 1, containers: 0 });
      await one.removeNetwork(network);
      await agree(stack, h1, nothing);
    });
  });

  test('15: a program that fails to unwire keeps neither link nor port', async () => {
    const { stack, h1, one, containersOn, neutronsOf } = stage();
    const program = (text: string) => {
      mkdirSync(h1.path('/etc/kuryr-bin'), { recursive: true });
      writeFileSync(h1.path('/etc/kuryr-bin/vhostuser'), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    };
    program('[ "$1" = bind ] || { echo "$1 $2" >>/etc/unwired; exit 3; }');
    await withConf({}, ['--host', 'h3'], async () => {
      const network = await one.createNetwork({ subnets: [{ subnet: '10.62.0.0/24' }] });
      const container = await one.start(network);
      const [port] = await containersOn((await neutronsOf(network)).id);
      await one.stop(network, container);
      await agree(stack, { ...h1, name: 'h3' }, { networks: 1, containers: 0 });
      assert.equal(readFileSync(h1.path('/etc/unwired'), 'utf8'), `unbind ${port!.id}\n`);
      await one.removeNetwork(network);
      await agree(stack, { ...h1, name: 'h3' }, nothing);
    });
  });
});

describe('ports that containers open', () => {
  const label = (which: string) => `com.docker.network.${which}`;
  const subnets = [{ subnet: '10.63.0.0/24' }, { subnet: 'fd63::/64' }];

  /** Tells the join what `EXPOSE` and `-p` say, as an engine does. */
  async function open(network: EngineNetwork, { id }: EngineContainer, Options: object): Promise<void> {
    const { one } = stage();
    const SandboxKey = `/var/run/docker/netns/${id.slice(0, 12)}`;
    await one.call('NetworkDriver.Join', { NetworkID: network.id, EndpointID: id, SandboxKey, Options });
  }

  /** What Neutron lets in at the only port of a network, beyond what it lets in anyway. */
  async function letIn(network: EngineNetwork): Promise<readonly string[]> {
    const { stack, containersOn, neutronsOf } = stage();
    const [port] = await containersOn((await neutronsOf(network)).id);
    const groups = await Promise.all(
      (port!.security_groups as string[]).map((id) => stack.neutron.get<Group>(`/security-groups/${id}`)),
    );
    const ours = groups.filter(({ name }) => name.startsWith('berth-ports-'));
    const rules = ours.flatMap(({ security_group_rules: all }) =>
      all.filter(({ direction }) => direction === 'ingress'),
    );
    return rules
      .map(
        ({ ethertype, protocol, port_range_min: min, port_range_max: max }) => `${ethertype} ${protocol} ${min}-${max}`,
      )
      .toSorted();
  }

  const noGroup = () =>
    waitFor('the group to go', async () => {
      const all = await stage().stack.neutron.get<Group[]>('/security-groups');
      return all.every(({ name }) => !name.startsWith('berth-ports-'));
    });

  test('6: exposed ones are let in', async () => {
    const { one } = stage();
    const network = await one.createNetwork({ subnets: [subnets[0]!] });
    const container = await one.start(network);
    const exposed = [8080, 8081, 53].map((Port) => ({ Proto: Port === 53 ? 17 : 6, Port }));
    await open(network, container, { [label('endpoint.exposedports')]: exposed });
    const ranges = ['tcp 8080-8081', 'udp 53-53'];
    assert.deepEqual(
      await letIn(network),
      ['IPv4', 'IPv6'].flatMap((family) => ranges.map((range) => `${family} ${range}`)),
    );
    await one.stop(network, container);
    await noGroup();
    await one.removeNetwork(network);
  });

  test('12: SCTP is, and IPv6, and what is published', async () => {
    const { one } = stage();
    const network = await one.createNetwork({ subnets, options: { 'neutron.publish': 'security-group' } });
    const container = await one.start(network);
    await open(network, container, {
      [label('endpoint.exposedports')]: [{ Proto: 132, Port: 5000 }],
      [label('portmap')]: [{ Proto: 6, Port: 80, HostIP: '', HostPort: 8080, HostPortEnd: 8080, IP: '' }],
    });
    assert.deepEqual(
      await letIn(network),
      ['IPv4', 'IPv6'].flatMap((family) => [`${family} sctp 5000-5000`, `${family} tcp 80-80`]),
    );
    await one.stop(network, container);
    await noGroup();
    await one.removeNetwork(network);
  });
});

interface Group {
  readonly name: string;
  readonly security_group_rules: readonly {
    readonly direction: string;
    readonly ethertype: string;
    readonly protocol: string;
    readonly port_range_min: number;
    readonly port_range_max: number;
  }[];
}
