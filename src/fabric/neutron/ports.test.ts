/** What happens to ports when Neutron refuses, or its answer is lost. That the rest works is shown with a real Neutron. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatAddress } from '../../model/address.ts';
import { BerthError } from '../../model/errors.ts';
import type { EndpointId, PoolId } from '../../model/ids.ts';
import { parseMac } from '../../model/mac.ts';
import { formatPrefix, parseInterfaceAddress } from '../../model/prefix.ts';
import { within } from '../../openstack/bounds.ts';
import { failureOf, hangUp, inTurn, json } from '../../openstack/testing/fake-cloud.ts';
import {
  address,
  bounds,
  bridged,
  cloud,
  codeOf,
  hold,
  type Made,
  mac,
  making,
  PORTS,
  place,
  pool,
  pool6,
  refusing,
  v4,
  v6,
} from './testing/ports.ts';

describe('a port', () => {
  it('is made in one call, with both addresses, and removed in one when both have been given back', async () => {
    cloud.answer({ [`POST ${PORTS}`]: making(), [`DELETE ${PORTS}/p0`]: json(undefined, 204) });
    const { ports, book, idle, notes } = await hold();
    const both = place(v4, v6);
    assert.equal(formatPrefix(await ports.acquire(both, pool, { mac }, bounds())), '10.0.0.7/24');
    assert.equal(formatPrefix(await ports.acquire(both, pool6, { mac }, bounds())), 'fd00::7/64');
    assert.deepEqual(cloud.lines, [`POST ${PORTS}`]);
    const { port } = cloud.asked[0]!.body as { port: Record<string, unknown> };
    const { key } = book.ports.all()[0]!;
    assert.deepEqual([port['binding:host_id'], port.device_id, port.mac_address], ['h1', key, mac]);

    const on = parseInterfaceAddress('10.0.0.7/24')!;
    const bound = await ports.bind(both, 'e'.repeat(64) as EndpointId, [on], mac, bounds());
    assert.deepEqual([bound.port, bound.binding.type], ['p0', 'bridge']);
    await ports.release(pool, address('10.0.0.7'));
    assert.equal(cloud.lines.length, 1, 'one of its addresses is still in use');
    await ports.release(pool6, address('fd00::7'));
    await idle();
    assert.deepEqual(cloud.lines, [`POST ${PORTS}`, `DELETE ${PORTS}/p0`]);
    assert.deepEqual([...notes.kept], []);
  });

  it('gets the second address that the user names, in place of the one that Neutron has chosen', async () => {
    cloud.answer({ [`POST ${PORTS}`]: making(), [`PUT ${PORTS}/p0`]: json({ port: { id: 'p0', network_id: 'n1' } }) });
    const { ports } = await hold();
    const both = place(v4, v6);
    await ports.acquire(both, pool, { mac, address: address('10.0.0.9') }, bounds());
    const second = { mac, address: address('fd00::99') };
    for (const _twice of [1, 2])
      assert.equal(formatPrefix(await ports.acquire(both, pool6, second, bounds())), 'fd00::99/64');
    assert.deepEqual(cloud.lines, [`POST ${PORTS}`, `PUT ${PORTS}/p0`]);
    const { fixed_ips } = (cloud.asked[1]!.body as Made).port;
    assert.deepEqual(
      fixed_ips.map(({ ip_address }) => ip_address),
      ['10.0.0.9', 'fd00::99'],
    );
    const bound = await ports.bind(
      both,
      'e'.repeat(64) as EndpointId,
      [parseInterfaceAddress('fd00::99/64')!],
      mac,
      bounds(),
    );
    assert.equal(bound.port, 'p0');
  });

  it('gets a second address of another subnet than the one that Neutron has chosen from', async () => {
    cloud.answer({ [`POST ${PORTS}`]: making(), [`PUT ${PORTS}/p0`]: json({ port: { id: 'p0', network_id: 'n1' } }) });
    const { ports } = await hold();
    const third = { id: 's7', prefix: 'fd07::/64', pool: 'neutron-3/fd07::-64' as PoolId, routes: [] };
    const all = place(v4, v6, third);
    await ports.acquire(all, pool, { mac }, bounds());
    const named = { mac, address: address('fd07::99') };
    assert.equal(formatPrefix(await ports.acquire(all, third.pool, named, bounds())), 'fd07::99/64');
    const { fixed_ips } = (cloud.asked[1]!.body as Made).port;
    assert.deepEqual(
      fixed_ips.map(({ subnet_id, ip_address }) => [subnet_id, ip_address]),
      [
        ['s4', '10.0.0.7'],
        ['s7', 'fd07::99'],
      ],
    );
  });

  it('has no address that a container still has whose port was removed in Neutron', async () => {
    const given = inTurn(making(), making(), (asked, response, nth) => {
      const { port } = asked.body as Made;
      const fixed_ips = [{ subnet_id: 's4', ip_address: '10.0.0.8' }];
      json({ port: { id: `p${nth}`, mac_address: mac, ...bridged, ...port, fixed_ips } })(asked, response, nth);
    });
    cloud.answer({ [`POST ${PORTS}`]: given, [`DELETE ${PORTS}/p1`]: json(undefined, 204) });
    const { ports, idle, book } = await hold();
    assert.equal(formatPrefix(await ports.acquire(place(v4), pool, { mac }, bounds())), '10.0.0.7/24');
    const second = { mac: parseMac('02:42:0a:00:00:06')! };
    assert.equal(formatPrefix(await ports.acquire(place(v4), pool, second, bounds())), '10.0.0.8/24');
    await idle();
    assert.equal(cloud.lines.at(-1), `DELETE ${PORTS}/p1`);
    assert.deepEqual(
      book.ports.all().map(({ port }) => port),
      ['p0', 'p2'],
    );
  });

  it('that is given up while Neutron changes it stays given up', async () => {
    const { promise: changing, resolve: begun } = Promise.withResolvers<() => void>();
    cloud.answer({
      [`POST ${PORTS}`]: making(),
      [`PUT ${PORTS}/p0`]: (asked, response, nth) =>
        begun(() => json({ port: { id: 'p0', network_id: 'n1' } })(asked, response, nth)),
      [`DELETE ${PORTS}/p0`]: json(undefined, 204),
    });
    const { ports, book, idle } = await hold();
    const both = place(v4, v6);
    await ports.acquire(both, pool, { mac }, bounds());
    const failure = failureOf(ports.acquire(both, pool6, { mac, address: address('fd00::99') }, bounds()));
    const answer = await changing;
    await ports.abandon(book.ports.all()[0]!.key);
    answer();
    assert.equal(codeOf(await failure), 'OPENSTACK_TIMEOUT');
    await idle();
    assert.deepEqual(book.ports.all(), []);
  });

  it('of one endpoint is not bound to another', async () => {
    cloud.answer({ [`POST ${PORTS}`]: making() });
    const { ports, departures } = await hold();
    const on = await ports.acquire(place(v4), pool, { mac }, bounds());
    const [mine, other] = ['e', 'f'].map((digit) => digit.repeat(64) as EndpointId) as [EndpointId, EndpointId];
    for (const _twice of [1, 2]) await ports.bind(place(v4), mine, [on], mac, bounds());
    assert.equal(codeOf(await failureOf(ports.bind(place(v4), other, [on], mac, bounds()))), 'ADDRESS_OUTSIDE');
    await ports.endpointGone(other);
    assert.equal(departures.waiting().count, 0);
  });

  it('that an earlier attempt has left is removed before its address is asked for again', async () => {
    let left: object[] = [];
    let looks = 0;
    cloud.answer({
      [`POST ${PORTS}`]: (asked, response, nth) => {
        if (nth > 0) return (left.length > 0 ? refusing('IpAddressAlreadyAllocated') : making())(asked, response, nth);
        const { device_id } = (asked.body as Made).port;
        left = [{ id: 'p9', network_id: 'n1', device_id, device_owner: 'compute:kuryr' }];
        hangUp(asked, response, nth);
      },
      // Who looks for it before the address is asked for again comes too early.
      [`GET ${PORTS}`]: (asked, response, nth) => {
        const isEarly = cloud.lines.filter((line) => line.startsWith('POST')).length < 2;
        looks++;
        json({ ports: isEarly ? [] : left })(asked, response, nth);
      },
      [`DELETE ${PORTS}/p9`]: (asked, response, nth) => {
        left = [];
        json(undefined, 204)(asked, response, nth);
      },
    });
    const { ports, idle } = await hold();
    const wanted = { mac, address: address('10.0.0.9') };
    await failureOf(ports.acquire(place(v4), pool, wanted, bounds()));
    while (looks === 0) await new Promise(setImmediate);
    assert.equal(formatAddress((await ports.acquire(place(v4), pool, wanted, bounds())).address), '10.0.0.9');
    await idle();
    assert.equal(cloud.lines.filter((line) => line.startsWith('DELETE')).length, 1);
  });

  it('that Neutron refuses leaves nothing behind', async () => {
    cloud.answer({ [`POST ${PORTS}`]: refusing('OverQuota') });
    const { ports, notes, departures } = await hold();
    assert.equal(codeOf(await failureOf(ports.acquire(place(v4), pool, { mac }, bounds()))), 'NEUTRON_QUOTA');
    assert.deepEqual([[...notes.kept], departures.waiting().count, cloud.lines.length], [[], 0, 1]);
  });

  it('whose answer is lost is looked for by its key, and removed', async () => {
    let key = '';
    cloud.answer({
      [`POST ${PORTS}`]: (asked, response, nth) => {
        key = (asked.body as Made).port.device_id;
        hangUp(asked, response, nth);
      },
      [`GET ${PORTS}`]: inTurn(refusing('Boom', 500), json({ ports: [{ id: 'p9' }] })),
      [`DELETE ${PORTS}/p9`]: json(undefined, 204),
    });
    const { ports, notes, idle } = await hold();
    assert.equal(codeOf(await failureOf(ports.acquire(place(v4), pool, { mac }, bounds()))), 'OPENSTACK_UNREACHABLE');
    await idle();
    const search = `GET ${PORTS}?device_id=${key}&fields=id`;
    assert.deepEqual(cloud.lines, [`POST ${PORTS}`, search, search, `DELETE ${PORTS}/p9`]);
    assert.deepEqual([...notes.kept], []);
  });

  it('whose making Neutron is still at when it is looked for, is looked for again', async () => {
    cloud.answer({
      [`POST ${PORTS}`]: hangUp,
      [`GET ${PORTS}`]: inTurn(json({ ports: [] }), json({ ports: [] }), json({ ports: [{ id: 'p9' }] })),
      [`DELETE ${PORTS}/p9`]: json(undefined, 204),
    });
    const { ports, notes, idle } = await hold();
    await failureOf(ports.acquire(place(v4), pool, { mac }, bounds()));
    await idle();
    assert.equal(cloud.lines.at(-1), `DELETE ${PORTS}/p9`);
    assert.deepEqual([...notes.kept], []);
  });

  it('that the store will not remember is not left in Neutron', async () => {
    cloud.answer({
      [`POST ${PORTS}`]: making(),
      [`GET ${PORTS}`]: json({ ports: [{ id: 'p0' }] }),
      [`DELETE ${PORTS}/p0`]: json(undefined, 204),
    });
    const { ports, notes, idle, book } = await hold();
    const put = notes.put.bind(notes);
    let puts = 0;
    // The disk is full from the moment at which Neutron has made it, for three writes.
    notes.put = (name, value) => (puts++ >= 1 && puts <= 4 ? Promise.reject(new Error('disk full')) : put(name, value));
    assert.match(String(await failureOf(ports.acquire(place(v4), pool, { mac }, bounds()))), /disk full/);
    await idle();
    assert.equal(cloud.lines.at(-1), `DELETE ${PORTS}/p0`);
    assert.deepEqual([[...notes.kept], book.ports.all()], [[], []]);
  });

  it('that was being made when the agent died goes at its next start; one that was held stays', async () => {
    cloud.answer({ [`POST ${PORTS}`]: making() });
    const first = await hold();
    await first.ports.acquire(place(v4), pool, { mac }, bounds());
    const [held] = first.book.ports.all();
    const { port: _unknown, ...half } = held!;
    await first.book.ports.put({ ...half, key: 'half', phase: 'making', addresses: [] });
    first.departures.close();

    cloud.answer({ [`GET ${PORTS}`]: json({ ports: [] }) });
    const second = await hold(new Map(first.notes.kept), { settle: 20, now: Date.now });
    await second.ports.recover();
    await second.idle();
    assert.equal(cloud.lines.at(-1), `GET ${PORTS}?device_id=half&fields=id`);
    assert.deepEqual(
      second.book.ports.all().map(({ key, phase }) => [key, phase]),
      [[held!.key, 'held']],
    );
  });

  it('whose address is asked for again at once is waited for until it is gone', async () => {
    const gate = Promise.withResolvers<void>();
    cloud.answer({
      [`POST ${PORTS}`]: making(),
      [`DELETE ${PORTS}/p0`]: (asked, response, nth) =>
        void gate.promise.then(() => json(undefined, 204)(asked, response, nth)),
    });
    const { ports, departures } = await hold();
    const wanted = { mac, address: address('10.0.0.9') };
    await ports.acquire(place(v4), pool, wanted, bounds());
    await ports.release(pool, wanted.address);
    assert.equal(codeOf(await failureOf(ports.acquire(place(v4), pool, wanted, within(20)))), 'OPENSTACK_TIMEOUT');
    const again = ports.acquire(place(v4), pool, wanted, bounds());
    gate.resolve();
    assert.equal(formatAddress((await again).address), '10.0.0.9');
    departures.close();
  });
});

describe('a range that Neutron does not know', () => {
  const choose = { first: '10.0.0.4', last: '10.0.0.6', except: ['10.0.0.5'] };

  it('is gone through by us; what somebody else takes meanwhile is passed over', async () => {
    const there = (...texts: string[]) =>
      json({ ports: texts.map((ip_address) => ({ fixed_ips: [{ subnet_id: 's4', ip_address }] })) });
    cloud.answer({
      [`GET ${PORTS}`]: inTurn(there('10.0.0.200'), there('10.0.0.4', '10.0.0.200'), there('10.0.0.4', '10.0.0.6')),
      [`POST ${PORTS}`]: inTurn(refusing('IpAddressAlreadyAllocated'), making()),
    });
    const { ports, book } = await hold();
    const ranged = place({ ...v4, choose });
    assert.equal(formatPrefix(await ports.acquire(ranged, pool, { mac }, bounds())), '10.0.0.6/24');
    const asked = cloud.asked.filter(({ line }) => line.startsWith('POST'));
    assert.deepEqual(
      asked.map(({ body }) => (body as Made).port.fixed_ips[0]!.ip_address),
      ['10.0.0.4', '10.0.0.6'],
    );
    const none = await failureOf(ports.acquire(ranged, pool, { mac: parseMac('02:42:0a:00:00:08')! }, bounds()));
    assert.equal(codeOf(none), 'POOL_EXHAUSTED');
    assert.equal(book.ports.all().length, 1);
  });
});

describe('a port in a virtual machine', () => {
  it('is bound to no host, and Neutron need not tell how it is bound', async () => {
    cloud.answer({ [`POST ${PORTS}`]: making({ 'binding:vif_type': undefined }) });
    const { ports, book } = await hold(new Map(), { nested: true });
    await ports.acquire(place(v4), pool, { mac }, bounds());
    const { port } = cloud.asked.find(({ line }) => line === `POST ${PORTS}`)!.body as { port: object };
    assert.ok(!('binding:host_id' in port));
    assert.equal(book.ports.all()[0]!.binding?.type, 'unbound');
  });

  it('goes after what was done for it elsewhere has been undone, which is tried until it succeeds', async () => {
    cloud.answer({ [`POST ${PORTS}`]: making(), [`DELETE ${PORTS}/p0`]: json(undefined, 204) });
    const undone: (string | undefined)[] = [];
    const { ports, book, idle, notes } = await hold(new Map(), {
      nested: true,
      unfasten({ port }, fastened) {
        undone.push(`${fastened.by} of ${port}`);
        assert.ok(!cloud.lines.some((line) => line.startsWith('DELETE')));
        return undone.length < 3 ? Promise.reject(new BerthError('OPENSTACK_BUSY', 'later')) : Promise.resolve();
      },
    });
    await ports.acquire(place(v4), pool, { mac }, bounds());
    const { key } = book.ports.all()[0]!;
    await ports.fasten(key, { by: 'trunk', trunk: 't1' });
    assert.match(JSON.stringify([...notes.kept.values()]), /"trunk":"t1"/);
    await ports.release(pool, address('10.0.0.7'));
    await idle();
    assert.deepEqual(
      undone,
      Array.from({ length: 3 }, () => 'trunk of p0'),
    );
    assert.deepEqual([cloud.lines.at(-1), notes.kept.size], [`DELETE ${PORTS}/p0`, 0]);
  });
});
