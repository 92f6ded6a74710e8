import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Agent, Network, Subnet } from '../../../openstack/neutron/objects.ts';
import { look } from '../doctor.ts';
import { neutronChecks } from './checks.ts';
import type { NeutronFacts, NeutronNetworkFacts } from './facts.ts';

const agentOn = (host: string, more: Partial<Agent> = {}): Agent => ({
  id: `agent-${host}`,
  agent_type: 'Linux bridge agent',
  binary: 'neutron-linuxbridge-agent',
  host,
  alive: true,
  admin_state_up: true,
  configurations: { tunneling_ip: '192.168.1.10', interface_mappings: { physnet1: 'eth1' } },
  ...more,
});
const network: Network = { id: 'n1', name: 'blue', mtu: 1450, project_id: 'p1', 'provider:network_type': 'vxlan' };
const subnet: Subnet = {
  id: 's1',
  name: '',
  network_id: 'n1',
  cidr: '10.0.0.0/24',
  ip_version: 4,
  gateway_ip: '10.0.0.1',
  enable_dhcp: true,
};
const shop: NeutronNetworkFacts = {
  name: 'shop',
  id: 'a'.repeat(64),
  internal: false,
  mtu: 1450,
  gateways: ['10.0.0.1'],
  network,
  subnets: [subnet],
  gatewayOwners: { '10.0.0.1': 'network:router_interface' },
  hasDhcp: true,
};
const member = { userId: 'u1', userName: 'berth', projectId: 'p1', projectName: 'containers', roles: ['member'] };
const aliases =
  'binding standard-attr-description standard-attr-tag standard-attr-revisions revision-if-match net-mtu subnet_allocation port-security security-group allowed-address-pairs qos dns-integration quota_details'.split(
    ' ',
  );
const usage = (used: number, limit = 100) => ({ used, limit, reserved: 0 });

/** Where all is well. */
const healthy: NeutronFacts = {
  now: 0,
  host: 'h1',
  fullName: 'h1.example.org',
  agent: {
    status: {
      host: 'h1',
      files: ['/etc/kuryr/kuryr.conf'],
      services: [],
      ports: 1,
      networks: 1,
      waiting: { count: 0 },
    },
  },
  conf: { files: ['/etc/kuryr/kuryr.conf'], problems: [], remarks: [] },
  identity: { value: member },
  endpoint: { value: 'http://neutron:9696/v2.0' },
  clockAhead: 900,
  extensions: { value: aliases },
  agents: { value: [agentOn('h1'), agentOn('h2'), agentOn('net1', { agent_type: 'DHCP agent' })] },
  quota: { value: { port: usage(5), network: usage(1, -1), subnet: usage(1) } },
  networks: { value: [shop] },
  ports: { value: [{ id: 'port1', vif: 'bridge', hasDetails: true }] },
  rights: [
    { rule: 'create_port:binding:host_id', allowed: true },
    { rule: 'create_port:mac_address', network: 'shop', allowed: true },
  ],
  links: [
    { name: 'eth0', mtu: 1500, addresses: ['192.168.1.10', 'fd00::10'] },
    { name: 'eth1', mtu: 1500, addresses: [] },
  ],
  uplink: 'eth0',
};
const withNetwork = (change: Partial<NeutronNetworkFacts>): Partial<NeutronFacts> => ({
  networks: { value: [{ ...shop, ...change }] },
});
const without = (...keys: readonly (keyof NeutronFacts)[]): NeutronFacts =>
  Object.fromEntries(Object.entries(healthy).filter(([key]) => !keys.includes(key as keyof NeutronFacts))) as never;

it('finds nothing where all is well, and every check has looked', () => {
  const found = look(neutronChecks, healthy);
  assert.deepEqual(
    found.filter(({ level }) => level !== 'ok'),
    [],
  );
  assert.deepEqual(
    [...new Set(found.map(({ check }) => check))],
    neutronChecks.map(({ name }) => name),
  );
});

