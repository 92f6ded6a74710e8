/** Two hosts whose engines share their networks, and what the second learns from Neutron. That it works is shown with a real one. */

import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { openBook } from '../../fabric/neutron/book.ts';
import { createDepartures } from '../../fabric/neutron/departures.ts';
import { createFinding } from '../../fabric/neutron/finding.ts';
import { createNetworks } from '../../fabric/neutron/networks.ts';
import type { PoolRecord } from '../../fabric/neutron/records.ts';
import { memoryNotes } from '../../fabric/neutron/testing/notes.ts';
import { parseAddress } from '../../model/address.ts';
import type { NetworkId, PoolId } from '../../model/ids.ts';
import type { Network } from '../../model/network.ts';
import { parsePrefix } from '../../model/prefix.ts';
import { within } from '../../openstack/bounds.ts';
import { openSession } from '../../openstack/keystone/session.ts';
import { createNeutron } from '../../openstack/neutron/neutron.ts';
import { type Answer, failureOf, fakeCloud, json } from '../../openstack/testing/fake-cloud.ts';
import { createFollowing } from './following.ts';

const cloud = await fakeCloud();
const neutron = createNeutron(
  openSession({ authentication: { kind: 'none', endpoint: cloud.url }, repeats: 0, backOff: 1 }),
);
after(() => neutron.close());

const id = `${'0123456789ab'}${'c'.repeat(52)}` as NetworkId;
const pool: PoolRecord = {
  id: 'neutron-00112233445566ff/10.0.0.0-16/10.0.1.0-24' as PoolId,
  subnet: parsePrefix('10.0.0.0/16')!,
  range: parsePrefix('10.0.1.0/24')!,
  options: {},
  gateway: { address: parseAddress('10.0.0.9')!, chosen: false },
  auxiliary: [parseAddress('10.0.1.1')!],
  createdAt: 1,
};
const request = {
  id,
  plugin: 'kuryr',
  subnets: [{ prefix: pool.subnet, gateway: pool.gateway!.address, auxiliary: { nas: pool.auxiliary[0]! } }],
  internal: false,
  options: { mtu: '1400', 'neutron.security_groups': '11111111-1111-1111-1111-111111111111' },
};
const bounds = () => within(5000);

/** A Neutron with one network of one subnet, which remembers their tags. */
function oneNetwork(network: object, before: readonly string[] = [], more: Readonly<Record<string, Answer>> = {}) {
  const tags: { n1: readonly string[]; s1: readonly string[] } = { n1: before, s1: [] };
  const net = () => ({ id: 'n1', name: 'n', mtu: 1450, revision_number: 3, tags: tags.n1, ...network });
  const sub = () => ({
    id: 's1',
    network_id: 'n1',
    cidr: '10.0.0.0/16',
    ip_version: 4,
    gateway_ip: '10.0.0.1',
    allocation_pools: [{ start: '10.0.1.2', end: '10.0.1.254' }],
    tags: tags.s1,
  });
  const tagged =
    (which: 'n1' | 's1'): Answer =>
    (asked, response, nth) => {
      tags[which] = (asked.body as { tags: string[] }).tags;
      json(asked.body)(asked, response, nth);
    };
  const now =
    (body: () => unknown): Answer =>
    (...given) =>
      json(body())(...given);
  cloud.answer({
    'POST /v2.0/networks': (...given) => json({ network: net() }, 201)(...given),
    'POST /v2.0/subnets': (...given) => json({ subnets: [sub()] }, 201)(...given),
    'PUT /v2.0/networks/n1/tags': tagged('n1'),
    'PUT /v2.0/subnets/s1/tags': tagged('s1'),
    'GET /v2.0/security-groups/11111111-1111-1111-1111-111111111111': json({
      security_group: { id: '11111111-1111-1111-1111-111111111111', name: 'g' },
    }),
    'GET /v2.0/networks/n1': now(() => ({ network: net() })),
    'GET /v2.0/subnets/s1': now(() => ({ subnet: sub() })),
    'GET /v2.0/networks': (asked, response, nth) => {
      const wanted = new URLSearchParams(asked.line.split('?')[1]).get('tags')?.split(',') ?? ['?'];
      const found = wanted.every((tag) => tags.n1.includes(tag)) ? [net()] : [];
      json({ networks: found })(asked, response, nth);
    },
    'GET /v2.0/subnets': (asked, response, nth) => {
      const wanted = new URLSearchParams(asked.line.split('?')[1]).get('tags')?.split(',') ?? [];
      json({ subnets: wanted.every((tag) => tags.s1.includes(tag)) ? [sub()] : [] })(asked, response, nth);
    },
    'DELETE /v2.0/networks/n1': json(undefined, 204),
    'DELETE /v2.0/subnets/s1': json(undefined, 204),
    ...more,
  });
  return tags;
}

