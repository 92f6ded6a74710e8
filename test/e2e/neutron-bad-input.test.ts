/**
 * Options with values that are wrong, that Neutron does not know, that fit several of its objects, or that are another project's; and a
 * kuryr.conf with mistakes. Each is told in one line, and nothing is left of what was begun.
 */

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, afterEach, before, describe, test } from 'node:test';
import { containerOptions, networkContainerOptions } from '../../src/fabric/container-options.ts';
import type { OptionSpec } from '../../src/fabric/fabric.ts';
import { endpointOptions, networkOptions } from '../../src/fabric/neutron/options.ts';
import { type Bed, openBed } from './bed/bed.ts';
import type { Host } from './bed/host.ts';
import { type OpenStack, startOpenStack } from './bed/openstack/openstack.ts';
import type { Resource } from './bed/openstack/rest.ts';
import { assertPlainError, failingStart } from './suites/agent.ts';
import { type EngineCalls, type EngineNetwork, engineCalls } from './suites/engine-calls.ts';
import { kuryrConf, neutronHost, startNeutronAgent, warmUp } from './suites/neutron.ts';
import { agree, agreeHere, nothing } from './suites/neutron-agreement.ts';

/** What one who is no administrator must be allowed for ports that are bound to a host. */
const POLICY = {
  'create_port:binding:host_id': 'role:member',
  'update_port:binding:host_id': 'role:member',
  'get_port:binding:host_id': 'role:member',
  'get_port:binding:vif_type': 'role:member',
  'get_port:binding:vif_details': 'role:member',
};

let bed: Bed;
let stack: OpenStack;
let h1: Host;
let engine: EngineCalls;
/** Objects of another project, by kind. */
const strangers: Record<string, Resource> = {};
/** The tenant's own. */
let own: Resource;

const subnet = '10.61.0.0/24';
const unknown = '00000000-1111-2222-3333-444444444444';

before(async () => {
  bed = await openBed('neutron-bad-input');
  const lan = await bed.lan({ name: 'management', subnet: '10.8.65.0/24', gateway: '10.8.65.1' });
  stack = await startOpenStack({ on: { bed, lan, address: '10.8.65.11' }, hosts: ['h1'], policy: POLICY });
  await warmUp(stack);
  const stranger = stack.as('stranger');
  strangers.network = await stranger.post('/networks', { name: 'strange-net' });
  const network_id = strangers.network.id;
  strangers.subnet = await stranger.post('/subnets', {
    network_id,
    ip_version: 4,
    cidr: subnet,
    name: 'strange-subnet',
  });
  strangers.pool = await stranger.post('/subnetpools', { name: 'strange-pool', prefixes: ['10.62.0.0/16'] });
  strangers.group = await stranger.post('/security-groups', { name: 'strange-group' });
  strangers.port = await stranger.post('/ports', { network_id, name: 'strange-port' });
  strangers.router = await stranger.post('/routers', { name: 'strange-router' });
  const outside = await stack.neutron.post('/networks', { name: 'outside', 'router:external': true });
  await stack.neutron.post('/subnets', { network_id: outside.id, ip_version: 4, cidr: '172.24.4.0/24' });
  strangers.floating = await stranger.post('/floatingips', { floating_network_id: outside.id });
  const tenant = stack.as('tenant');
  own = await tenant.post('/networks', { name: 'own-net' });
  await tenant.post('/subnets', { network_id: own.id, ip_version: 4, cidr: subnet, name: 'own-subnet' });
  for (const _twice of [1, 2]) {
    const { id } = await tenant.post('/networks', { name: 'twice' });
    await tenant.post('/subnets', { network_id: id, ip_version: 4, cidr: subnet, name: 'twice' });
    await tenant.post('/subnetpools', { name: 'twice', prefixes: ['10.63.0.0/16'] });
    await tenant.post('/security-groups', { name: 'twice' });
    await tenant.post('/routers', { name: 'twice' });
    await stack.neutron.post('/qos/policies', { name: 'twice', shared: true });
  }
  await tenant.post('/routers', { name: 'own-router' });
  strangers.policy = await stack.neutron.post('/qos/policies', { name: 'strange-policy' });
  h1 = await neutronHost(bed, lan, 'h1', '10.8.65.79/24', stack, { start: false });
  await h1.stopBerth();
  const { tenant: user } = stack.identity.users;
  writeFileSync(h1.path('/etc/kuryr.conf'), kuryrConf(stack, { username: user.name, password: user.password }));
  await startNeutronAgent(h1);
  engine = engineCalls(h1);
});
after(() => bed[Symbol.asyncDispose]());

