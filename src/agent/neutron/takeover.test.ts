/** Networks that kuryr-libnetwork has made, or that we have and forgot: what is written down of them. */

import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import type { EngineNetwork } from '../../docker/engine.ts';
import { openBook } from '../../fabric/neutron/book.ts';
import { createDepartures } from '../../fabric/neutron/departures.ts';
import { createFinding } from '../../fabric/neutron/finding.ts';
import { existingMark, factMarks, kuryrMarks } from '../../fabric/neutron/marks.ts';
import { createNetworks } from '../../fabric/neutron/networks.ts';
import { networkSettings } from '../../fabric/neutron/settings.ts';
import { memoryNotes } from '../../fabric/neutron/testing/notes.ts';
import { parseAddress } from '../../model/address.ts';
import type { EndpointId, NetworkId, PoolId } from '../../model/ids.ts';
import { parseMac } from '../../model/mac.ts';
import type { Endpoint, Network } from '../../model/network.ts';
import { formatPrefix, parseInterfaceAddress, parsePrefix } from '../../model/prefix.ts';
import { openSession } from '../../openstack/keystone/session.ts';
import { createNeutron } from '../../openstack/neutron/neutron.ts';
import { type Answer, failureOf, fakeCloud, json } from '../../openstack/testing/fake-cloud.ts';
import { claimPool, createTakeover } from './takeover.ts';

const cloud = await fakeCloud();
const neutron = createNeutron(
  openSession({ authentication: { kind: 'none', endpoint: cloud.url }, repeats: 0, backOff: 1 }),
);
after(() => neutron.close());

const id = `${'0123456789ab'}${'c'.repeat(52)}` as NetworkId;
const endpoint = 'e'.repeat(64) as EndpointId;
const kuryrPool = '5b9a4b6e-0b0a-4a39-8a5c-0d9b8f6f0f11';
const mac = parseMac('02:42:0a:00:00:05')!;

const seen: EngineNetwork = {
  id,
  name: 'blue',
  driver: 'kuryr',
  ipamDriver: 'kuryr',
  scope: 'local',
  internal: false,
  options: { 'neutron.net.uuid': '11111111-1111-1111-1111-111111111111', 'not.ours': 'x' },
  ipamOptions: {},
  labels: {},
  subnets: [
    {
      subnet: parsePrefix('10.0.0.0/16')!,
      range: parsePrefix('10.0.0.0/24')!,
      gateway: parseAddress('10.0.0.1')!,
      auxiliary: {},
    },
  ],
  endpoints: [
    { id: endpoint, container: 'c1', name: 'one', addresses: [parseInterfaceAddress('10.0.0.5/24')!], mac },
    { id: 'f'.repeat(64) as EndpointId, container: 'ep-f', name: 'ep-f', addresses: [], mac },
  ],
};
const port = {
  id: 'p1',
  name: 'kuryr-unbound-port',
  network_id: 'n1',
  mac_address: mac,
  fixed_ips: [{ subnet_id: 's1', ip_address: '10.0.0.5' }],
  device_id: endpoint,
  device_owner: 'compute:kuryr',
  'binding:vif_type': 'bridge',
  'binding:vif_details': {},
  'binding:host_id': 'h1',
  tags: ['compute:kuryr', ...kuryrMarks(endpoint)],
};
const subnet = {
  id: 's1',
  name: 'kuryr-subnet-10.0.0.0/24',
  network_id: 'n1',
  cidr: '10.0.0.0/24',
  ip_version: 4,
  gateway_ip: '10.0.0.1',
  subnetpool_id: kuryrPool,
  tags: [kuryrPool],
};

