/** What happens to ports when Neutron refuses, or its answer is lost. That the rest works is shown with a real Neutron. */

import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { formatAddress, parseAddress } from '../../model/address.ts';
import { BerthError } from '../../model/errors.ts';
import type { EndpointId, NetworkId, PoolId } from '../../model/ids.ts';
import { parseMac } from '../../model/mac.ts';
import { formatPrefix, parseInterfaceAddress } from '../../model/prefix.ts';
import { within } from '../../openstack/bounds.ts';
import { openSession } from '../../openstack/keystone/session.ts';
import { createNeutron } from '../../openstack/neutron/neutron.ts';
import { type Answer, failureOf, fakeCloud, hangUp, inTurn, json } from '../../openstack/testing/fake-cloud.ts';
import { createAddressChoice } from './address-choice.ts';
import { openBook } from './book.ts';
import { createPorts, type Place, type PortsParts } from './ports.ts';
import { quickDepartures } from './testing/departures.ts';
import { memoryNotes } from './testing/notes.ts';

const cloud = await fakeCloud();
const neutron = createNeutron(
  openSession({ authentication: { kind: 'none', endpoint: cloud.url }, repeats: 0, backOff: 1 }),
);
after(() => neutron.close());

const PORTS = '/v2.0/ports';
const pool = 'neutron-1/10.0.0.0-24' as PoolId;
const pool6 = 'neutron-2/fd00::-64' as PoolId;
const mac = parseMac('02:42:0a:00:00:05')!;
const v4 = { id: 's4', prefix: '10.0.0.0/24', pool, routes: [] };
const v6 = { id: 's6', prefix: 'fd00::/64', pool: pool6, routes: [] };
const place = (...subnets: Place['settings']['subnets']): Place => ({
  network: 'a'.repeat(64) as NetworkId,
  settings: { network: 'n1', mtu: 1450, interfacePrefix: 'eth', subnets },
});

interface Made {
  readonly port: {
    readonly device_id: string;
    readonly fixed_ips: readonly { subnet_id: string; ip_address?: string }[];
  };
}
/** As Neutron answers: with all that was asked for, and addresses where none were. */
const making =
  (more: object = {}): Answer =>
  (asked, response, nth) => {
    const { port } = asked.body as Made;
    const fixed_ips = port.fixed_ips.map(({ subnet_id, ip_address }) => ({
      subnet_id,
      ip_address: ip_address ?? (subnet_id === 's4' ? '10.0.0.7' : 'fd00::7'),
    }));
    const answer = { id: `p${nth}`, mac_address: mac, ...bridged, ...port, fixed_ips, ...more };
    json({ port: answer }, 201)(asked, response, nth);
  };
const bridged = { 'binding:vif_type': 'bridge', 'binding:vif_details': {} };
const refusing = (type: string, status = 409) => json({ NeutronError: { type, message: 'no', detail: '' } }, status);

async function hold(kept = new Map(), parts: Partial<PortsParts> = {}) {
  const notes = memoryNotes(kept);
  const book = await openBook(notes, (key) => assert.fail(key));
  const departures = quickDepartures();
  const ports = createPorts({
    book,
    neutron,
    departures,
    choice: createAddressChoice(neutron),
    host: 'h1',
    owner: 'compute:kuryr',
    settle: 1000,
    unfasten: () => Promise.resolve(),
    // Nothing takes so long that Neutron could no longer be at it, however slow the machine is.
    now: () => 0,
    ...parts,
  });
  const idle = async () => {
    while (departures.waiting().count > 0) await new Promise(setImmediate);
  };
  return { notes, book, departures, ports, idle };
}

const address = (text: string) => parseAddress(text)!;
const bounds = () => within(5000);
const codeOf = (error: unknown) => (error instanceof BerthError ? error.code : error);

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

