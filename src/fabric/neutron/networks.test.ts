/** What becomes of networks when Neutron refuses, or others use them. That the rest works is shown with a real Neutron. */

import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import type { NetworkId, PoolId } from '../../model/ids.ts';
import { parsePrefix } from '../../model/prefix.ts';
import { within } from '../../openstack/bounds.ts';
import { openSession } from '../../openstack/keystone/session.ts';
import { createNeutron } from '../../openstack/neutron/neutron.ts';
import { type Answer, failureOf, fakeCloud, hangUp, inTurn, json } from '../../openstack/testing/fake-cloud.ts';
import type { NetworkRequest } from '../fabric.ts';
import { openBook } from './book.ts';
import { createNetworks } from './networks.ts';
import type { PoolRecord } from './records.ts';
import { tagOf } from './tags.ts';
import { quickDepartures } from './testing/departures.ts';
import { memoryNotes } from './testing/notes.ts';

const cloud = await fakeCloud();
const neutron = createNeutron(
  openSession({ authentication: { kind: 'none', endpoint: cloud.url }, repeats: 0, backOff: 1 }),
);
after(() => neutron.close());

const id = 'a'.repeat(64) as NetworkId;
const key = `berth/h1/${'a'.repeat(12)}`;
const subnet = parsePrefix('10.0.0.0/24')!;
const pool: PoolRecord = { id: 'p' as PoolId, subnet, options: {}, auxiliary: [], createdAt: 0 };
const request = (options: Record<string, string> = {}): NetworkRequest => ({
  id,
  plugin: 'berth-neutron',
  subnets: [{ prefix: subnet, auxiliary: {} }],
  internal: false,
  options,
});
const bounds = () => within(5000);
const gone = json(undefined, 204);
const inUse = json({ NeutronError: { type: 'SubnetInUse', message: 'in use', detail: '' } }, 409);

async function hold() {
  const notes = memoryNotes();
  const book = await openBook(notes, assert.fail);
  await book.pools.put(pool);
  const departures = quickDepartures();
  const left: string[] = [];
  const networks = createNetworks({
    book,
    neutron,
    departures,
    host: 'h1',
    settle: 40,
    // Nothing takes so long that Neutron could no longer be at it, however slow the machine is.
    now: () => 0,
    defaults: { dhcp: true, interfacePrefix: 'eth' },
    left: (_network, sentence) => left.push(sentence),
  });
  const idle = async () => {
    while (departures.waiting().count > 0) await new Promise(setImmediate);
  };
  return { notes, book, departures, networks, left, idle };
}

const made = { id: 'n1', name: 'n', revision_number: 1, mtu: 1450 };
const madeSubnet = { id: 's1', network_id: 'n1', cidr: '10.0.0.0/24', ip_version: 4, description: key };

