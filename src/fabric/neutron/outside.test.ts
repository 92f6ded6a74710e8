/** What is made for one container, and what becomes of it at every call that can go wrong. */

import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import type { PublishedPort } from '../../docker/driver.ts';
import { parseAddress } from '../../model/address.ts';
import { BerthError } from '../../model/errors.ts';
import type { EndpointId, NetworkId, PoolId } from '../../model/ids.ts';
import type { Json } from '../../model/network.ts';
import { parseInterfaceAddress } from '../../model/prefix.ts';
import { within } from '../../openstack/bounds.ts';
import { openSession } from '../../openstack/keystone/session.ts';
import { createNeutron } from '../../openstack/neutron/neutron.ts';
import { failureOf, fakeCloud } from '../../openstack/testing/fake-cloud.ts';
import { createAddressChoice } from './address-choice.ts';
import { openBook } from './book.ts';
import { createDepartures } from './departures.ts';
import { createGroups } from './exposed.ts';
import { createOutside, type OutsideWishes } from './outside.ts';
import { createPorts, type Place } from './ports.ts';
import type { PortRecord } from './records.ts';
import { type FakeNeutron, fakeNeutron, type Misfortune } from './testing/fake-neutron.ts';
import { memoryNotes } from './testing/notes.ts';

const cloud = await fakeCloud();
const client = createNeutron(
  openSession({ authentication: { kind: 'none', endpoint: cloud.url }, repeats: 0, backOff: 1 }),
);
after(() => client.close());

const network = 'a'.repeat(64) as NetworkId;
const pool = 'neutron-1/10.0.0.0-24' as PoolId;
const eid = (letter: string) => letter.repeat(64) as EndpointId;
const place = (more: Partial<Place['settings']> = {}): Place => ({
  network,
  settings: {
    network: 'n1',
    mtu: 1450,
    interfacePrefix: 'eth',
    subnets: [{ id: 's4', prefix: '10.0.0.0/24', pool, routes: [] }],
    ...more,
  },
});
const web: PublishedPort = { protocol: 6, port: 80, outside: { first: 8080, last: 8080 } };
const shared = { id: 'floatingips-0', address: '172.24.4.2' };

/** A clock that goes on when somebody looks at it: nothing here depends on how busy the machine is. */
let clock = 0;
const now = () => ++clock;
const SETTLE = 5;

async function hold(kept = new Map<string, Json>()) {
  const notes = memoryNotes(kept);
  const book = await openBook(notes, (key) => assert.fail(key));
  const departures = createDepartures(() => {}, { attempt: 5000, firstWait: 1, longestWait: 4 });
  const ports = createPorts({
    book,
    neutron: client,
    departures,
    choice: createAddressChoice(client),
    host: 'h1',
    owner: 'compute:kuryr',
    settle: SETTLE,
    now,
    unfasten: () => assert.fail(),
    isPlugged: () => assert.fail(),
  });
  const groups = createGroups({ book, neutron: client, departures, settle: SETTLE, now });
  const outside = createOutside({
    book,
    neutron: client,
    ports,
    groups,
    departures,
    host: 'h1',
    opensExposed: true,
    settle: SETTLE,
    now,
  });
  const idle = async () => {
    while (departures.waiting().count > 0) await new Promise(setImmediate);
  };
  return { notes, book, departures, outside, groups, idle };
}
type Held = Awaited<ReturnType<typeof hold>>;

/** A container's port, as `ports.ts` holds it. */
async function portOf({ book }: Held, neutron: FakeNeutron, endpoint: EndpointId): Promise<PortRecord> {
  const id = `port-${endpoint[0]}`;
  neutron.put('ports', { id, network_id: 'n1', security_groups: ['default'], revision_number: 1 });
  const record: PortRecord = {
    key: `key-${endpoint[0]}`,
    phase: 'held',
    origin: 'created',
    network,
    port: id,
    endpoint,
    groups: ['default'],
    project: 'mine',
    addresses: [{ pool, on: parseInterfaceAddress('10.0.0.7/24')!, taken: true }],
    createdAt: 1,
  };
  await book.ports.put(record);
  return record;
}