interface Case {
  readonly option: string;
  readonly value: () => string;
  readonly says: RegExp;
  readonly with?: () => Readonly<Record<string, string>>;
  /** None: Neutron is asked for one. */
  readonly subnet?: '' | 'v6';
  readonly internal?: boolean;
}

const nameOfStranger = (kind: string): string => `strange-${kind === 'network' ? 'net' : kind}`;

/** Each way of naming an object of Neutron, with all that can be wrong with it. */
function naming(option: string, kind: string, what: string, more: Partial<Case> = {}): Case[] {
  const by = (suffix: 'uuid' | 'name', value: () => string, says: RegExp): Case => ({
    option: `${option}.${suffix}`,
    value,
    says,
    ...more,
  });
  const none = new RegExp(`no ${what}|has no`);
  return [
    by('uuid', () => 'nonsense', /is a UUID, not 'nonsense'/),
    by('uuid', () => '', /is a UUID/),
    by('uuid', () => unknown, none),
    by('uuid', () => strangers[kind]!.id, none),
    by('name', () => '', /a name of 1 to 255 characters/),
    by('name', () => 'x'.repeat(256), /a name of 1 to 255 characters/),
    by('name', () => 'nobody', none),
    by('name', () => nameOfStranger(kind), none),
    by('name', () => 'twice', /twice|more than one/),
    { ...by('name', () => 'a', /not both/), with: () => ({ ...more.with?.(), [`${option}.uuid`]: unknown }) },
  ];
}

/** One that is named by UUID or by name in the same option. */
function either(option: string, kind: string, what: string): Case[] {
  const one = (value: () => string, says: RegExp): Case => ({ option, value, says });
  return [
    one(() => '', /is a name of 1 to 255 characters/),
    one(() => unknown, /Neutron/),
    one(() => strangers[kind]!.id, /Neutron/),
    one(() => 'nobody', new RegExp(`no ${what} 'nobody'`)),
    one(() => nameOfStranger(kind), new RegExp(`no ${what} '${nameOfStranger(kind)}'`)),
    one(() => 'twice', /2 .*called 'twice'/),
  ];
}

const wrong = (option: string, says: RegExp, ...values: readonly string[]): Case[] =>
  values.map((value) => ({ option, value: () => value, says }));

const onOwn = () => ({ 'neutron.net.uuid': own.id });
const ofNetworks: readonly Case[] = [
  ...naming('neutron.net', 'network', 'network'),
  ...wrong('neutron.net.shared', /neutron\.net\.shared/, '', 'perhaps'),
  { option: 'neutron.net.shared', value: () => 'true', says: /is not shared/, with: onOwn },
  // By Neutron's policy only an administrator may.
  { option: 'neutron.net.shared', value: () => 'true', says: /Neutron.*403/ },
  ...naming('neutron.subnet', 'subnet', 'subnet', { with: onOwn }),
  ...naming('neutron.subnet.v6', 'subnet', 'subnet', { with: onOwn, subnet: 'v6' }),
  ...naming('neutron.pool', 'pool', 'subnet pool', { subnet: '' }),
  ...naming('neutron.pool.v6', 'pool', 'subnet pool', { subnet: 'v6' }),
  ...wrong('neutron.dhcp', /neutron\.dhcp/, '', 'maybe'),
  ...either('neutron.security_groups', 'group', 'security group'),
  ...wrong('neutron.security_groups', /name of 1 to 255/, '', 'a,,b'),
  ...wrong('neutron.port_security', /neutron\.port_security/, '', 'maybe'),
  ...either('neutron.qos_policy', 'policy', 'QoS policy'),
  { option: 'neutron.dns_domain', value: () => 'not a domain', says: /Neutron|neutron/ },
  ...either('neutron.router', 'router', 'router'),
  { option: 'neutron.router', value: () => 'own-router', says: /--internal/, internal: true },
  ...either('neutron.floating_network', 'network', 'network'),
  ...wrong('neutron.floating_network', /is not external/, 'own-net'),
  { option: 'neutron.floating_network', value: () => 'outside', says: /--internal/, internal: true },
  ...wrong('neutron.publish', /neutron\.publish/, '', 'magic', 'floating-ip'),
  // The last is a number that is right, for an agent that leaves MAC addresses to the engine.
  ...wrong('neutron.warm_ports', /neutron\.warm_ports/, '', 'many', '-1', '1.5', '201', '2'),
  ...wrong('mtu', /mtu/i, '', 'large', '1000', '65536', '9000'),
  ...wrong('interface_prefix', /interface_prefix/, '', 'a/b', 'x'.repeat(13)),
];