/** Neutron has one network, with one subnet and one port. */
function thereIs(
  network: object,
  also: { readonly subnet?: object; readonly port?: object; readonly more?: Readonly<Record<string, Answer>> } = {},
): void {
  const one = { id: 'n1', name: 'n', mtu: 1450, tags: [] as readonly string[], ...network };
  const found: Answer = (asked, response, nth) => {
    const query = new URLSearchParams(asked.line.split('?')[1]);
    const fits =
      (query.get('tags') ?? '').split(',').every((tag) => one.tags.includes(tag)) ||
      (query.has('description') && query.get('description') === (one as { description?: string }).description) ||
      query.get('name') === one.name;
    json({ networks: fits ? [one] : [] })(asked, response, nth);
  };
  cloud.answer({
    'GET /v2.0/networks': found,
    'GET /v2.0/subnets': json({ subnets: [{ ...subnet, ...also.subnet }] }),
    'GET /v2.0/ports': json({ ports: [{ ...port, ...also.port }] }),
    'GET /v2.0/floatingips': json({ message: 'The resource could not be found.' }, 404),
    'GET /v2.0/subnetpools': json({ subnetpools: [{ id: kuryrPool, name: 'kuryrPool-10.0.0.0/24', tags: [] }] }),
    ...also.more,
  });
}

async function host() {
  const notes = memoryNotes();
  const book = await openBook(notes, assert.fail);
  const departures = createDepartures(() => {}, { attempt: 5000, firstWait: 1, longestWait: 4 });
  const networks = createNetworks({
    book,
    neutron,
    departures,
    host: 'h1',
    settle: 40,
    now: Date.now,
    defaults: { dhcp: true, interfacePrefix: 'eth' },
    left: (_network, sentence) => assert.fail(sentence),
  });
  const state = { networks: new Map<NetworkId, Network>() };
  const endpoints: Endpoint[] = [];
  const told: string[] = [];
  const takeover = createTakeover({
    state,
    lifecycle: {
      adopt: (network, those) => {
        assert.deepEqual([...notes.kept], [], 'what is written down has an owner');
        state.networks.set(network.id, network);
        endpoints.push(...those);
        return Promise.resolve();
      },
    },
    book,
    finding: createFinding(neutron, 'h1'),
    networks,
    neutron,
    events: { emit: (_event, sentence) => told.push(sentence) },
    host: 'h1',
    kuryrPools: 'kuryrPool',
    nested: false,
    now: () => 1,
  });
  return { book, notes, state, endpoints, takeover, told };
}