async function host(name: string) {
  const notes = memoryNotes();
  const book = await openBook(notes, assert.fail);
  const departures = createDepartures(() => {}, { attempt: 5000, firstWait: 1, longestWait: 4 });
  const networks = createNetworks({
    book,
    neutron,
    departures,
    host: name,
    settle: 40,
    now: Date.now,
    defaults: { dhcp: true, interfacePrefix: 'eth' },
    left: (_network, sentence) => assert.fail(sentence),
  });
  const state = { networks: new Map<NetworkId, Network>() };
  const following = createFollowing({
    state,
    lifecycle: {
      serialise: (_id, work) => work(),
      addNetwork: (network) => Promise.resolve(void state.networks.set(network.id, network)),
    },
    book,
    finding: createFinding(neutron, name),
    networks,
    host: name,
    now: () => 1,
  });
  const idle = async () => {
    while (departures.waiting().count > 0) await new Promise(setImmediate);
  };
  return { notes, book, networks, state, following, idle };
}

describe('a network of all engines', () => {
  it('is the same on a host that is asked for an address of it first', async () => {
    oneNetwork({ description: 'berth/h1/0123456789ab' });
    const [first, second] = [await host('h1'), await host('h2')];
    const settings = await first.networks.open(request, [pool], bounds(), true);
    assert.deepEqual(await second.following.pool(pool.id, 'kuryr', bounds()), { ...pool, network: id });
    const found = second.state.networks.get(id)!;
    assert.deepEqual(found.settings, settings);
    assert.deepEqual(found.subnets[0]!.gateway, pool.gateway!.address);
    assert.deepEqual([found.pools, found.internal, found.plugin], [[pool.id], false, 'kuryr']);

    const third = await host('h3');
    assert.equal(await third.following.network(id, 'kuryr', bounds()), true);
    assert.deepEqual(third.state.networks.get(id)!.settings, settings);
    const unknown = 'neutron-ffffffffffffffff/10.0.0.0-16' as PoolId;
    assert.equal(await third.following.pool(unknown, 'kuryr', bounds()), undefined);
    assert.equal(await third.following.pool('x' as PoolId, 'kuryr', bounds()), undefined);
  });

  it('goes when any host removes it, and not when one has nothing to do with it any more', async () => {
    oneNetwork({ description: 'berth/h1/0123456789ab' });
    const [first, second, third] = [await host('h1'), await host('h2'), await host('h3')];
    await first.networks.open(request, [pool], bounds(), true);
    await first.networks.handOver(id);
    await second.following.pool(pool.id, 'kuryr', bounds());
    for (const one of [first, second]) {
      await one.networks.leave(id);
      await one.idle();
      assert.deepEqual([...one.notes.kept], []);
    }
    assert.ok(cloud.lines.every((line) => !line.startsWith('DELETE')));
    await third.networks.withdraw(id);
    await third.idle();
    assert.equal(cloud.lines.at(-1), 'DELETE /v2.0/networks/n1');
    assert.deepEqual([...third.notes.kept], []);
  });

  it('that was in Neutron before loses its tags and nothing else', async () => {
    const path = '/v2.0/networks/11111111-1111-1111-1111-111111111111';
    const tags = oneNetwork({}, ['production'], {
      [`GET ${path}`]: json({ network: { id: 'n1', name: 'n', mtu: 1450, tags: ['production'] } }),
      [`PUT ${path}/tags/berth%3Ah1%3A0123456789ab`]: (...given) => {
        tags.n1 = [...tags.n1, 'berth:h1:0123456789ab'];
        json(undefined, 201)(...given);
      },
    });
    const options = { 'neutron.net.uuid': '11111111-1111-1111-1111-111111111111' };
    const [first, second] = [await host('h1'), await host('h2')];
    await first.networks.open({ ...request, options }, [{ ...pool, options }], bounds(), true);
    await first.networks.handOver(id);
    assert.ok(tags.n1.length > 4 && tags.s1.length === 3, tags.n1.join(' '));
    await second.networks.withdraw(id);
    await second.idle();
    assert.deepEqual([tags.n1, tags.s1], [['production'], []]);
    assert.ok(cloud.lines.every((line) => !line.startsWith('DELETE')));
  });

  it('has its router and its floating IP on every host, and any host takes them away', async () => {
    const [router, outside, floating] = ['2', '3', '4'].map((digit) => `11111111-1111-1111-1111-11111111111${digit}`);
    const interfaces = {
      ports: [
        {
          id: 'i1',
          network_id: 'n1',
          device_id: router,
          device_owner: 'network:router_interface',
          description: 'berth/h1/0123456789ab',
        },
      ],
    };
    oneNetwork({ description: 'berth/h1/0123456789ab' }, [], {
      [`GET /v2.0/routers/${router}`]: json({ router: { id: router, name: 'edge' } }),
      [`GET /v2.0/networks/${outside}`]: json({ network: { id: outside, name: 'public', 'router:external': true } }),
      'POST /v2.0/ports': json({ ports: interfaces.ports }, 201),
      [`PUT /v2.0/routers/${router}/add_router_interface`]: json({ id: router, port_id: 'i1' }),
      'POST /v2.0/floatingips': json(
        { floatingip: { id: floating, floating_network_id: outside, floating_ip_address: '172.24.4.9' } },
        201,
      ),
      'GET /v2.0/ports': json(interfaces),
      [`PUT /v2.0/routers/${router}/remove_router_interface`]: json({ id: router, port_id: 'i1' }),
      [`DELETE /v2.0/floatingips/${floating}`]: json(undefined, 204),
    });
    const options = {
      'neutron.router': router!,
      'neutron.floating_network': outside!,
      'neutron.publish': 'floating-ip',
    };
    const [first, second, third] = [await host('h1'), await host('h2'), await host('h3')];
    const settings = await first.networks.open({ ...request, options }, [pool], bounds(), true);
    await first.networks.handOver(id);
    assert.deepEqual(settings.floatingIp, { id: floating, address: '172.24.4.9' });
    await second.following.pool(pool.id, 'kuryr', bounds());
    assert.deepEqual(second.state.networks.get(id)!.settings, settings);
    for (const one of [first, third]) {
      const before = cloud.lines.length;
      await one.networks.withdraw(id);
      await one.idle();
      assert.deepEqual(
        cloud.lines.slice(before).filter((line) => !line.startsWith('GET')),
        [
          `DELETE /v2.0/floatingips/${floating}`,
          `PUT /v2.0/routers/${router}/remove_router_interface`,
          'DELETE /v2.0/networks/n1',
        ],
      );
      assert.deepEqual([...one.notes.kept], []);
    }
  });

  it('that cannot be told of is not made', async () => {
    const first = await host('h1');
    cloud.answer({
      'POST /v2.0/networks': json({ network: { id: 'n1', name: 'n', mtu: 1450 } }, 201),
      'POST /v2.0/subnets': json(
        { subnets: [{ id: 's1', network_id: 'n1', cidr: '10.0.0.0/16', ip_version: 4 }] },
        201,
      ),
      'GET /v2.0/networks/n1': json({ network: { id: 'n1', name: 'n' } }),
      'DELETE /v2.0/networks/n1': json(undefined, 204),
    });
    await failureOf(first.networks.open({ ...request, options: {} }, [pool], bounds(), true));
    await first.idle();
    assert.equal(cloud.lines.at(-1), 'DELETE /v2.0/networks/n1');
  });
});