const ofContainers: readonly Case[] = [
  ...wrong('neutron.port.uuid', /neutron\.port\.uuid|is not/, '', 'nonsense', unknown),
  { option: 'neutron.port.uuid', value: () => strangers.port!.id, says: /the port of this address is not/ },
  ...either('neutron.security_groups', 'group', 'security group'),
  ...wrong('neutron.port_security', /neutron\.port_security/, '', 'maybe'),
  {
    option: 'neutron.port_security',
    value: () => 'false',
    says: /needs 'neutron\.port_security'/,
    with: () => ({ 'neutron.security_groups': 'default' }),
  },
  ...wrong(
    'neutron.allowed_address_pairs',
    /neutron\.allowed_address_pairs/,
    '',
    'x',
    '10.0.0.1 x',
    '10.0.0.1 02:00:00:00:00:09 y',
  ),
  ...either('neutron.qos_policy', 'policy', 'QoS policy'),
  ...either('neutron.floating_network', 'network', 'network'),
  ...wrong('neutron.floating_network', /is not external/, 'own-net'),
  ...wrong('neutron.floating_ip', /is an IPv4 address or a UUID/, '', 'nobody', 'fd61::1'),
  ...wrong('neutron.floating_ip', /no floating IP/, unknown, '172.24.4.250'),
  { option: 'neutron.floating_ip', value: () => strangers.floating!.id, says: /no floating IP/ },
  {
    option: 'neutron.floating_ip',
    value: () => String(strangers.floating!.floating_ip_address),
    says: /no floating IP/,
  },
  {
    option: 'neutron.floating_ip',
    value: () => unknown,
    says: /not both/,
    with: () => ({ 'neutron.floating_network': 'outside' }),
  },
  // Nothing leads there from this network.
  ...wrong('neutron.floating_network', /Neutron/, 'outside'),
  { option: 'neutron.dns_name', value: () => 'no name at all', says: /[Nn]eutron/ },
];