const wishes = (more: Partial<OutsideWishes> = {}): OutsideWishes => ({
  endpoint: eid('e'),
  place: place(),
  internal: false,
  options: {},
  published: [],
  exposed: [],
  ...more,
});
const bounds = () => within(5000);
const codeOf = (error: unknown) => (error instanceof BerthError ? error.code : error);
const all = (neutron: FakeNeutron, collection: string) => neutron.things.get(collection) ?? [];

describe('a container', () => {
  it('that wants nothing costs no call and no record', async () => {
    const neutron = fakeNeutron(cloud);
    const held = await hold();
    assert.equal(await held.outside.open(wishes({ published: [web] }), bounds()), undefined);
    const silent = wishes({ exposed: [{ protocol: 6, port: 80 }] });
    assert.equal(await held.outside.open({ ...silent, internal: true }, bounds()), undefined);
    assert.equal(await held.outside.open({ ...silent, ownGroups: false }, bounds()), undefined);
    assert.equal(await held.outside.open({ ...silent, options: { portSecurity: false } }, bounds()), undefined);
    await held.outside.close(eid('e'));
    assert.deepEqual([neutron.calls, [...held.notes.kept]], [[], []]);
  });

  it('has a floating IP of its own with one call, and another takes it away', async () => {
    const neutron = fakeNeutron(cloud);
    const held = await hold();
    await portOf(held, neutron, eid('e'));
    const wanted = wishes({ place: place({ floatingNetwork: 'ext' }) });
    const view = await held.outside.open(wanted, bounds());
    const [made] = all(neutron, 'floatingips');
    assert.deepEqual(view, { floatingIp: made!.floating_ip_address });
    assert.deepEqual(
      [made!.port_id, made!.fixed_ip_address, made!.floating_network_id, made!.description],
      ['port-e', '10.0.0.7', 'ext', 'berth/h1/eeeeeeeeeeee'],
    );
    assert.deepEqual(await held.outside.open(wanted, bounds()), view, 'repeated');
    await held.outside.close(eid('e'));
    await held.idle();
    assert.deepEqual(neutron.calls, ['POST /v2.0/floatingips', `DELETE /v2.0/floatingips/${made!.id}`]);
    assert.deepEqual([...held.notes.kept.keys()], ['neutron/port/key-e']);
  });

  it('may refuse the floating IP of its network', async () => {
    const neutron = fakeNeutron(cloud);
    const held = await hold();
    const wanted = wishes({ place: place({ floatingNetwork: 'ext' }), options: { floatingNetwork: 'none' } });
    assert.equal(await held.outside.open(wanted, bounds()), undefined);
    assert.deepEqual(neutron.calls, []);
  });
});