describe('what is no fault', () => {
  const fine: readonly (readonly [name: string, change: Partial<NeutronFacts>])[] = [
    ['an agent that does not run', { agent: { error: 'the agent does not answer' } }],
    ['no Keystone', { identity: { value: undefined } }],
    ['no network yet', { networks: { value: [] } }],
    ['a network without a gateway', withNetwork({ gateways: [], gatewayOwners: {} })],
    ['an internal network, behind whose gateway nobody is', withNetwork({ internal: true, gatewayOwners: {} })],
    [
      'a physical network, whose router Neutron need not know',
      withNetwork({
        network: { ...network, mtu: 1500, 'provider:network_type': 'flat', 'provider:physical_network': 'physnet1' },
        gatewayOwners: {},
      }),
    ],
    [
      'a network of another project, whose ports are not told',
      withNetwork({ network: { ...network, project_id: 'p2' }, gatewayOwners: {}, hasDhcp: false }),
    ],
    ['a subnet without DHCP', withNetwork({ subnets: [{ ...subnet, enable_dhcp: false }], hasDhcp: false })],
    [
      'neither agent nor binding, within a virtual machine',
      {
        nested: true,
        agents: { value: [agentOn('h2')] },
        ports: { value: [{ id: 'x', hasDetails: false }] },
        rights: [{ rule: 'create_port:binding:host_id', allowed: false }],
      },
    ],
    ['agents that are not told, while ports are bound', { agents: { value: [] } }],
  ];
  for (const [name, change] of fine)
    it(name, () => {
      const found = look(neutronChecks, { ...healthy, ...change });
      assert.deepEqual(
        found.filter(({ level }) => level !== 'ok'),
        [],
      );
    });
});