describe('a network that is taken over', () => {
  it('from kuryr, keeps its pool and its ports', async () => {
    thereIs({ name: 'kuryr-net-01234567', tags: kuryrMarks(id) });
    const { takeover, book, state, endpoints } = await host();
    assert.equal(takeover.isUnknown(id), true);
    await takeover.adopt(seen, 'kuryr', false);
    assert.equal(takeover.isUnknown(id), false);
    const network = state.networks.get(id)!;
    assert.deepEqual(
      [network.pools, network.plugin, network.options],
      [[kuryrPool], 'kuryr', { 'neutron.net.uuid': '11111111-1111-1111-1111-111111111111' }],
    );
    const { phase, origin, network: inNeutron, subnetPools } = book.networks.get(id)!;
    assert.deepEqual([phase, origin, inNeutron, subnetPools], ['held', 'created', 'n1', [kuryrPool]]);
    assert.equal(formatPrefix(book.pools.get(kuryrPool as PoolId)!.range!), '10.0.0.0/24');
    const [held] = book.ports.all();
    assert.deepEqual([held!.key, held!.origin, held!.endpoint, held!.port], [endpoint, 'created', endpoint, 'p1']);
    assert.equal(formatPrefix(held!.addresses[0]!.on), '10.0.0.5/24');
    assert.equal(endpoints.length, 1, 'those of other hosts are theirs');
    assert.deepEqual([endpoints[0]!.phase, (endpoints[0]!.settings as { port: string }).port], ['attached', 'p1']);
    assert.ok(cloud.lines.every((line) => line.startsWith('GET')));
  });

  it('from kuryr, that was in Neutron before, with a port that was, too', async () => {
    thereIs(
      { name: 'guests', tags: [...kuryrMarks(id), existingMark(id)] },
      { subnet: { name: 'theirs' }, port: { name: 'vip', tags: ['kuryr.port.existing', ...kuryrMarks(endpoint)] } },
    );
    const { takeover, book } = await host();
    await takeover.adopt(seen, 'kuryr', false);
    const { origin, subnets, subnetTags, tags } = book.networks.get(id)!;
    assert.deepEqual([origin, subnets, subnetTags], ['adopted', [], [{ subnet: 's1', tag: kuryrPool }]]);
    assert.deepEqual(tags, [existingMark(id), ...kuryrMarks(id)]);
    const [held] = book.ports.all();
    assert.deepEqual([held!.origin, held!.key], ['adopted', endpoint]);
    assert.deepEqual(held!.before, { device_id: '', device_owner: '', host: '' });
    assert.deepEqual(held!.tags, ['kuryr.port.existing', ...kuryrMarks(endpoint)]);
  });

  it('of ours, whose store is lost: the engine names the pool', async () => {
    thereIs(
      { description: 'berth/h1/0123456789ab' },
      {
        subnet: { cidr: '10.0.0.0/16', tags: [] },
        port: { tags: [], description: 'berth/h1', device_id: 'key' },
      },
    );
    const { takeover, book } = await host();
    await takeover.adopt(seen, 'kuryr', false);
    assert.deepEqual(book.networks.get(id)!.subnetPools, undefined);
    assert.deepEqual([book.ports.get('key')!.origin, book.ports.get('key')!.endpoint], ['created', endpoint]);
    const [lost] = book.pools.all();
    const asked = 'neutron-00112233445566ff/10.0.0.0-16/10.0.0.0-24' as PoolId;
    assert.equal((await claimPool(book, asked))?.as, lost!.id);
    assert.equal((await claimPool(book, 'neutron-00112233445566ff/10.0.0.0-16' as PoolId))?.as, undefined);
    assert.equal(await claimPool(book, 'berth/10.0.0.0-16/10.0.0.0-24' as PoolId), undefined);

    // Two with the same subnet: the address says which.
    const twin = { ...lost!, id: 'lost-2' as PoolId };
    await book.pools.put(twin);
    await book.pools.delete(asked);
    assert.match(String(await failureOf(claimPool(book, asked))), /may be that of any of 2 networks/);
    assert.equal((await claimPool(book, asked, '10.0.0.5'))?.as, lost!.id);
    const second = asked.replace('00112233445566ff', 'ffffffffffffffff') as PoolId;
    assert.equal((await claimPool(book, second))?.as, 'lost-2');
  });

  it('of ours, whose store is lost, has its router, floating IPs and forwarded ports again', async () => {
    const key = 'berth/h1/0123456789ab';
    const floating = (more: object) => ({ floating_network_id: 'x', floating_ip_address: '172.24.4.9', ...more });
    const query = (line: string) => new URL(line.split(' ')[1]!, cloud.url).searchParams;
    thereIs(
      { description: key },
      {
        port: { tags: [], description: 'berth/h1', device_id: 'key' },
        subnet: { cidr: '10.0.0.0/16', tags: [] },
        more: {
          'GET /v2.0/ports': (asked, response, nth) => {
            const ofRouter = query(asked.line).get('description') === key;
            const own = { ...port, tags: [], description: 'berth/h1', device_id: 'key' };
            json({ ports: [ofRouter ? { id: 'i1', device_id: 'r1' } : own] })(asked, response, nth);
          },
          'GET /v2.0/floatingips': (asked, response, nth) => {
            const description = `berth/h1/${endpoint.slice(0, 12)}`;
            const ofNetwork = query(asked.line).get('description') === key;
            const all = ofNetwork
              ? [floating({ id: 'f1', description: key })]
              : [floating({ id: 'f2', description, port_id: 'p1', floating_ip_address: '172.24.4.10' })];
            json({ floatingips: all })(asked, response, nth);
          },
          'GET /v2.0/floatingips/f1/port_forwardings': json({
            port_forwardings: [
              {
                id: 'w1',
                protocol: 'tcp',
                internal_port_id: 'p1',
                internal_ip_address: '10.0.0.5',
                internal_port: 80,
                external_port: 8080,
              },
            ],
          }),
        },
      },
    );
    const { takeover, book, state } = await host();
    const options = { 'neutron.router': 'r', 'neutron.floating_network': 'x', 'neutron.publish': 'floating-ip' };
    await takeover.adopt({ ...seen, options }, 'kuryr', false);
    const { router, floating: hasOwn } = book.networks.get(id)!;
    assert.deepEqual([router, hasOwn], ['r1', true]);
    const { floatingIp, floatingNetwork, publish } = networkSettings(state.networks.get(id)!);
    assert.deepEqual([floatingIp, floatingNetwork, publish], [{ id: 'f1', address: '172.24.4.9' }, 'x', 'floating-ip']);
    assert.deepEqual(book.outside.all(), [
      {
        endpoint,
        phase: 'held',
        network: id,
        port: 'p1',
        floating: { origin: 'created', id: 'f2', address: '172.24.4.10' },
        forwardings: {
          floatingIp: 'f1',
          address: '172.24.4.9',
          ports: [{ protocol: 6, internal: 80, external: 8080 }],
        },
      },
    ]);
  });

  it('that all engines have is reached as its tags say, whichever host has made what it takes', async () => {
    const floatingIp = { id: '11111111-1111-1111-1111-111111111111', address: '172.24.4.9' };
    const facts = {
      internal: false,
      gateways: [],
      auxiliary: [],
      router: 'r1',
      floatingNetwork: 'x',
      publish: 'floating-ip',
      floatingIp,
    } as const;
    const none = json({ port_forwardings: [] });
    const more = { [`GET /v2.0/floatingips/${floatingIp.id}/port_forwardings`]: none };
    thereIs({ tags: [...kuryrMarks(id), ...factMarks(id, facts)] }, { more });
    const { takeover, book, state } = await host();
    const options = { 'neutron.router': 'r', 'neutron.floating_network': 'x', 'neutron.publish': 'floating-ip' };
    await takeover.adopt({ ...seen, options }, 'kuryr', true);
    const { floatingNetwork, publish, ...others } = networkSettings(state.networks.get(id)!);
    assert.deepEqual([floatingNetwork, publish, others.floatingIp], ['x', 'floating-ip', floatingIp]);
    const { origin, router } = book.networks.get(id)!;
    assert.deepEqual([origin, router], ['shared', undefined]);
  });

  it('is not one that Docker has removed a moment ago, nor one that Neutron does not know', async () => {
    thereIs({ name: 'other' });
    const { takeover, book, state, notes } = await host();
    assert.match(String(await failureOf(takeover.adopt(seen, 'kuryr', false))), /no network in Neutron is marked/);
    assert.deepEqual([[...notes.kept], state.networks.size], [[], 0]);
    await book.networks.put({ id, phase: 'leaving', origin: 'created', key: 'k', subnets: [], tags: [] });
    await takeover.adopt(seen, 'kuryr', false);
    assert.equal(state.networks.size, 0);
  });

  it('whose container has no port is taken over without it, and that is told', async () => {
    thereIs({ tags: kuryrMarks(id) }, { port: { fixed_ips: [{ subnet_id: 's1', ip_address: '10.0.0.6' }] } });
    const { takeover, endpoints, told } = await host();
    await takeover.adopt(seen, 'kuryr', true);
    assert.deepEqual(endpoints, []);
    assert.match(told.join(), /the container one has 10.0.0.5, for which Neutron has no port/);
  });
});
