/** What is orphaned, and what is not. That it can be removed is shown with a real Neutron. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { EngineNetwork } from '../../docker/engine.ts';
import { openBook } from '../../fabric/neutron/book.ts';
import type { GroupRecord, NetworkRecord, OutsideRecord, PortRecord } from '../../fabric/neutron/records.ts';
import { tagOf } from '../../fabric/neutron/tags.ts';
import { memoryNotes } from '../../fabric/neutron/testing/notes.ts';
import { parseAddress } from '../../model/address.ts';
import type { EndpointId, NetworkId } from '../../model/ids.ts';
import type { Endpoint, Network } from '../../model/network.ts';
import { openSession } from '../../openstack/keystone/session.ts';
import { createNeutron } from '../../openstack/neutron/neutron.ts';
import { type Answer, fakeCloud, json } from '../../openstack/testing/fake-cloud.ts';
import { collectFromNeutron } from './collect.ts';

const cloud = await fakeCloud();
const client = createNeutron(
  openSession({ authentication: { kind: 'none', endpoint: cloud.url }, repeats: 0, backOff: 1 }),
);
after(() => client.close());

const dockerId = (letter: string) => letter.repeat(64) as NetworkId;
const mark = (letter: string, host = 'h1') => `berth/${host}/${letter.repeat(12)}`;
const tag = (letter: string, host?: string) => tagOf(mark(letter, host));
const port = (id: string, more: object = {}) => ({
  id,
  device_id: `key-${id}`,
  fixed_ips: [{ subnet_id: 's', ip_address: '10.0.0.9' }],
  'binding:host_id': 'h1',
  ...more,
});
const network = (id: string, more: object = {}) => ({
  id,
  name: id,
  description: '',
  tags: [],
  revision_number: 3,
  ...more,
});
const subnet = (id: string, more: object = {}) => ({
  id,
  cidr: '10.0.0.0/24',
  description: '',
  network_id: 'n',
  ...more,
});
const portRecord = (key: string, more: Partial<PortRecord> = {}): PortRecord => ({
  key,
  phase: 'held',
  origin: 'created',
  network: dockerId('a'),
  addresses: [],
  createdAt: 0,
  ...more,
});
const networkRecord = (letter: string, more: Partial<NetworkRecord> = {}): NetworkRecord => ({
  id: dockerId(letter),
  phase: 'held',
  origin: 'created',
  key: mark(letter),
  subnets: [],
  tags: [],
  ...more,
});

interface There {
  readonly ports?: readonly object[];
  readonly networks?: readonly object[];
  readonly subnets?: readonly object[];
  readonly floatingIps?: readonly object[];
  /** Ports by which networks are attached to routers. */
  readonly interfaces?: readonly object[];
  readonly groups?: readonly object[];
  /** Security groups that a port has. */
  readonly held?: readonly string[];
  readonly more?: Readonly<Record<string, Answer>>;
}

interface Here {
  readonly ports?: readonly PortRecord[];
  readonly networks?: readonly NetworkRecord[];
  readonly outside?: readonly OutsideRecord[];
  readonly groups?: readonly GroupRecord[];
  /** Docker has them. */
  readonly docker?: readonly NetworkId[];
  readonly endpoints?: readonly string[];
  readonly engine?: readonly EngineNetwork[];
}

async function collect(there: There, here: Here = {}, apply = false) {
  const { ports = [], networks = [], subnets = [], floatingIps = [], interfaces = [], groups = [], more = {} } = there;
  const byId: Answer = (asked, response, nth) => {
    const query = new URL(asked.line.split(' ')[1]!, cloud.url).searchParams;
    if (query.has('name')) return json({ ports: interfaces })(asked, response, nth);
    if (query.has('security_groups'))
      return json({ ports: [{ id: 'held', security_groups: there.held ?? [] }] })(asked, response, nth);
    const wanted = query.getAll('id');
    const listed = wanted.length === 0 ? ports : ports.filter((one) => wanted.includes((one as { id: string }).id));
    json({ ports: listed })(asked, response, nth);
  };
  cloud.answer({
    'GET /v2.0/ports': byId,
    'GET /v2.0/networks': json({ networks }),
    'GET /v2.0/subnets': json({ subnets }),
    'GET /v2.0/floatingips': json({ floatingips: floatingIps }),
    'GET /v2.0/security-groups': json({ security_groups: groups }),
    ...more,
  });
  const book = await openBook(memoryNotes(), assert.fail);
  for (const record of here.ports ?? []) await book.ports.put(record);
  for (const record of here.networks ?? []) await book.networks.put(record);
  for (const record of here.outside ?? []) await book.outside.put(record);
  for (const record of here.groups ?? []) await book.groups.put(record);
  const state = {
    networks: new Map((here.docker ?? []).map((id) => [id, {} as Network])),
    endpoints: new Map((here.endpoints ?? []).map((id) => [id as EndpointId, {} as Endpoint])),
  };
  const counted: string[] = [];
  const views = await collectFromNeutron(
    {
      book,
      client,
      state,
      host: 'h1',
      events: { emit: () => {} },
      metrics: { garbage: (kind) => void counted.push(kind) },
    },
    here.engine ?? [],
    apply,
  );
  return { views, book, counted, found: views.map(({ kind, id, removed }) => `${kind} ${id}${removed ? ' -' : ''}`) };
}