describe('a floating IP that is there already', () => {
  const mine = { id: 'f1', floating_ip_address: '172.24.4.9', floating_network_id: 'ext', revision_number: 5 };
  const wanted = wishes({ options: { floatingIp: { address: '172.24.4.9' } } });

  it('is lent, given back, and lent to the next at once', async () => {
    const neutron = fakeNeutron(cloud);
    neutron.put('floatingips', mine);
    const held = await hold();
    await portOf(held, neutron, eid('e'));
    await portOf(held, neutron, eid('f'));
    assert.deepEqual(await held.outside.open(wanted, bounds()), { floatingIp: '172.24.4.9' });
    assert.equal(all(neutron, 'floatingips')[0]!.port_id, 'port-e');
    await held.outside.close(eid('e'));
    await held.outside.open({ ...wanted, endpoint: eid('f'), options: { floatingIp: { uuid: 'f1' } } }, bounds());
    assert.equal(all(neutron, 'floatingips')[0]!.port_id, 'port-f');
    await held.outside.close(eid('f'));
    await held.idle();
    assert.equal(all(neutron, 'floatingips')[0]!.port_id, null);
  });

  it('is never taken from somebody who has it, and left to who has it by the end', async () => {
    const neutron = fakeNeutron(cloud);
    neutron.put('floatingips', { ...mine, port_id: 'vm' });
    const held = await hold();
    await portOf(held, neutron, eid('e'));
    const error = await failureOf(held.outside.open(wanted, bounds()));
    assert.equal(codeOf(error), 'NEUTRON_CONFLICT');
    assert.match((error as Error).message, /172\.24\.4\.9 \(f1\) is associated with the port vm/);
    await held.idle();
    neutron.remove('floatingips', 'f1');
    neutron.put('floatingips', mine);
    await held.outside.open(wanted, bounds());
    neutron.remove('floatingips', 'f1');
    neutron.put('floatingips', { ...mine, port_id: 'vm' });
    await held.outside.close(eid('e'));
    await held.idle();
    assert.equal(all(neutron, 'floatingips')[0]!.port_id, 'vm');
  });

  it('must be there', async () => {
    const neutron = fakeNeutron(cloud);
    const held = await hold();
    await portOf(held, neutron, eid('e'));
    assert.equal(codeOf(await failureOf(held.outside.open(wanted, bounds()))), 'NEUTRON_NOT_FOUND');
  });
});

describe('ports that are exposed', () => {
  const exposed = [
    { protocol: 17, port: 53 },
    { protocol: 6, port: 81 },
    { protocol: 6, port: 80 },
  ];

  it('are one group for all containers with the same ones, until nobody needs it', async () => {
    const neutron = fakeNeutron(cloud);
    const held = await hold();
    await portOf(held, neutron, eid('e'));
    const second = await portOf(held, neutron, eid('f'));
    await held.outside.open(wishes({ exposed }), bounds());
    const first = neutron.calls.length;
    await held.outside.open(wishes({ endpoint: eid('f'), exposed: exposed.toReversed() }), bounds());
    assert.deepEqual(neutron.calls.slice(first), ['PUT /v2.0/ports/port-f'], 'the second only needs its port changed');
    const [group, ...others] = all(neutron, 'security-groups');
    assert.deepEqual(others, []);
    assert.equal(group!.description, 'Ports that containers open: 80-81/tcp 53/udp');
    for (const port of all(neutron, 'ports')) assert.deepEqual(port.security_groups, ['default', group!.id]);
    const rules = all(neutron, 'security-group-rules').map((rule) =>
      [rule.ethertype, rule.protocol, rule.port_range_min, rule.port_range_max].join(' '),
    );
    assert.deepEqual(rules, ['IPv4 tcp 80 81', 'IPv6 tcp 80 81', 'IPv4 udp 53 53', 'IPv6 udp 53 53']);

    await held.outside.close(eid('e'));
    await held.book.ports.delete('key-e');
    await held.idle();
    assert.deepEqual(held.groups.unused(), []);
    await held.outside.close(eid('f'));
    await held.idle();
    assert.deepEqual(held.groups.unused(), [], 'the port still has it');
    await held.book.ports.delete(second.key);
    neutron.remove('ports', 'port-e');
    neutron.remove('ports', 'port-f');
    const [key] = held.groups.unused();
    await held.groups.remove(key!);
    await held.idle();
    assert.deepEqual([all(neutron, 'security-groups'), [...held.notes.kept]], [[], []]);
  });

  it('stay open for the ports of other hosts', async () => {
    const neutron = fakeNeutron(cloud);
    const held = await hold();
    await portOf(held, neutron, eid('e'));
    await held.outside.open(wishes({ exposed }), bounds());
    const [group] = all(neutron, 'security-groups');
    await held.outside.close(eid('e'));
    await held.book.ports.delete('key-e');
    neutron.put('ports', { id: 'elsewhere', security_groups: [group!.id] });
    await held.groups.remove(held.groups.unused()[0]!);
    await held.idle();
    assert.equal(all(neutron, 'security-groups').length, 1);
    assert.deepEqual([...held.notes.kept], []);
  });

  it('are opened in the group that another host has made, whose missing rules are added', async () => {
    const neutron = fakeNeutron(cloud);
    const held = await hold();
    await portOf(held, neutron, eid('e'));
    const half = { direction: 'ingress', ethertype: 'IPv4', protocol: 'udp', port_range_min: 53, port_range_max: 53 };
    const name = held.groups.keyOf(exposed, undefined);
    const there = {
      id: 'theirs',
      name,
      project_id: 'mine',
      security_group_rules: [{ id: 'r', ...half, security_group_id: 'theirs' }],
    };
    neutron.put('security-groups', there);
    await held.outside.open(wishes({ exposed }), bounds());
    assert.deepEqual(all(neutron, 'ports')[0]!.security_groups, ['default', 'theirs']);
    assert.equal(all(neutron, 'security-group-rules').length, 3);
  });
});