describe('a port that is there already', () => {
  const free = {
    id: 'u1',
    name: 'mine',
    network_id: 'n1',
    mac_address: 'fa:16:3e:00:00:01',
    fixed_ips: [{ subnet_id: 's4', ip_address: '10.0.0.9' }],
    revision_number: 3,
  };
  const wanted = { mac, address: address('10.0.0.9') };

  for (const told of [true, false])
    it(`is taken over when nobody has it, and put back as it was, ${told ? 'and' : 'though not'} told where it is bound`, async () => {
      const shown = ({ 'binding:host_id': bound, ...rest }: Record<string, unknown>) =>
        told ? { ...rest, 'binding:host_id': bound } : rest;
      let now: Record<string, unknown> = free;
      // As Neutron does: a MAC address changes only while the port is not bound.
      const update: Answer = (asked, response, nth) => {
        assert.equal(asked.headers['if-match'], `revision_number=${String(now.revision_number)}`);
        const { port } = asked.body as { port: Record<string, unknown> };
        if (now['binding:host_id'] && port.mac_address !== undefined && port.mac_address !== now.mac_address)
          return refusing('PortBound')(asked, response, nth);
        const revision_number = (now.revision_number as number) + 1;
        now = { ...now, ...port, ...bridged, revision_number };
        json({ port: shown(now) })(asked, response, nth);
        // It unbinds a port when it has answered.
        if (port['binding:host_id'] === '') now = { ...now, revision_number: revision_number + 1 };
      };
      cloud.answer({
        [`POST ${PORTS}`]: refusing('IpAddressAlreadyAllocated'),
        [`GET ${PORTS}`]: json({ ports: [free] }),
        [`PUT ${PORTS}/u1`]: update,
        [`GET ${PORTS}/u1`]: (asked, response, nth) => json({ port: shown(now) })(asked, response, nth),
      });
      const { ports, notes, idle } = await hold();
      await ports.acquire(place(v4), pool, wanted, bounds());
      assert.deepEqual([now['binding:host_id'], now.device_owner, now.mac_address], ['h1', 'compute:kuryr', mac]);
      await ports.release(pool, wanted.address);
      await idle();
      assert.deepEqual(
        [now.device_id, now.device_owner, now['binding:host_id'], now.mac_address],
        ['', '', '', free.mac_address],
      );
      assert.deepEqual([...notes.kept], []);
    });

  it('keeps its addresses, whatever second address the user names', async () => {
    const fixed_ips = [...free.fixed_ips, { subnet_id: 's6', ip_address: 'fd00::9' }];
    cloud.answer({
      [`POST ${PORTS}`]: refusing('IpAddressAlreadyAllocated'),
      [`GET ${PORTS}`]: json({ ports: [{ ...free, fixed_ips }] }),
      [`PUT ${PORTS}/u1`]: json({ port: { ...free, fixed_ips, mac_address: mac, ...bridged } }),
    });
    const { ports } = await hold();
    const both = place(v4, v6);
    await ports.acquire(both, pool, wanted, bounds());
    const failure = await failureOf(ports.acquire(both, pool6, { mac, address: address('fd00::8') }, bounds()));
    assert.equal(codeOf(failure), 'ADDRESS_TAKEN');
    assert.equal(cloud.lines.filter((line) => line.startsWith('PUT')).length, 1);
    const own = { mac, address: address('fd00::9') };
    assert.equal(formatPrefix(await ports.acquire(both, pool6, own, bounds())), 'fd00::9/64');
  });

  it('of a machine is left alone, and named', async () => {
    const taken = { ...free, device_id: 'vm', device_owner: 'compute:nova', 'binding:host_id': 'h9' };
    cloud.answer({
      [`POST ${PORTS}`]: refusing('IpAddressAlreadyAllocated'),
      [`GET ${PORTS}`]: json({ ports: [taken] }),
    });
    const { ports, notes } = await hold();
    const error = await failureOf(ports.acquire(place(v4), pool, wanted, bounds()));
    assert.equal(codeOf(error), 'ADDRESS_TAKEN');
    assert.match((error as Error).message, /10\.0\.0\.9 is held by a port of compute:nova in Neutron: 'mine' \(u1\)/);
    assert.deepEqual([...notes.kept], []);
    assert.equal(cloud.lines.length, 2);
  });

  it('is not given to a second container of this host, whatever Neutron would say', async () => {
    cloud.answer({ [`POST ${PORTS}`]: making() });
    const { ports } = await hold();
    await ports.acquire(place(v4), pool, wanted, bounds());
    const other = { ...wanted, mac: parseMac('02:42:0a:00:00:06')! };
    assert.equal(codeOf(await failureOf(ports.acquire(place(v4), pool, other, bounds()))), 'ADDRESS_TAKEN');
    assert.equal(cloud.lines.length, 1);
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
    const { ports } = await hold();
    const ranged = place({ ...v4, choose });
    assert.equal(formatPrefix(await ports.acquire(ranged, pool, { mac }, bounds())), '10.0.0.6/24');
    const asked = cloud.asked.filter(({ line }) => line.startsWith('POST'));
    assert.deepEqual(
      asked.map(({ body }) => (body as Made).port.fixed_ips[0]!.ip_address),
      ['10.0.0.4', '10.0.0.6'],
    );
    const none = await failureOf(ports.acquire(ranged, pool, { mac: parseMac('02:42:0a:00:00:08')! }, bounds()));
    assert.equal(codeOf(none), 'POOL_EXHAUSTED');
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