const done: Answer = (_, response) => void response.writeHead(204).end();

test('what says that it is of this host, and that no record knows, is an orphan', async () => {
  const { found } = await collect({
    ports: [port('p1'), port('p2', { 'binding:host_id': '' }), port('p3', { 'binding:host_id': undefined })],
    networks: [network('n1', { description: mark('b') }), network('n2', { tags: ['other', tag('c')] })],
    subnets: [
      subnet('s1', { description: mark('b'), network_id: 'n1' }),
      subnet('s2', { description: mark('c'), network_id: 'n2' }),
    ],
  });
  // The subnet of a network that goes, goes with it.
  assert.deepEqual(found, [
    'neutron port p1',
    'neutron port p2',
    'neutron port p3',
    `neutron tag n2 ${tag('c')}`,
    'neutron subnet s2',
    'neutron network n1',
  ]);
  assert.ok(cloud.lines.some((line) => line.startsWith('GET /v2.0/ports?description=berth%2Fh1&')));
  assert.ok(cloud.lines.every((line) => line.startsWith('GET ')));
});

test('what a record knows is none, in whatever phase', async () => {
  const { found } = await collect(
    {
      ports: [port('p1'), port('p2'), port('p3')],
      networks: [network('n1', { description: mark('a') }), network('n2', { tags: [tag('b')] })],
      subnets: [subnet('s1', { description: mark('a') }), subnet('s2', { description: mark('b') })],
    },
    {
      ports: [
        portRecord('key-p1', { phase: 'making' }),
        portRecord('key-p2', { phase: 'leaving', port: 'p2' }),
        portRecord('warm', { port: 'p3' }),
      ],
      networks: [
        networkRecord('a', { phase: 'making' }),
        networkRecord('b', { origin: 'adopted', network: 'n2', tags: [tag('b')], phase: 'leaving' }),
      ],
    },
  );
  assert.deepEqual(found, []);
});

test('what is of another host is not touched, however it is called', async () => {
  const names = [mark('b', 'h2'), mark('b', 'h1/x'), `${mark('b')}/x`, 'berth/h1', 'berth/h1/', `x${mark('b')}`];
  const { found } = await collect({
    ports: [port('p1', { 'binding:host_id': 'h2' })],
    networks: names.flatMap((name, i) => [
      network(`d${i}`, { description: name }),
      network(`t${i}`, { tags: [name, tagOf(name)] }),
    ]),
    subnets: names.map((name, i) => subnet(`s${i}`, { description: name })),
  });
  assert.deepEqual(found, []);
});

test('a subnet of ours on a network that others use is theirs to take away', async () => {
  const shared = (...tags: readonly string[]) => ({
    networks: [network('n1', { tags })],
    subnets: [subnet('s1', { description: mark('b'), network_id: 'n1' })],
  });
  assert.deepEqual((await collect(shared(tag('d', 'h2')))).found, []);
  const here = { networks: [networkRecord('a', { origin: 'adopted', network: 'n1' })] };
  assert.deepEqual((await collect(shared(tag('a')), here)).found, []);
  assert.deepEqual((await collect(shared('theirs', tag('b')))).found, [
    `neutron tag n1 ${tag('b')}`,
    'neutron subnet s1',
  ]);
});

test('a network that engines share is removed by none of them', async () => {
  const { found } = await collect(
    { networks: [network('n1', { description: mark('b'), tags: ['bnet:bbbbbbbbbbbb:n1'] })] },
    {},
    true,
  );
  assert.deepEqual(found, ['neutron network n1']);
});

test('a network of ours that another host uses stays', async () => {
  const { views } = await collect(
    { networks: [network('n1', { description: mark('b'), tags: [tag('d', 'h2')] })] },
    {},
    true,
  );
  assert.deepEqual(
    views.map(({ removed, reason }) => [removed, reason]),
    [[false, `no network of h1 is 'n1' of Neutron; it stays, for others use it: ${tag('d', 'h2')}`]],
  );
});

