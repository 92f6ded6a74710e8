/**
 * What a user sees of Neutron who is none of its administrators: which rights Berth needs and what is said where one is missing, what the
 * doctor finds, what status and metrics tell, and what `berth gc` finds. With a real Neutron and Keystone.
 */

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { type Bed, openBed } from './bed/bed.ts';
import type { Host } from './bed/host.ts';
import { repository } from './bed/machine.ts';
import { type OpenStack, startOpenStack } from './bed/openstack/openstack.ts';
import type { Resource } from './bed/openstack/rest.ts';
import { waitFor } from './bed/process.ts';
import { addressOf, start } from './suites/containers.ts';
import { kuryrConf, neutronHost, startNeutronAgent } from './suites/neutron.ts';

let bed: Bed;
let stack: OpenStack;
let h1: Host;
/** Those of docs/neutron-policy.md, by name. */
let policy: Readonly<Record<string, string>>;

interface Finding {
  readonly check: string;
  readonly level: 'ok' | 'warn' | 'fail';
  readonly message: string;
}

interface Garbage {
  readonly kind: string;
  readonly id: string;
  readonly removed: boolean;
}

/** The first block of the page. */
function documentedPolicy(): Readonly<Record<string, string>> {
  const page = readFileSync(join(repository, 'docs/neutron-policy.md'), 'utf8');
  const [, block = ''] = /```yaml\n([^`]*)```/.exec(page) ?? [];
  return Object.fromEntries([...block.matchAll(/^"([^"]+)": "([^"]+)"$/gm)].map(([, rule, check]) => [rule!, check!]));
}

const without = (...rules: readonly string[]): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(policy).filter(([name]) => !rules.includes(name)));

const create = (driver: string, name: string, ...flags: readonly string[]) =>
  h1.docker('network', 'create', '--driver', driver, '--ipam-driver', driver, ...flags, name);

/** Ports of containers, as an administrator sees them. */
const portsOfHost = async () => await stack.neutron.get<Resource[]>('/ports?description=berth/h1');

const noneLeft = () =>
  waitFor('Neutron to have no port of the host', async () => (await portsOfHost()).length === 0, 20_000, 100);

/** What went wrong when Docker ran it. */
async function refused(...flags: readonly string[]): Promise<string> {
  const error = await start(h1, 'refused', flags).then(
    () => assert.fail('it started'),
    (thrown: unknown) => thrown,
  );
  await h1.docker('rm', '-f', 'refused');
  return String(error);
}

async function examine(...flags: readonly string[]): Promise<readonly Finding[]> {
  const { stdout, stderr, code } = await h1.berth('doctor', 'neutron', '--json', ...flags);
  assert.notEqual(stdout, '', stderr);
  const findings = JSON.parse(stdout) as Finding[];
  assert.equal(code, findings.some(({ level }) => level === 'fail') ? 1 : 0, stdout);
  return findings;
}

const text = (findings: readonly Finding[]): string =>
  findings.map(({ level, check, message }) => `${level} ${check}: ${message}`).join('\n');

const gc = async (...flags: readonly string[]): Promise<readonly string[]> => {
  const { stdout, stderr } = await h1.berth('gc', '--json', ...flags);
  assert.notEqual(stdout, '', stderr);
  return (JSON.parse(stdout) as Garbage[]).map(({ kind, id, removed }) => `${kind} ${id}${removed ? ' removed' : ''}`);
};

before(async () => {
  bed = await openBed('neutron-doctor');
  const lan = await bed.lan({ name: 'management', subnet: '10.8.66.0/24', gateway: '10.8.66.1' });
  policy = documentedPolicy();
  stack = await startOpenStack({ on: { bed, lan, address: '10.8.66.11' }, hosts: ['h1', 'h2.example.org'], policy });
  // The first calls of a Neutron take seconds: it loads what it needs when it needs it.
  const { id } = await stack.neutron.post<{ id: string }>('/networks', { name: 'warm' });
  await stack.neutron.post('/subnets', { network_id: id, ip_version: 4, cidr: '10.99.0.0/24' });
  await stack.neutron.post('/ports', { network_id: id }).then((port) => stack.neutron.delete(`/ports/${port.id}`));
  await stack.neutron.delete(`/networks/${id}`);
  h1 = await neutronHost(bed, lan, 'h1', '10.8.66.79/24', stack);
  await h1.stopBerth();
  const { tenant } = stack.identity.users;
  const conf = kuryrConf(stack, { username: tenant.name, password: tenant.password });
  writeFileSync(h1.path('/etc/kuryr.conf'), conf, { mode: 0o600 });
  await startNeutronAgent(h1);
  await create('kuryr', 'blue', '--subnet', '10.31.0.0/24', '--gateway', '10.31.0.1');
});
afterEach(async () => {
  stack.setPolicy(policy);
  stack.calls.heal();
  if (!stack.neutronServer.running()) await stack.neutronServer.start();
});
after(() => bed[Symbol.asyncDispose]());

describe('a user that is no administrator, with the documented policy', () => {
  test('runs containers, and takes a port that is there already', async () => {
    await start(h1, 'one', '--network blue');
    const [port] = await portsOfHost();
    assert.equal((port!.fixed_ips as { ip_address: string }[])[0]!.ip_address, await addressOf(h1, 'one'));
    await h1.docker('stop', '-t', '0', 'one');
    await noneLeft();
    await h1.docker('start', 'one');
    assert.equal((await portsOfHost()).length, 1);
    await h1.docker('rm', '-f', 'one');
    await noneLeft();

    const made = await ownPort('10.31.0.40');
    await start(h1, 'two', '--network blue --ip 10.31.0.40');
    assert.equal((await stack.neutron.get<Resource>(`/ports/${made.id}`))['binding:host_id'], 'h1');
    await h1.docker('rm', '-f', 'two');
    await waitFor('the port to be put back', async () => {
      const port = await stack.neutron.get<Resource>(`/ports/${made.id}`);
      return port['binding:host_id'] === '' && port.device_id === '' && port.mac_address === made.mac_address;
    });
    await stack.neutron.delete(`/ports/${made.id}`);
  });

  for (const rule of ['create_port:binding:host_id', 'get_port:binding:vif_type', 'get_port:binding:vif_details'])
    test(`is told that ${rule} is missing, and nothing is left`, async () => {
      stack.setPolicy(without(rule));
      assert.match(await refused('--network', 'blue'), new RegExp(`\\b${rule}\\b`));
      await noneLeft();
    });

  for (const rule of ['update_port:binding:host_id', 'update_port:mac_address'])
    test(`is told that ${rule} is missing for a port that is there already`, async () => {
      const made = await ownPort('10.31.0.41');
      stack.setPolicy(without(rule));
      assert.match(await refused('--network', 'blue', '--ip', '10.31.0.41'), new RegExp(`\\b${rule}\\b`));
      stack.setPolicy(policy);
      const left = await stack.neutron.get<Resource>(`/ports/${made.id}`);
      assert.deepEqual([left.device_id, left['binding:host_id'], left.mac_address], ['', '', made.mac_address]);
      await stack.neutron.delete(`/ports/${made.id}`);
    });
});

/** One that the project has made for a container to come. */
async function ownPort(address: string): Promise<Resource> {
  const [subnet] = await stack.as('tenant').get<Resource[]>('/subnets?cidr=10.31.0.0/24');
  const fixed_ips = [{ subnet_id: subnet!.id, ip_address: address }];
  return await stack.as('tenant').post('/ports', { network_id: subnet!.network_id, fixed_ips });
}

describe('berth doctor neutron', () => {
  test('finds what is well, and that nobody is behind the gateway', async () => {
    await start(h1, 'here', '--network blue');
    const before = (await stack.neutron.get<Resource[]>('/ports')).length;
    const findings = await examine();
    assert.equal((await stack.neutron.get<Resource[]>('/ports')).length, before, 'it leaves no port');
    const said = text(findings);
    assert.match(said, /^ok kuryr.conf: \/etc\/kuryr.conf$/m);
    assert.match(said, /^ok Keystone: tenant in the project containers, with .*member/m);
    assert.match(said, /^ok Neutron: answers at http:\/\/10\.8\.66\.11:9696\/v2\.0$/m);
    assert.match(said, /^ok clock: /m);
    assert.match(said, /^ok extensions: /m);
    assert.match(said, /^ok agents: the Linux bridge agent of h1 is alive$/m);
    assert.match(said, /^ok policy: /m);
    assert.match(
      said,
      /^ok quota: 1 of any number of ports, 1 of any number of networks, 1 of any number of subnets$/m,
    );
    assert.match(said, /^ok ports: 1 of h1$/m);
    assert.match(said, /^warn networks: nobody has the gateway 10\.31\.0\.1 of the network blue/m);
    assert.ok(!/^fail/m.test(said), said);

    const [subnet] = await stack.neutron.get<Resource[]>('/subnets?cidr=10.31.0.0/24');
    const router = await stack.as('tenant').post('/routers', { name: 'way-out' });
    await stack.as('tenant').call('PUT', `/routers/${router.id}/add_router_interface`, { subnet_id: subnet!.id });
    assert.doesNotMatch(text(await examine()), /gateway 10\.31/);
    await stack.as('tenant').call('PUT', `/routers/${router.id}/remove_router_interface`, { subnet_id: subnet!.id });
    await stack.as('tenant').delete(`/routers/${router.id}`);
  });

  test('names rights that are missing', async () => {
    const missing = ['create_port:binding:host_id', 'get_port:binding:vif_type', 'get_port:binding:vif_details'];
    stack.setPolicy({ ...without(...missing), 'create_port:mac_address': 'rule:admin_only' });
    const said = text(await examine());
    for (const rule of missing) assert.match(said, new RegExp(`^fail policy: this user may not ${rule}: `, 'm'));
    assert.match(said, /^fail policy: this user may not create_port:mac_address on the network blue: /m);
    stack.setPolicy(without('get_agent'));
    assert.match(text(await examine()), /^ok agents: Neutron tells this user of none, and binds ports to this host$/m);
  });

  test('sees that Neutron calls the host otherwise', async () => {
    assert.match(
      text(await examine('--host', 'h2')),
      /^fail agents: Neutron has an agent on 'h2\.example\.org', and Berth calls this host 'h2'$/m,
    );
  });

  test('sees a quota that is used up, and rights that it hides', async () => {
    const { projectId } = stack.identity.users.tenant;
    await stack.neutron.put(`/quotas/${projectId}`, { port: 1 });
    const said = text(await examine());
    await stack.neutron.delete(`/quotas/${projectId}`);
    assert.match(said, /^fail quota: 1 of 1 ports of the project are used$/m);
    assert.match(said, /^warn policy: whether create_port is allowed is not known: /m);
  });

  test('says what it can while the agent, Neutron or Keystone is away', async () => {
    await h1.stopBerth();
    const alone = text(await examine('--kuryr-conf', '/etc/kuryr.conf', '--host', 'h1'));
    assert.match(alone, /^ok ports: 1 of h1$/m);
    assert.match(alone, /^warn networks: nobody has the gateway 10\.31\.0\.1 of the network blue/m);
    await startNeutronAgent(h1);

    await stack.neutronServer.stop();
    assert.match(text(await examine()), /^fail Neutron: /m);
    await stack.neutronServer.start();
    const wrong = kuryrConf(stack, { username: 'tenant', password: 'wrong' });
    writeFileSync(h1.path('/etc/wrong.conf'), wrong, { mode: 0o644 });
    const said = text(await examine('--kuryr-conf', '/etc/wrong.conf'));
    assert.match(said, /^fail Keystone: .*POST \/v3\/auth\/tokens answers 401/m);
    assert.match(said, /^warn kuryr.conf: .*password: everybody on this host can read it/m);
    assert.doesNotMatch(said, /password = |open-sesame/);
  });
});

describe('berth status and metrics', () => {
  test('tell of Neutron, and what waits for it while it is away', async () => {
    const status = async () => (await h1.berth('status')).stdout;
    await start(h1, 'seen', '--network blue');
    assert.match(
      await status(),
      /^neutron +2 ports and 1 network of the host h1\n +Keystone answers.*\n +Neutron answers/m,
    );
    await stack.neutronServer.stop();
    await h1.docker('rm', '-f', 'seen');
    await waitFor('the status to say so', async () =>
      /Neutron does not answer for .*\n +1 to be removed still: /.test(await status()),
    );
    const { body } = await h1.berthApi('/health');
    assert.match(body, /Neutron does not answer since .*1 of this host wait to be removed from Neutron/);
    await stack.neutronServer.start();
    await waitFor('what waits to go', async () => (await portsOfHost()).length === 1, 90_000, 200);
    await waitFor('the status to be well', async () => !/does not answer|to be removed/.test(await status()));

    const metrics = (await h1.berthApi('/metrics')).body;
    assert.match(
      metrics,
      /^berth_openstack_call_seconds_count\{service="Neutron",method="POST",template="\/v2\.0\/ports",status="201"\} [1-9]/m,
    );
    assert.match(
      metrics,
      /^berth_openstack_call_seconds_count\{service="Neutron",method="DELETE",template="\/v2\.0\/ports\/\{id\}",status="503"\} [1-9]/m,
    );
    assert.match(metrics, /^berth_openstack_reachable\{service="Neutron"\} 1$/m);
    assert.match(metrics, /^berth_neutron_objects\{kind="ports"\} 1$/m);
  });
});

describe('berth gc', () => {
  test('finds what no record knows, and leaves what others have made', async () => {
    const tenant = stack.as('tenant');
    const mine = 'berth/h1/0123456789ab';
    const lost = await tenant.post('/networks', { name: 'lost', description: mine });
    const others = await tenant.post('/networks', { name: 'others', description: 'berth/h2/0123456789ab' });
    const foreign = await tenant.post('/networks', { name: 'foreign' });
    await tenant.call('PUT', `/networks/${foreign.id}/tags`, { tags: ['theirs', 'berth:h1:0123456789ab'] });
    const subnet = await tenant.post('/subnets', {
      network_id: foreign.id,
      ip_version: 4,
      cidr: '10.32.0.0/24',
      description: mine,
    });
    const port = await tenant.post('/ports', { network_id: lost.id, description: 'berth/h1', device_id: 'nobody' });
    const theirs = await tenant.post('/ports', {
      network_id: others.id,
      description: 'berth/h2',
      device_id: 'somebody',
    });
    const expected = [
      `neutron port ${port.id}`,
      `neutron tag ${foreign.id} berth:h1:0123456789ab`,
      `neutron subnet ${subnet.id}`,
      `neutron network ${lost.id}`,
    ];
    assert.deepEqual(await gc(), expected);
    assert.deepEqual(await gc(), expected, 'a look changes nothing');
    assert.deepEqual(
      await gc('--apply'),
      expected.map((item) => `${item} removed`),
    );
    assert.deepEqual(await gc(), []);
    assert.deepEqual((await stack.neutron.get<Resource>(`/networks/${foreign.id}`)).tags, ['theirs']);
    assert.equal((await stack.neutron.get<Resource>(`/ports/${theirs.id}`)).device_id, 'somebody');
    await h1.docker('exec', 'here', 'true');
    assert.equal((await portsOfHost()).length, 1);
    for (const path of [`/ports/${theirs.id}`, `/networks/${others.id}`, `/networks/${foreign.id}`])
      await stack.neutron.delete(path);
  });

  test('spares what containers use, though the store was lost', async () => {
    await h1.stopBerth();
    await h1.exec(['sh', '-c', 'mv /var/lib/berth /var/lib/berth.kept']);
    await startNeutronAgent(h1);
    assert.deepEqual(
      (await gc()).filter((item) => item.startsWith('neutron')),
      [],
    );
    await h1.stopBerth();
    await h1.exec(['sh', '-c', 'rm -rf /var/lib/berth && mv /var/lib/berth.kept /var/lib/berth']);
    await startNeutronAgent(h1);
  });

  test('finds records whose object somebody has removed', async () => {
    const [port] = await portsOfHost();
    await stack.neutron.delete(`/ports/${port!.id}`);
    assert.deepEqual(await gc(), [`neutron record ${port!.id}`]);
    assert.deepEqual(await gc('--apply'), [`neutron record ${port!.id}`], 'Docker has the container still');
    await h1.docker('rm', '-f', 'here');
    await waitFor('the record to go with the container', async () => (await gc()).length === 0);
    await h1.docker('network', 'rm', 'blue');
    await waitFor(
      'the network to go',
      async () => (await stack.neutron.get<Resource[]>('/subnets?cidr=10.31.0.0/24')).length === 0,
    );
  });
});