describe('a network that is made', () => {
  it('goes when its subnets are refused', async () => {
    cloud.answer({
      'POST /v2.0/networks': json({ network: made }, 201),
      'POST /v2.0/subnets': json({ NeutronError: { type: 'OverQuota', message: 'no', detail: '' } }, 409),
      'GET /v2.0/networks/n1': json({ network: made }),
      'DELETE /v2.0/networks/n1': gone,
    });
    const { networks, notes, idle } = await hold();
    await failureOf(networks.open(request(), [pool], bounds()));
    await idle();
    assert.equal(cloud.lines.at(-1), 'DELETE /v2.0/networks/n1');
    assert.deepEqual([...notes.kept.keys()], ['neutron/pool/p']);
  });

  it('that Neutron refuses is not looked for', async () => {
    cloud.answer({
      'POST /v2.0/networks': json({ NeutronError: { type: 'OverQuota', message: 'no', detail: '' } }, 409),
    });
    const { networks, notes, departures } = await hold();
    await failureOf(networks.open(request(), [pool], bounds()));
    assert.deepEqual([cloud.lines, departures.waiting().count], [['POST /v2.0/networks'], 0]);
    assert.deepEqual([...notes.kept.keys()], ['neutron/pool/p']);
  });

  it('whose answer is lost is looked for until Neutron cannot be at it any more', async () => {
    cloud.answer({
      'POST /v2.0/networks': hangUp,
      'GET /v2.0/networks': inTurn(json({ networks: [] }), json({ networks: [] }), json({ networks: [made] })),
      'DELETE /v2.0/networks/n1': gone,
    });
    const { networks, notes, idle } = await hold();
    await failureOf(networks.open(request(), [pool], bounds()));
    await idle();
    assert.equal(cloud.lines.at(-1), 'DELETE /v2.0/networks/n1');
    assert.deepEqual([...notes.kept.keys()], ['neutron/pool/p']);
  });

  it('is looked for from when Neutron is back, which may have had the request in a socket', async () => {
    const refusal = json({ NeutronError: { type: 'Busy', message: 'busy', detail: '' } }, 400);
    const begun = performance.now();
    let answered = 0;
    cloud.answer({
      'POST /v2.0/networks': hangUp,
      'GET /v2.0/networks': (asked, response, nth) => {
        // Longer than Neutron is given to settle.
        if (performance.now() - begun < 100) refusal(asked, response, nth);
        else json({ networks: answered++ === 0 ? [] : [made] })(asked, response, nth);
      },
      'DELETE /v2.0/networks/n1': gone,
    });
    const { networks, notes, idle } = await hold();
    await failureOf(networks.open(request(), [pool], bounds()));
    await idle();
    assert.equal(cloud.lines.at(-1), 'DELETE /v2.0/networks/n1');
    assert.deepEqual([...notes.kept.keys()], ['neutron/pool/p']);
  });

  it('goes also when the store will not be written in between', async () => {
    cloud.answer({
      'POST /v2.0/networks': json({ network: made }, 201),
      'POST /v2.0/subnets': json({ subnets: [madeSubnet] }, 201),
      'DELETE /v2.0/networks/n1': gone,
    });
    const { networks, notes, idle, book } = await hold();
    const put = notes.put.bind(notes);
    let full = false;
    notes.put = async (name, value) => {
      if (name.startsWith('neutron/pool/')) full = true;
      if (full) throw new Error('disk full');
      await put(name, value);
    };
    const failure = failureOf(networks.open(request(), [pool], bounds()));
    assert.match(String(await failure), /disk full/);
    notes.put = put;
    await idle();
    assert.equal(cloud.lines.at(-1), 'DELETE /v2.0/networks/n1');
    assert.deepEqual([...notes.kept.keys()], ['neutron/pool/p']);
    assert.equal(book.pools.get(pool.id)?.network, undefined);
  });
});

describe('a network that is made and that others use', () => {
  const refusals = { changed: 412, 'in use, which Neutron finds out before it looks at the revision': 409 };
  for (const [name, status] of Object.entries(refusals))
    it(`is left to the last of them: ${name}`, () => leftTo(status));

  async function leftTo(status: number): Promise<void> {
    let change: unknown;
    cloud.answer({
      'POST /v2.0/networks': json({ network: made }, 201),
      'POST /v2.0/subnets': json({ subnets: [madeSubnet] }, 201),
      'DELETE /v2.0/networks/n1': json({ NeutronError: { type: 'X', message: 'no', detail: '' } }, status),
      'GET /v2.0/networks/n1': json({ network: { ...made, tags: ['berth:h2:bbbbbbbbbbbb'] } }),
      'GET /v2.0/ports': json({ ports: [{ id: 'p', device_owner: 'compute:kuryr', description: 'berth/h2' }] }),
      'PUT /v2.0/networks/n1': (asked, response, nth) => {
        change = asked.body;
        json({ network: made })(asked, response, nth);
      },
    });
    const { networks, left, idle, notes } = await hold();
    await networks.open(request(), [pool], bounds());
    await networks.close(id);
    await idle();
    assert.deepEqual(change, { network: { description: 'berth/left-behind' } });
    assert.match(left.join(), /as long as others use it/);
    assert.deepEqual([...notes.kept], []);
  }
});