function assertTold(error: unknown, says: RegExp): true {
  assert.ok(error instanceof Error && !(error instanceof assert.AssertionError), String(error));
  assert.match(error.message, says);
  assert.doesNotMatch(error.message, /\n|undefined|\[object/);
  return true;
}

describe('options of networks', () => {
  afterEach(() => agreeHere(h1, nothing));
  after(() => agree(stack, h1, nothing));

  for (const { option, value, says, subnet: of, with: more, internal = false } of ofNetworks) {
    for (const where of ['options', 'ipamOptions'] as const) {
      test(`${option} as ${where === 'options' ? '-o' : '--ipam-opt'}: ${says.source}`, async () => {
        const wanted = of === undefined ? { subnet } : of === 'v6' ? { v6: true } : {};
        const given = { ...more?.(), [option]: value() };
        const v6 = of === 'v6' && where === 'options' ? { subnet: 'fd61::/64' } : wanted;
        const v4 = of === '' && where === 'options' ? { subnet } : v6;
        await assert.rejects(engine.createNetwork({ subnets: [v4], internal, [where]: given }), (error) =>
          assertTold(error, says),
        );
      });
    }
  }

  test('one that there is not', async () => {
    for (const where of ['options', 'ipamOptions'] as const)
      await assert.rejects(
        engine.createNetwork({ subnets: [{ subnet }], [where]: { 'neutron.nett.uuid': unknown } }),
        (error) => assertTold(error, /neutron\.nett\.uuid/),
      );
  });
});

describe('options of containers', () => {
  let network: EngineNetwork;
  const alone = { networks: 1, containers: 0 };
  before(async () => {
    network = await engine.createNetwork({ subnets: [{ subnet }] });
  });
  // What one leaves would be in the way of all that follow.
  afterEach(() => agreeHere(h1, alone, 15_000));
  after(async () => {
    await agree(stack, h1, alone);
    await engine.removeNetwork(network);
    await agree(stack, h1, nothing);
  });

  for (const { option, value, says, with: more } of ofContainers) {
    test(`${option}: ${says.source}`, async () => {
      const options = { ...more?.(), [option]: value() };
      await assert.rejects(engine.start(network, { options }), (error) => assertTold(error, says));
    });
  }
});

test('every option has mistakes', () => {
  /** What all fabrics have is tried with one of them. */
  const untried = (cases: readonly Case[], options: readonly OptionSpec[], common: readonly OptionSpec[]) => {
    const tried = new Set(cases.map(({ option }) => option));
    return options.filter((option) => !common.includes(option) && !tried.has(option.name)).map(({ name }) => name);
  };
  assert.deepEqual(untried(ofNetworks, networkOptions, networkContainerOptions), []);
  assert.deepEqual(untried(ofContainers, endpointOptions, containerOptions), []);
});

describe('a kuryr.conf', () => {
  const flags = [
    '--state-dir',
    '/tmp/other',
    '--run-dir',
    '/tmp/other',
    '--plugin-dir',
    '/tmp/other',
    '--plugins',
    'berth-neutron=neutron',
    '--kuryr-conf',
    '/tmp/kuryr.conf',
  ];
  const mistakes: readonly (readonly [name: string, change: (conf: string) => string | undefined, says: RegExp])[] = [
    ['that is not there', () => undefined, /kuryr\.conf/],
    ['that is empty', () => '', /auth_type|auth_url/],
    ['that is no INI file', () => 'nonsense\n', /kuryr\.conf:1/],
    ['of bytes', () => '\0\x01\xff', /kuryr\.conf/],
    ['without a password', (conf) => conf.replace(/^password.*\n/m, ''), /password/],
    ['without a user', (conf) => conf.replace(/^username.*\n/m, ''), /user/],
    ['without a URL', (conf) => conf.replace(/^auth_url.*\n/m, ''), /auth_url/],
    ['with something else for a URL', (conf) => conf.replace(/^auth_url.*/m, 'auth_url = keystone'), /auth_url/],
    ['with an unknown auth_type', (conf) => conf.replace(/^auth_type.*/m, 'auth_type = magic'), /auth_type|magic/],
    ['with a timeout that is no number', (conf) => `${conf}timeout = soon\n`, /timeout/],
    ['with a boolean that is none', (conf) => `${conf}vif_plugging_is_fatal = perhaps\n`, /vif_plugging_is_fatal/],
    ['with an endpoint_type that there is not', (conf) => `${conf}endpoint_type = secret\n`, /endpoint_type/],
    ['with a CA that is not there', (conf) => `${conf}cafile = /nonexistent\n`, /cafile|\/nonexistent/],
    [
      'with a scope that there is not',
      (conf) => conf.replace('[DEFAULT]\n', '[DEFAULT]\ncapability_scope = world\n'),
      /capability_scope/,
    ],
  ];
  for (const [name, change, says] of mistakes) {
    test(name, async () => {
      const text = change(kuryrConf(stack));
      await h1.sh('rm -rf /tmp/other /tmp/kuryr.conf');
      if (text !== undefined) writeFileSync(h1.path('/tmp/kuryr.conf'), text, { mode: 0o600 });
      const { code, output } = await failingStart(h1, flags);
      assert.notEqual(code, 0, output);
      assertPlainError(output, says);
    });
  }

  after(() => agree(stack, h1, nothing));

  const refusals: readonly (readonly [name: string, change: Readonly<Record<string, string>>, says: RegExp])[] = [
    ['with a wrong password', { password: 'wrong' }, /Keystone.*401/],
    ['of a user that there is not', { username: 'nobody' }, /Keystone.*401/],
    ['of a project that there is not', { project_name: 'nowhere' }, /Keystone.*401/],
    ['of a region that there is not', { region_name: 'nowhere' }, /nowhere/],
    ['with a URL where nobody is', { auth_url: 'http://10.8.65.11:1/v3' }, /Keystone/],
    ['with a URL of something else', { auth_url: stackUrl() }, /Keystone|Neutron/],
  ];
  function stackUrl(): string {
    return 'http://10.8.65.11:9696';
  }
  for (const [name, change, says] of refusals) {
    test(`${name}: the agent serves, and says so when it is asked`, async () => {
      await h1.stopBerth();
      writeFileSync(h1.path('/etc/kuryr.conf'), kuryrConf(stack, change));
      await startNeutronAgent(h1);
      await assert.rejects(engine.createNetwork({ subnets: [{ subnet }] }), (error) => assertTold(error, says));
      await agreeHere(h1, nothing);
    });
  }
});