describe('what is one', () => {
  const faults: readonly (readonly [name: string, change: Partial<NeutronFacts>, finding: RegExp, fix: RegExp])[] = [
    [
      'a mistake in kuryr.conf',
      { conf: { files: ['/etc/k.conf'], problems: ['/etc/k.conf:3: [neutron] auth_url: it is no URL'], remarks: [] } },
      /^fail kuryr.conf: \/etc\/k.conf:3: .*no URL$/,
      /^editor \/etc\/k.conf$/,
    ],
    [
      'a kuryr.conf that everybody can read',
      {
        conf: {
          files: ['/etc/k.conf'],
          problems: [],
          remarks: ['everybody on this host can read it: chmod 640 /etc/k.conf'],
        },
      },
      /^warn kuryr.conf: everybody/,
      /^chmod 640 \/etc\/k.conf$/,
    ],
    [
      'one that cannot be read',
      { conf: { error: '/x cannot be read' } },
      /^fail kuryr.conf: \/x cannot/,
      /--kuryr-conf/,
    ],
    [
      'a wrong password',
      { identity: { error: 'Keystone: POST /v3/auth/tokens answers 401', next: 'Check the user.' } },
      /^fail Keystone: .*401$/,
      /^Check the user\.$/,
    ],
    [
      'a token for no project',
      { identity: { value: { ...member, projectId: undefined, projectName: undefined } }, networks: { value: [] } },
      /^fail Keystone: the token of berth is for no project$/,
      /project_name/,
    ],
    [
      'no endpoint in this region',
      { endpoint: { error: 'no public endpoint', next: 'Choose another.' } },
      /^fail Neutron: no public endpoint$/,
      /^Choose another/,
    ],
    [
      'a Neutron that does not answer',
      { extensions: { error: 'connection refused', next: 'Start it.' } },
      /^fail Neutron: connection refused$/,
      /^Start it/,
    ],
    ['a clock behind', { clockAhead: 95_000 }, /^warn clock: .* is 95 s behind that of OpenStack$/, /^timedatectl/],
    [
      'a clock ahead',
      { clockAhead: -3_600_000 },
      /^warn clock: .* is 3600 s ahead of that of OpenStack$/,
      /^timedatectl/,
    ],
    [
      'no binding',
      { extensions: { value: aliases.filter((alias) => alias !== 'binding') } },
      /^fail extensions: Neutron is without binding: ports cannot be bound/,
      /binding/,
    ],
    [
      'no tags',
      { extensions: { value: aliases.filter((alias) => alias !== 'standard-attr-tag') } },
      /^warn extensions: Neutron is without standard-attr-tag: .*neutron.net.uuid/,
      /standard-attr-tag/,
    ],
    [
      'no agent on this host',
      { agents: { value: [agentOn('h2'), agentOn('h3')] } },
      /^fail agents: Neutron has no agent that wires ports on 'h1'; there are some on h2, h3$/,
      /--host NAME/,
    ],
    [
      'only agents that wire nothing',
      { agents: { value: [agentOn('h1', { agent_type: 'DHCP agent' })] } },
      /^fail agents: Neutron has no agent that wires ports on 'h1'; there are none$/,
      /systemctl start/,
    ],
    [
      'an agent under the full name',
      { agents: { value: [agentOn('h1.example.org')] } },
      /^fail agents: Neutron has an agent on 'h1.example.org', and Berth calls this host 'h1'$/,
      /^berth agent --host h1\.example\.org$/,
    ],
    [
      'an agent under the short name',
      { host: 'h1.example.org', agents: { value: [agentOn('h1')] } },
      /^fail agents: Neutron has an agent on 'h1', and Berth calls this host 'h1.example.org'$/,
      /^berth agent --host h1$/,
    ],
    [
      'an agent under the name that the host has, and not the one that Berth is told',
      { host: 'h9', agents: { value: [agentOn('h1'), agentOn('h2')] } },
      /^fail agents: Neutron has an agent on 'h1', and Berth calls this host 'h9'$/,
      /^berth agent --host h1$/,
    ],
    [
      'an agent of a host that is called alike, before that of this host',
      { host: 'h2', agents: { value: [agentOn('h1'), agentOn('h2.example.org')] } },
      /^fail agents: Neutron has an agent on 'h2.example.org', and Berth calls this host 'h2'$/,
      /^berth agent --host h2\.example\.org$/,
    ],
    [
      'a dead agent',
      { agents: { value: [agentOn('h1', { alive: false })] } },
      /^fail agents: the Linux bridge agent of h1 is not alive$/,
      /^systemctl restart neutron-linuxbridge-agent$/,
    ],
    [
      'a dead one beside one that lives',
      { agents: { value: [agentOn('h1', { alive: false, agent_type: 'Open vSwitch agent' }), agentOn('h1')] } },
      /^warn agents: the Open vSwitch agent of h1 is not alive$/,
      /^systemctl restart/,
    ],
    [
      'an agent that is switched off',
      { agents: { value: [agentOn('h1', { admin_state_up: false })] } },
      /^fail agents: the Linux bridge agent of h1 is switched off$/,
      /^openstack network agent set --enable agent-h1$/,
    ],
    [
      'agents that are not told, and no port',
      { agents: { value: [] }, ports: { value: [] } },
      /^warn agents: Neutron tells this user of no agent$/,
      /get_agent/,
    ],
    [
      'a quota that is nearly used up',
      { quota: { value: { port: usage(90) } } },
      /^warn quota: 90 of 100 ports of the project are used$/,
      /--ports 200/,
    ],
    [
      'one that is',
      { quota: { value: { network: usage(10, 10) } } },
      /^fail quota: 10 of 10 networks of the project are used$/,
      /--networks 20/,
    ],
    [
      'no right to bind',
      { rights: [{ rule: 'create_port:binding:host_id', allowed: false }] },
      /^fail policy: this user may not create_port:binding:host_id: containers do not start$/,
      /"create_port:binding:host_id": /,
    ],
    [
      'no right to choose addresses',
      { rights: [{ rule: 'create_port:fixed_ips:ip_address', network: 'shop', allowed: false }] },
      /^warn policy: this user may not create_port:fixed_ips:ip_address on the network shop: --ip/,
      /fixed_ips:ip_address/,
    ],
    [
      'a right that could not be tried',
      { rights: [{ rule: 'create_port', allowed: { unknown: 'no answer' } }] },
      /^warn policy: whether create_port is allowed is not known: no answer$/,
      /doctor/,
    ],
    [
      'a binding that is not told',
      { ports: { value: [{ id: 'x', hasDetails: true }] } },
      /^fail policy: this user may not get_port:binding:vif_type: /,
      /get_port:binding:vif_type/,
    ],
    [
      'details of it that are not told',
      { ports: { value: [{ id: 'x', vif: 'ovs', hasDetails: false }] } },
      /^fail policy: this user may not get_port:binding:vif_details: /,
      /get_port:binding:vif_details/,
    ],
    [
      'a network that is gone',
      { networks: { value: [{ ...shop, network: undefined as never }] } },
      /^fail networks: the network shop is not in Neutron any more/,
      /^docker network rm shop$/,
    ],
    [
      'a network that is switched off',
      withNetwork({ network: { ...network, admin_state_up: false } }),
      /^fail networks: the network shop is switched off/,
      /--enable n1$/,
    ],
    [
      'a network without a subnet',
      withNetwork({ subnets: [], gateways: [] }),
      /^fail networks: .* has no subnet/,
      /rm shop/,
    ],
    [
      'a gateway that nobody has',
      withNetwork({ gatewayOwners: {} }),
      /^warn networks: nobody has the gateway 10.0.0.1 of the network shop: packets/,
      /^openstack router add subnet ROUTER s1$/,
    ],
    [
      "a gateway that is not Neutron's",
      withNetwork({ gateways: ['10.0.0.254'], gatewayOwners: {} }),
      /^warn networks: nobody has the gateway 10.0.0.254 .*, which is not Neutron's \(10.0.0.1\): packets/,
      /10\.0\.0\.254/,
    ],
    ['DHCP that nobody serves', withNetwork({ hasDhcp: false }), /^warn networks: nobody serves DHCP/, /agent list/],
    [
      'a network larger than the tunnel leaves',
      withNetwork({ network: { ...network, mtu: 1500 }, mtu: 1450 }),
      /^warn MTU: .* shop has packets of 1500 bytes and 50 of vxlan, and eth0 carries 1500/,
      /--mtu 1450 n1$/,
    ],
    [
      'a tunnel over IPv6',
      {
        ...withNetwork({}),
        agents: { value: [agentOn('h1', { configurations: { tunneling_ip: 'fd00::10' } })] },
      },
      /^warn MTU: .* 1450 bytes and 70 of vxlan/,
      /--mtu 1430 n1$/,
    ],
    [
      'a physical network larger than its card',
      {
        ...withNetwork({
          network: { ...network, mtu: 9000, 'provider:network_type': 'vlan', 'provider:physical_network': 'physnet1' },
        }),
      },
      /^warn MTU: .* shop has packets of 9000 bytes, and eth1 carries 1500/,
      /--mtu 1500 n1$/,
    ],
    [
      'a network of a kind that is not told, larger than the way out',
      withNetwork({ network: { id: 'n1', name: 'blue', mtu: 8950, project_id: 'p1' } }),
      /^warn MTU: .* 8950 bytes, and eth0 carries 1500/,
      /--mtu 1500/,
    ],
    [
      'a network that has become smaller',
      withNetwork({ network: { ...network, mtu: 1400 } }),
      /^warn MTU: containers on shop send packets of 1450 bytes, and Neutron's network carries 1400/,
      /^docker network rm shop/,
    ],
    [
      'a port that could not be bound',
      { ports: { value: [{ id: 'x', vif: 'binding_failed', hasDetails: true }] } },
      /^fail ports: Neutron could not bind the port x to h1$/,
      /^openstack network agent list --host h1$/,
    ],
    [
      'removals that wait',
      {
        agent: {
          status: { host: 'h1', files: [], services: [], ports: 0, networks: 0, waiting: { count: 2, problem: 'no' } },
        },
      },
      /^warn ports: 2 of this host wait to be removed: no$/,
      /^berth status$/,
    ],
  ];
  for (const [name, change, finding, fix] of faults)
    it(name, () => {
      const found = look(neutronChecks, { ...healthy, ...change }).filter(({ level }) => level !== 'ok');
      assert.equal(found.length, 1, JSON.stringify(found));
      assert.match(`${found[0]!.level} ${found[0]!.check}: ${found[0]!.message}`, finding);
      assert.match(found[0]!.fix!, fix);
    });
});

it('says nothing of what it could not ask', () => {
  const rest = ['endpoint', 'clockAhead', 'extensions', 'agents', 'quota', 'networks', 'ports', 'rights'] as const;
  const found = look(neutronChecks, without('identity', ...rest));
  assert.deepEqual(
    found.map(({ check }) => check),
    ['kuryr.conf'],
  );
});