describe('a network that was there', () => {
  const tagged = (...tags: string[]) => json({ network: { ...made, tags } });
  const options = { 'neutron.net.uuid': '11111111-1111-1111-1111-111111111111' };
  const path = `/v2.0/networks/${options['neutron.net.uuid']}`;
  const there = { ...made, id: options['neutron.net.uuid'] };
  const opening = (more: Parameters<typeof cloud.answer>[0]) =>
    cloud.answer({
      [`GET ${path}`]: json({ network: there }),
      [`PUT ${path}/tags/${encodeURIComponent(tagOf(key))}`]: gone,
      [`DELETE ${path}/tags/${encodeURIComponent(tagOf(key))}`]: gone,
      'GET /v2.0/subnets': inTurn(json({ subnets: [] }), json({ subnets: [madeSubnet] })),
      'POST /v2.0/subnets': json({ subnets: [madeSubnet] }, 201),
      ...more,
    });

  it('is asked for and tagged at once, and not asked for subnets when it has none', async () => {
    const both = Promise.withResolvers<void>();
    const waiting = new Set<string>();
    /** Neither is answered before the other has been asked. */
    const together =
      (which: string, answer: Answer): Answer =>
      (asked, response, nth) => {
        waiting.add(which);
        if (waiting.size === 2) both.resolve();
        void both.promise.then(() => answer(asked, response, nth));
      };
    const tagPath = `PUT ${path}/tags/${encodeURIComponent(tagOf(key))}`;
    opening({
      [`GET ${path}`]: together('look', json({ network: { ...there, subnets: [] } })),
      [tagPath]: together('tag', gone),
    });
    const { networks } = await hold();
    const { subnets } = await networks.open(request(options), [pool], bounds());
    assert.deepEqual([subnets[0]!.id, cloud.lines.length, cloud.lines[2]], ['s1', 3, 'POST /v2.0/subnets']);
  });

  it('is used with the subnet that another host has made at the same moment', async () => {
    const overlaps = { type: 'InvalidInput', message: 'overlaps with another subnet', detail: '' };
    opening({
      'POST /v2.0/subnets': json({ NeutronError: overlaps }, 400),
      'GET /v2.0/subnets': inTurn(json({ subnets: [] }), json({ subnets: [{ ...madeSubnet, id: 'theirs' }] })),
    });
    const { networks, book } = await hold();
    const { subnets } = await networks.open(request(options), [pool], bounds());
    assert.equal(subnets[0]!.id, 'theirs');
    assert.deepEqual(book.networks.get(id)?.subnets, []);
  });

  it('is let be when its subnets are refused', async () => {
    cloud.answer({
      [`GET ${path}`]: json({ network: there }),
      [`PUT ${path}/tags/${encodeURIComponent(tagOf(key))}`]: gone,
      [`DELETE ${path}/tags/${encodeURIComponent(tagOf(key))}`]: gone,
      'GET /v2.0/subnets': json({ subnets: [] }),
    });
    const { networks, notes, idle } = await hold();
    assert.match(String(await failureOf(networks.open(request(options), [pool], bounds()))), /not made/);
    await idle();
    assert.ok(cloud.lines.includes(`DELETE ${path}/tags/${encodeURIComponent(tagOf(key))}`));
    assert.deepEqual([...notes.kept.keys()], ['neutron/pool/p']);
  });

  it('whose tag may still come is looked at again, whatever else was wrong', async () => {
    const refused = json({ NeutronError: { type: 'X', message: 'no', detail: '' } }, 403);
    const tagged = `${path}/tags/${encodeURIComponent(tagOf(key))}`;
    cloud.answer({
      [`GET ${path}`]: refused,
      [`PUT ${tagged}`]: hangUp,
      [`DELETE ${tagged}`]: gone,
      'GET /v2.0/subnets': json({ subnets: [] }),
    });
    const { networks, book } = await hold();
    await failureOf(networks.open(request(options), [pool], bounds()));
    assert.equal(book.networks.get(id)?.phase, 'leaving');
    assert.notEqual(book.networks.get(id)?.unanswered, undefined);
  });

  it('leaves no record when there is no such network', async () => {
    const none = json({ NeutronError: { type: 'NetworkNotFound', message: 'none', detail: '' } }, 404);
    cloud.answer({
      [`GET ${path}`]: none,
      [`PUT ${path}/tags/${encodeURIComponent(tagOf(key))}`]: none,
      [`DELETE ${path}/tags/${encodeURIComponent(tagOf(key))}`]: none,
      'GET /v2.0/subnets': json({ subnets: [] }),
    });
    const { networks, notes, idle } = await hold();
    const failure = await failureOf(networks.open(request(options), [pool], bounds()));
    assert.match(String(failure), /has no network 11111111/);
    await idle();
    assert.deepEqual([...notes.kept.keys()], ['neutron/pool/p']);
  });

  it('keeps the subnet that we made while another host is on it', async () => {
    opening({ [`GET ${path}`]: inTurn(json({ network: there }), tagged('berth:h2:bbbbbbbbbbbb')) });
    const { networks, left, idle, notes } = await hold();
    await networks.open(request(options), [pool], bounds());
    await networks.close(id);
    await idle();
    assert.deepEqual(
      cloud.lines.filter((line) => line.startsWith('DELETE')),
      [`DELETE ${path}/tags/${encodeURIComponent(tagOf(key))}`],
    );
    assert.match(left.join(), /its subnets stay/);
    assert.deepEqual([...notes.kept], []);
  });

  it('is ours until our last port is gone from it: whoever leaves last takes away the rest', async () => {
    opening({ [`GET ${path}`]: inTurn(json({ network: there }), tagged('berth:h2:bbbbbbbbbbbb')) });
    const { networks, book, idle } = await hold();
    await networks.open(request(options), [pool], bounds());
    await book.ports.put({
      key: 'k',
      phase: 'leaving',
      origin: 'created',
      network: id,
      port: 'p1',
      addresses: [],
      createdAt: 0,
    });
    const before = cloud.lines.length;
    await networks.close(id);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual(cloud.lines.slice(before), []);
    await book.ports.delete('k');
    await idle();
    assert.ok(cloud.lines.includes(`DELETE ${path}/tags/${encodeURIComponent(tagOf(key))}`));
  });

  it('loses it with our last port, whoever else has ports in other subnets of it', async () => {
    const vm = { device_owner: 'compute:nova', description: '' };
    let asked = '';
    opening({
      'DELETE /v2.0/subnets/s1': inTurn(inUse, gone),
      'GET /v2.0/ports': (question, response, nth) => {
        asked = question.line;
        // Ours, on its way out; the machine's is in another subnet.
        const ours = { device_owner: 'compute:kuryr', description: 'berth/h1' };
        json({ ports: question.line.includes('subnet_id') ? [ours] : [ours, vm] })(question, response, nth);
      },
    });
    const { networks, left, idle, notes } = await hold();
    await networks.open(request(options), [pool], bounds());
    await networks.close(id);
    await idle();
    assert.match(asked, /fixed_ips=subnet_id/);
    assert.equal(cloud.lines.filter((line) => line === 'DELETE /v2.0/subnets/s1').length, 2);
    assert.deepEqual([left, [...notes.kept]], [[], []]);
  });

  it('and that a host that is gone has made, goes with the last', async () => {
    const leftBehind = { ...there, description: 'berth/left-behind' };
    // Its router is our doing as well.
    const leads = { id: 'i1', device_id: 'r1', device_owner: 'network:router_interface', description: 'berth/h2/b' };
    opening({
      [`GET ${path}`]: json({ network: leftBehind }),
      'GET /v2.0/ports': json({ ports: [leads, { ...leads, id: 'i2', description: 'of a user' }] }),
      'PUT /v2.0/routers/r1/remove_router_interface': json({}),
      [`DELETE ${path}`]: gone,
    });
    const { networks, idle, notes } = await hold();
    await networks.open(request(options), [pool], bounds());
    await networks.close(id);
    await idle();
    assert.deepEqual(cloud.lines.slice(-2), ['PUT /v2.0/routers/r1/remove_router_interface', `DELETE ${path}`]);
    assert.deepEqual([...notes.kept], []);
  });

  it('loses with the last host what hosts that have left before have made', async () => {
    const other = { ...madeSubnet, id: 's2', description: 'berth/h2/bbbbbbbbbbbb' };
    opening({
      'GET /v2.0/subnets': inTurn(json({ subnets: [] }), json({ subnets: [madeSubnet, other] })),
      'DELETE /v2.0/subnets/s1': gone,
      'DELETE /v2.0/subnets/s2': gone,
    });
    const { networks, idle } = await hold();
    await networks.open(request(options), [pool], bounds());
    await networks.close(id);
    await idle();
    assert.deepEqual(
      cloud.lines.filter((line) => line.startsWith('DELETE /v2.0/subnets')),
      ['DELETE /v2.0/subnets/s1', 'DELETE /v2.0/subnets/s2'],
    );
  });
});