test('what containers use is spared, though our store was lost', async () => {
  const engine = [
    {
      id: dockerId('b'),
      endpoints: [{ id: 'e'.repeat(64), addresses: [{ address: parseAddress('10.0.0.9')!, length: 24 }] }],
    } as unknown as EngineNetwork,
  ];
  const there = {
    ports: [port('p1'), port('p2', { fixed_ips: [{ subnet_id: 's', ip_address: '10.0.0.10' }] })],
    networks: [network('n1', { description: mark('b') }), network('n2', { tags: [tag('b'), tag('c')] })],
    subnets: [subnet('s1', { description: mark('b') })],
  };
  assert.deepEqual((await collect(there, { engine })).found, ['neutron port p2', `neutron tag n2 ${tag('c')}`]);
});

test('is removed on demand only, ports before their network, which nobody may have changed', async () => {
  const more = {
    'DELETE /v2.0/ports/p1': done,
    'DELETE /v2.0/networks/n1': done,
    [`DELETE /v2.0/networks/n2/tags/${encodeURIComponent(tag('c'))}`]: done,
  };
  const there = {
    ports: [port('p1')],
    networks: [network('n1', { description: mark('b') }), network('n2', { tags: [tag('c')] })],
    more,
  };
  const { found, counted } = await collect(there, {}, true);
  assert.deepEqual(found, ['neutron port p1 -', `neutron tag n2 ${tag('c')} -`, 'neutron network n1 -']);
  assert.deepEqual(counted, ['neutron port', 'neutron tag', 'neutron network']);
  const removals = cloud.asked.filter(({ line }) => line.startsWith('DELETE'));
  assert.deepEqual(
    removals.map(({ line, headers }) => [line.split('/')[2], headers['if-match']]),
    [
      ['ports', undefined],
      ['networks', undefined],
      ['networks', 'revision_number=3'],
    ],
  );
});

test('what cannot be removed is told, and keeps nothing else from it', async () => {
  const refusal = json({ NeutronError: { type: 'NetworkInUse', message: 'There are ports on it', detail: '' } }, 409);
  const there = {
    networks: [network('n1', { description: mark('b') }), network('n2', { description: mark('c') })],
    more: { 'DELETE /v2.0/networks/n1': refusal, 'DELETE /v2.0/networks/n2': done },
  };
  const { views, found } = await collect(there, {}, true);
  assert.deepEqual(found, ['neutron network n1', 'neutron network n2 -']);
  assert.match(views[0]!.reason, /it cannot be removed: .*There are ports on it/);
});

test('a record whose object is gone goes, unless Docker still has what it is of', async () => {
  const here: Here = {
    ports: [
      portRecord('k1', { port: 'p1' }),
      portRecord('k2', { port: 'p2', endpoint: 'e2' as EndpointId }),
      portRecord('k3', { port: 'p3', phase: 'leaving' }),
      portRecord('k4', { port: 'p4' }),
    ],
    networks: [
      networkRecord('a', { network: 'n1' }),
      networkRecord('b', { network: 'n2' }),
      networkRecord('c', { network: 'n3' }),
      networkRecord('d', { network: 'n4', phase: 'leaving' }),
    ],
    docker: [dockerId('a')],
    endpoints: ['e2'],
  };
  const there = { ports: [port('p4', { description: '' })], networks: [network('n3')] };
  const { found, views, book } = await collect(there, here, true);
  assert.deepEqual(found, ['neutron record p1 -', 'neutron record p2', 'neutron record n1', 'neutron record n2 -']);
  assert.match(views[1]!.reason, /cut off until it is started again/);
  assert.match(views[2]!.reason, /docker network rm aaaaaaaaaaaa/);
  assert.deepEqual(
    [book.ports.all().map(({ key }) => key), book.networks.all().map(({ key }) => key)],
    [
      ['k2', 'k3', 'k4'],
      [mark('a'), mark('c'), mark('d')],
    ],
  );
});

const endpointId = (letter: string) => letter.repeat(64) as EndpointId;
const floatingIp = (id: string, description = '') => ({
  id,
  description,
  floating_ip_address: '172.24.4.9',
  floating_network_id: 'x',
});
const outsideRecord = (letter: string, more: Partial<OutsideRecord> = {}): OutsideRecord => ({
  endpoint: endpointId(letter),
  phase: 'held',
  network: dockerId('a'),
  port: 'p',
  ...more,
});
const interfaceOf = (id: string, description: string, more: object = {}) => ({
  id,
  network_id: 'n1',
  description,
  device_id: 'r1',
  device_owner: 'network:router_interface',
  ...more,
});
const groupName = (digit: string) => `berth-ports-${digit.repeat(16)}`;
const group = (id: string, name: string) => ({ id, name });
const groupRecord = (digit: string, more: Partial<GroupRecord> = {}): GroupRecord => ({
  key: groupName(digit),
  phase: 'held',
  name: groupName(digit),
  ...more,
});