describe('published ports', () => {
  const there = place({ publish: 'floating-ip', floatingNetwork: 'ext', floatingIp: shared });

  it('are port forwardings of the floating IP of the network, and open', async () => {
    const neutron = fakeNeutron(cloud);
    const held = await hold();
    await portOf(held, neutron, eid('e'));
    await portOf(held, neutron, eid('f'));
    const view = await held.outside.open(wishes({ place: there, published: [web] }), bounds());
    assert.deepEqual(view, { published: ['80/tcp -> 172.24.4.2:8080'] });
    const [made] = all(neutron, 'port_forwardings');
    assert.deepEqual(
      [made!.protocol, made!.internal_port, made!.external_port, made!.internal_port_id, made!.internal_ip_address],
      ['tcp', 80, 8080, 'port-e', '10.0.0.7'],
    );
    assert.equal((all(neutron, 'ports')[0]!.security_groups as string[]).length, 2);
    const taken = wishes({ endpoint: eid('f'), place: there, published: [web] });
    assert.equal(codeOf(await failureOf(held.outside.open(taken, bounds()))), 'NEUTRON_CONFLICT');
    await held.idle();

    await held.outside.close(eid('e'));
    await held.outside.open(taken, bounds());
    assert.deepEqual(
      all(neutron, 'port_forwardings').map((one) => one.internal_port_id),
      ['port-f'],
    );
  });

  it('need an address of the network, not of the host', async () => {
    const neutron = fakeNeutron(cloud);
    const held = await hold();
    const local = { ...web, at: parseAddress('127.0.0.1')! };
    for (const publish of ['floating-ip', 'security-group'] as const) {
      const wanted = wishes({ place: place({ ...there.settings, publish }), published: [local] });
      assert.equal(codeOf(await failureOf(held.outside.open(wanted, bounds()))), 'BAD_OPTION');
    }
    assert.deepEqual(neutron.calls, []);
  });
});