test('floating IPs, interfaces of routers and security groups that nobody has are removed', async () => {
  const more = {
    'DELETE /v2.0/floatingips/f1': done,
    'PUT /v2.0/routers/r1/remove_router_interface': json({}),
    'DELETE /v2.0/ports/i2': done,
    'DELETE /v2.0/security-groups/g1': done,
  };
  const there = {
    floatingIps: [floatingIp('f1', mark('e')), floatingIp('f2', mark('e', 'h2')), floatingIp('f3', 'of a user')],
    interfaces: [
      interfaceOf('i1', mark('b')),
      // The router had not got it yet.
      interfaceOf('i2', mark('b'), { device_id: '', device_owner: '' }),
      interfaceOf('i3', mark('b', 'h2')),
    ],
    groups: [group('g1', groupName('1')), group('g2', groupName('2')), group('g3', 'berth-ports-of-mine')],
    held: ['g2'],
    networks: [network('n1')],
    more,
  };
  const { found } = await collect(there, {}, true);
  assert.deepEqual(found, [
    'neutron floating IP f1 -',
    'neutron interface i1 -',
    'neutron interface i2 -',
    'neutron group g1 -',
  ]);
});

test('of what leads outside, nothing is an orphan that a record or the engine knows, or another host uses', async () => {
  const engine = [
    { id: dockerId('c'), endpoints: [{ id: endpointId('f'), addresses: [] }] } as unknown as EngineNetwork,
  ];
  const { found } = await collect(
    {
      floatingIps: [
        floatingIp('f1', mark('e')),
        floatingIp('f2', mark('f')),
        floatingIp('f3', mark('a')),
        floatingIp('f4', mark('c')),
      ],
      interfaces: [interfaceOf('i1', mark('a')), interfaceOf('i2', mark('b'), { network_id: 'n2' })],
      groups: [group('g1', groupName('1')), group('g2', groupName('2'))],
      networks: [network('n1'), network('n2', { tags: [tag('d', 'h2')] })],
    },
    {
      outside: [outsideRecord('e', { phase: 'making', floating: { origin: 'created' } })],
      networks: [networkRecord('a', { network: 'n1', router: 'r1', floating: true })],
      groups: [groupRecord('1', { phase: 'leaving' }), groupRecord('2', { id: 'g2' })],
      engine,
    },
  );
  assert.deepEqual(found, []);
});

test('of a floating IP and a security group that are gone, the records go', async () => {
  const floating = (id: string) => ({ floating: { origin: 'created', id, address: '172.24.4.9' } }) as const;
  const { found, book } = await collect(
    {},
    {
      outside: [
        outsideRecord('e', floating('f1')),
        outsideRecord('f', floating('f2')),
        outsideRecord('d', { ...floating('f3'), phase: 'leaving' }),
      ],
      groups: [groupRecord('1', { id: 'g1' })],
      endpoints: [endpointId('f')],
    },
    true,
  );
  assert.deepEqual(found, ['neutron record f1 -', 'neutron record f2', 'neutron record g1 -']);
  assert.deepEqual([book.outside.all().length, book.groups.all().length], [2, 0]);
});

test('a Neutron without routers and security groups has none of them', async () => {
  const none = json({ message: 'The resource could not be found.' }, 404);
  const more = { 'GET /v2.0/floatingips': none, 'GET /v2.0/security-groups': none };
  assert.deepEqual((await collect({ ports: [port('p1')], more })).found, ['neutron port p1']);
});

test('tags of a subnet that no network knows are the user’s to take off', async () => {
  const tagged = (letter: string) => [`bnet:${letter.repeat(12)}:p=1234`, `bnet:${letter.repeat(12)}:r=10.0.0.0/25`];
  const there = {
    networks: [network('n1', { tags: [`kuryr.net.uuid.lh:${'b'.repeat(32)}`] }), network('n2')],
    subnets: [
      subnet('s1', { network_id: 'n1', tags: [...tagged('b'), ...tagged('c')] }),
      subnet('s2', { network_id: 'n2', tags: [...tagged('d'), 'theirs'] }),
    ],
  };
  const { found } = await collect(there, { networks: [networkRecord('d')] }, true);
  assert.deepEqual(found, ['neutron tag s1 bnet:cccccccccccc:']);
});

test('a Neutron that does not answer is told of', async () => {
  const more = { 'GET /v2.0/subnets': json({ NeutronError: { type: 'X', message: 'no', detail: '' } }, 500) };
  const { views } = await collect({ ports: [port('p1')], more }, {}, true);
  assert.deepEqual(
    views.map(({ kind, removed }) => [kind, removed]),
    [['neutron', false]],
  );
  assert.match(views[0]!.reason, /what is orphaned there is not known: Neutron: GET \/v2.0\/subnets answers 500/);
});