describe('at every call that goes wrong', () => {
  const lent = { id: 'f1', floating_ip_address: '172.24.4.9', floating_network_id: 'ext', revision_number: 5 };
  const kinds: Readonly<Record<string, OutsideWishes>> = {
    'a floating IP and open ports': wishes({
      place: place({ floatingNetwork: 'ext' }),
      exposed: [{ protocol: 132, port: 7 }],
    }),
    'a floating IP that is lent': wishes({ options: { floatingIp: { uuid: 'f1' } } }),
    'port forwardings': wishes({
      place: place({ publish: 'floating-ip', floatingNetwork: 'ext', floatingIp: shared }),
      published: [web],
    }),
  };

  async function begin(): Promise<{ neutron: FakeNeutron; held: Held }> {
    const neutron = fakeNeutron(cloud);
    neutron.put('floatingips', lent);
    const held = await hold();
    await portOf(held, neutron, eid('e'));
    return { neutron, held };
  }

  /** The port goes with its container, and the groups after their grace. */
  async function ended(neutron: FakeNeutron, held: Held): Promise<void> {
    await held.outside.close(eid('e'));
    await held.idle();
    await held.book.ports.delete('key-e');
    neutron.remove('ports', 'port-e');
    for (const key of held.groups.unused()) await held.groups.remove(key);
    await held.idle();
  }

  function assertNothingLeft(neutron: FakeNeutron, held: Held): void {
    const left = ['security-groups', 'port_forwardings'].flatMap((collection) => all(neutron, collection));
    assert.deepEqual(left, []);
    assert.deepEqual(
      all(neutron, 'floatingips').map(({ id, port_id }) => [id, port_id ?? undefined]),
      [['f1', undefined]],
    );
    assert.deepEqual([...held.notes.kept.keys()], []);
  }

  for (const [what, wanted] of Object.entries(kinds)) {
    it(`${what}: nothing is left, and the next start succeeds`, async () => {
      const quiet = await begin();
      await quiet.held.outside.open(wanted, bounds());
      const count = quiet.neutron.calls.length;
      assert.ok(count > 0);
      for (let call = 1; call <= count; call++) {
        for (const misfortune of ['lost', 'unanswered', 'late', 'refused'] satisfies Misfortune[]) {
          const { neutron, held } = await begin();
          neutron.strike(call, misfortune);
          const error = await failureOf(held.outside.open(wanted, bounds()));
          assert.ok(error instanceof BerthError, String(error));
          neutron.strike(0, misfortune);
          await held.outside.open(wanted, bounds());
          await ended(neutron, held);
          assertNothingLeft(neutron, held);
        }
      }
    });

    it(`${what}: an agent that dies in it undoes it when it starts again`, async () => {
      const quiet = await begin();
      await quiet.held.outside.open(wanted, bounds());
      const count = quiet.neutron.calls.length;
      for (let call = 1; call <= count; call++) {
        for (const misfortune of ['silence', 'silence after'] satisfies Misfortune[]) {
          const { neutron, held } = await begin();
          neutron.strike(call, misfortune);
          const dying = new AbortController();
          const opening = failureOf(held.outside.open(wanted, within(60_000, dying.signal)));
          await neutron.struck();
          const written = new Map(held.notes.kept);
          neutron.strike(0, misfortune);
          const next = await hold(written);
          await next.outside.recover();
          await next.groups.recover();
          await ended(neutron, next);
          assertNothingLeft(neutron, next);
          held.departures.close();
          dying.abort();
          await opening;
        }
      }
    });
  }

  it('a stop whose every call is lost once is done all the same', async () => {
    for (const [what, wanted] of Object.entries(kinds)) {
      for (let call = 1; call <= 3; call++) {
        for (const misfortune of ['lost', 'unanswered'] satisfies Misfortune[]) {
          const { neutron, held } = await begin();
          await held.outside.open(wanted, bounds());
          neutron.strike(call, misfortune);
          await ended(neutron, held);
          assert.ok(neutron.calls.length > 0, what);
          assertNothingLeft(neutron, held);
        }
      }
    }
  });
});

it('is not written down again when its end is told twice', async () => {
  const held = await hold();
  const { outside, book, notes, idle } = held;
  await book.outside.put({ endpoint: eid('e'), phase: 'held', network, port: 'port-e' });
  const remove = notes.delete.bind(notes);
  const deleting = Promise.withResolvers<void>();
  const deleted = Promise.withResolvers<void>();
  notes.delete = async (name) => {
    await remove(name);
    deleting.resolve();
    await deleted.promise;
  };
  await outside.close(eid('e'));
  await deleting.promise;
  await outside.close(eid('e'));
  deleted.resolve();
  await idle();
  assert.deepEqual([[...notes.kept], book.outside.all()], [[], []]);
});
