/** Ports that are made ahead: what happens when Neutron refuses, is slow, or has lost them. That it works is shown with a real Neutron. */

import assert from 'node:assert/strict';
import { after, afterEach, describe, it } from 'node:test';
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
import { createDepartures } from './departures.ts';
import { readWishes } from './options.ts';
import { createPorts, type Place, type Ports, type PortsParts } from './ports.ts';
import { memoryNotes } from './testing/notes.ts';
import { checkWarmPorts } from './warm.ts';

const cloud = await fakeCloud();
const neutron = createNeutron(
  openSession({ authentication: { kind: 'none', endpoint: cloud.url }, repeats: 0, backOff: 1 }),
);
const opened: Ports[] = [];
afterEach(() => {
  for (const ports of opened.splice(0)) ports.warm.stop();
});
after(() => neutron.close());

const PORTS = '/v2.0/ports';
const pool = 'neutron-1/10.0.0.0-24' as PoolId;
const pool6 = 'neutron-2/fd00::-64' as PoolId;
const place = (warmPorts: number, families: readonly (4 | 6)[] = [4]): Place => ({
  network: 'a'.repeat(64) as NetworkId,
  settings: {
    network: 'n1',
    mtu: 1450,
    interfacePrefix: 'eth',
    warmPorts,
    subnets: [
      { id: 's4', prefix: '10.0.0.0/24', pool, routes: [] },
      { id: 's6', prefix: 'fd00::/64', pool: pool6, routes: [] },
    ].filter((_, index) => families.includes(index === 0 ? 4 : 6)),
  },
});

interface Asked {
  readonly device_id: string;
  readonly fixed_ips: readonly { readonly subnet_id: string; readonly ip_address?: string }[];
}
let number = 0;
/** As Neutron answers: each with addresses of its own. */
const port = (asked: Asked, more: object = {}) => {
  number++;
  const fixed_ips = asked.fixed_ips.map(({ subnet_id, ip_address }) => ({
    subnet_id,
    ip_address: ip_address ?? (subnet_id === 's4' ? `10.0.0.${number}` : `fd00::${number}`),
  }));
  const mac_address = `fa:16:3e:00:00:${number.toString(16).padStart(2, '0')}`;
  const bound = { 'binding:vif_type': 'bridge', 'binding:vif_details': {} };
  return { id: `p${number}`, network_id: 'n1', mac_address, ...bound, ...asked, fixed_ips, ...more };
};
const making =
  (more: object = {}): Answer =>
  (asked, response, nth) => {
    const body = asked.body as { readonly port?: Asked; readonly ports?: readonly Asked[] };
    const made = body.ports?.map((one) => port(one, more));
    json(made === undefined ? { port: port(body.port!, more) } : { ports: made }, 201)(asked, response, nth);
  };
const refusing = (type: string, status = 409) => json({ NeutronError: { type, message: 'no', detail: '' } }, status);
const removing = Object.fromEntries(
  Array.from({ length: 200 }, (_, n) => [`DELETE ${PORTS}/p${n}`, json(undefined, 204)]),
);

async function hold(kept = new Map(), parts: Partial<PortsParts['warm']> = {}) {
  const notes = memoryNotes(kept);
  const book = await openBook(notes, (key) => assert.fail(key));
  const departures = createDepartures(() => {}, { attempt: 5000, firstWait: 1, longestWait: 4 });
  const told: string[] = [];
  const times = { delay: 1, attempt: 5000, firstWait: 1, longestWait: 4 };
  const ports = createPorts({
    book,
    neutron,
    departures,
    choice: createAddressChoice(neutron),
    host: 'h1',
    owner: 'compute:kuryr',
    settle: 1000,
    unfasten: () => Promise.resolve(),
    isPlugged: () => false,
    warm: { enabled: true, failed: (_network, sentence) => void told.push(sentence), times, ...parts },
    now: Date.now,
  });
  opened.push(ports);
  const phases = () => book.ports.all().map(({ phase }) => phase);
  const warm = () => phases().filter((phase) => phase === 'warm').length;
  const until = async (reached: () => boolean) => {
    for (const end = performance.now() + 5000; !reached(); ) {
      assert.ok(performance.now() < end, `${phases().join()}\n${cloud.lines.join('\n')}`);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  };
  return { notes, book, departures, ports, told, phases, warm, until };
}

const bounds = () => within(5000);
const endpoint = 'e'.repeat(64) as EndpointId;
const posts = () => cloud.asked.filter(({ line }) => line === `POST ${PORTS}`);

describe('warm ports', () => {
  it('are made in one call, bound to this host, and a container takes one without a call', async () => {
    cloud.answer({ [`POST ${PORTS}`]: making(), ...removing });
    const { ports, book, warm, until } = await hold();
    ports.warm.replenish(place(3), 0);
    await until(() => warm() === 3);
    assert.deepEqual(cloud.lines, [`POST ${PORTS}`]);
    const { ports: asked } = cloud.asked[0]!.body as { ports: readonly Record<string, unknown>[] };
    assert.deepEqual(
      asked.map((one) => [one['binding:host_id'], one.description, one.device_owner]),
      Array.from({ length: 3 }, () => ['h1', 'berth/h1', 'compute:kuryr']),
    );
    assert.deepEqual(new Set(asked.map((one) => one.device_id)), new Set(book.ports.all().map(({ key }) => key)));

    const on = await ports.acquire(place(0), pool, {}, bounds());
    const held = await ports.bind(place(0), endpoint, [on], undefined, bounds());
    assert.deepEqual([held.phase, held.ahead, held.addresses[0]!.taken], ['held', undefined, true]);
    assert.equal(cloud.lines.length, 1);
    await ports.release(pool, on.address);
    await until(() => book.ports.all().length === 2);
    assert.deepEqual(cloud.lines, [`POST ${PORTS}`, `DELETE ${PORTS}/${held.port}`]);
  });

  it('are replaced after one is taken, and there are never more than were asked for', async () => {
    cloud.answer({ [`POST ${PORTS}`]: making(), ...removing });
    const { ports, book, warm, until } = await hold();
    ports.warm.replenish(place(2), 0);
    await until(() => warm() === 2);
    for (let n = 0; n < 5; n++) {
      await ports.acquire(place(2), pool, {}, bounds());
      for (let again = 0; again < 3; again++) ports.warm.replenish(place(2), 0);
      await until(() => warm() === 2);
    }
    assert.equal(book.ports.all().length, 7);
    const made = posts().reduce((sum, { body }) => sum + (body as { ports: unknown[] }).ports.length, 0);
    assert.equal(made, 7);
  });

  it('are taken one by one by containers that start at once, and the next makes its own', async () => {
    cloud.answer({ [`POST ${PORTS}`]: making(), ...removing });
    const { ports, warm, until } = await hold(undefined, {
      times: { delay: 60_000, attempt: 5000, firstWait: 1, longestWait: 1 },
    });
    ports.warm.replenish(place(3), 0);
    await until(() => warm() === 3);
    const got = await Promise.all(Array.from({ length: 4 }, () => ports.acquire(place(3), pool, {}, bounds())));
    assert.equal(new Set(got.map(formatPrefix)).size, 4);
    assert.equal(posts().length, 2);
  });

  it('have both addresses, which one container gets, also when a port is made for it', async () => {
    cloud.answer({ [`POST ${PORTS}`]: making(), ...removing });
    const { ports, book, warm, until } = await hold();
    const both = place(1, [4, 6]);
    ports.warm.replenish(both, 0);
    await until(() => warm() === 1);
    for (const [nth, calls] of [1, 2].entries()) {
      const id = `${nth}`.repeat(64) as EndpointId;
      const v4 = await ports.acquire(place(0, [4, 6]), pool, {}, bounds());
      const v6 = await ports.acquire(place(0, [4, 6]), pool6, {}, bounds());
      const { port: made } = await ports.bind(place(0, [4, 6]), id, [v4, v6], undefined, bounds());
      const record = book.ports.all().find((one) => one.port === made)!;
      assert.deepEqual(
        record.addresses.map(({ taken, on }) => [taken, formatAddress(on.address)]),
        [v4, v6].map(({ address }) => [true, formatAddress(address)]),
      );
      assert.equal(posts().length, calls);
    }
  });

  it('are not for a container that wants a MAC address, and one that wants the address of a warm port gets that', async () => {
    cloud.answer({ [`POST ${PORTS}`]: making(), ...removing });
    const { ports, book, warm, until } = await hold();
    ports.warm.replenish(place(2), 0);
    await until(() => warm() === 2);
    const mac = parseMac('02:42:0a:00:00:05')!;
    await ports.acquire(place(0), pool, { mac }, bounds());
    assert.equal(posts().length, 2);
    const { on } = book.ports.all().findLast(({ phase }) => phase === 'warm')!.addresses[0]!;
    await ports.acquire(place(0), pool, { address: on.address }, bounds());
    assert.deepEqual([posts().length, warm()], [2, 1]);
    await ports.acquire(place(0), pool, { address: parseAddress('10.0.0.222')! }, bounds());
    assert.deepEqual([posts().length, warm()], [3, 1]);
  });

  it('are fewer where the quota has no room for all, and what is wrong is told once', async () => {
    let room = 3;
    const limited: Answer = (asked, response, nth) => {
      const { length } = (asked.body as { ports: readonly unknown[] }).ports;
      room -= length;
      if (room >= 0) return making()(asked, response, nth);
      room += length;
      return refusing('OverQuota')(asked, response, nth);
    };
    cloud.answer({ [`POST ${PORTS}`]: limited });
    const { ports, warm, until, told, phases } = await hold();
    ports.warm.replenish(place(8), 0);
    await until(() => warm() === 3 && posts().length > 8);
    assert.equal(new Set(phases().filter((phase) => phase !== 'making')).size, 1, phases().join());
    assert.ok(told.length === 1 && told.every((sentence) => sentence.includes('OverQuota')), told.join());
    room = 100;
    await until(() => warm() === 8);
  });

  it('whose making was not answered are looked for and removed before others are made', async () => {
    const lost: Answer = (asked, response, nth) => json({ ports: [{ id: 'p150' }] })(asked, response, nth);
    cloud.answer({ [`POST ${PORTS}`]: inTurn(hangUp, making()), [`GET ${PORTS}`]: lost, ...removing });
    const { ports, warm, until, phases } = await hold();
    ports.warm.replenish(place(1), 0);
    await until(() => warm() === 1);
    assert.deepEqual(phases(), ['warm']);
    const order = cloud.lines.map((line) => line.split('?')[0]);
    assert.deepEqual(order, [`POST ${PORTS}`, `GET ${PORTS}`, `DELETE ${PORTS}/p150`, `POST ${PORTS}`]);
  });

  it('that an earlier process was making are removed, and those that were there are used', async () => {
    const kept = new Map();
    const first = await hold(kept);
    cloud.answer({ [`POST ${PORTS}`]: making(), [`GET ${PORTS}`]: json({ ports: [] }), ...removing });
    first.ports.warm.replenish(place(1), 0);
    await first.until(() => first.warm() === 1);
    first.ports.warm.stop();
    const [record] = first.book.ports.all();
    const { port: _port, mac: _mac, binding: _binding, ...half } = record!;
    await first.book.ports.put({ ...half, key: 'half', phase: 'making', addresses: [] });

    cloud.answer({ [`GET ${PORTS}`]: json({ ports: [{ id: 'p151' }] }), ...removing });
    const second = await hold(kept);
    await second.ports.recover();
    await second.until(() => second.phases().join() === 'warm');
    assert.deepEqual(cloud.lines.slice(1), [`GET ${PORTS}?device_id=half&fields=id`, `DELETE ${PORTS}/p151`]);
    await second.ports.acquire(place(0), pool, {}, bounds());
    assert.equal(cloud.lines.length, 3);
  });

  it('go with their network, also those that are being made then', async () => {
    const release = Promise.withResolvers<void>();
    const slow: Answer = (asked, response, nth) => void release.promise.then(() => making()(asked, response, nth));
    cloud.answer({ [`POST ${PORTS}`]: inTurn(making(), slow), ...removing });
    const { ports, book, warm, until } = await hold();
    ports.warm.replenish(place(2), 0);
    await until(() => warm() === 2);
    await ports.acquire(place(2), pool, {}, bounds());
    await until(() => posts().length === 2);
    await ports.warm.close(place(2).network);
    release.resolve();
    await until(() => book.ports.all().length === 1);
    assert.equal(book.ports.all()[0]!.phase, 'held');
    assert.equal(cloud.lines.filter((line) => line.startsWith('DELETE')).length, 2);
    ports.warm.replenish(place(2), 0);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(posts().length, 2);
  });

  it('that Neutron binds to nobody are not kept', async () => {
    cloud.answer({ [`POST ${PORTS}`]: making({ 'binding:vif_type': 'binding_failed' }), ...removing });
    const { ports, warm, until, told } = await hold();
    ports.warm.replenish(place(2), 0);
    await until(() => cloud.lines.filter((line) => line.startsWith('DELETE')).length >= 4);
    assert.equal(warm(), 0);
    assert.match(told.join(), /^cannot make warm ports now: .*binding_failed$/);
  });

  it('are compared with Neutron: what is gone is forgotten, what nobody remembers is removed, what is wired is left', async () => {
    cloud.answer({ [`POST ${PORTS}`]: making(), ...removing });
    const { ports, book, warm, until } = await hold();
    ports.warm.replenish(place(2), 0);
    await until(() => warm() === 2);
    const [gone, stays] = book.ports.all();
    const name = (posts()[0]!.body as { ports: { name: string }[] }).ports[0]!.name;
    const row = (id: string, more: object = {}) => ({ id, name, network_id: 'n1', device_id: `k-${id}`, ...more });
    const found = [
      row(stays!.port!, { device_id: stays!.key }),
      row('p160', { status: 'DOWN' }),
      row('p161', { status: 'ACTIVE' }),
      row('p162', { name: 'container on h1' }),
    ];
    cloud.answer({ [`POST ${PORTS}`]: making(), [`GET ${PORTS}`]: json({ ports: found }), ...removing });
    await ports.warm.check([place(2)]);
    await until(() => warm() === 2 && book.ports.all().length === 2);
    assert.ok(!book.ports.all().some(({ key }) => key === gone!.key));
    assert.match(cloud.lines[1]!, /^GET \/v2.0\/ports\?description=berth%2Fh1&network_id=n1&fields=/);
    assert.deepEqual(
      cloud.lines.filter((line) => line.startsWith('DELETE')),
      [`DELETE ${PORTS}/p160`],
    );
  });

  it('ask nothing where no network has them, and go where the engine chooses MAC addresses again', async () => {
    const kept = new Map();
    cloud.answer({ [`POST ${PORTS}`]: making(), ...removing });
    const first = await hold(kept);
    await first.ports.warm.check([place(0)].map((one) => ({ ...one, settings: { ...one.settings } })));
    first.ports.warm.replenish(place(2), 0);
    await first.until(() => first.warm() === 2);
    first.ports.warm.stop();
    const second = await hold(kept, { enabled: false });
    await second.ports.warm.check([place(2)]);
    await second.until(() => second.book.ports.all().length === 0);
    assert.equal(cloud.lines.filter((line) => line.startsWith('DELETE')).length, 2);
  });

  it('give their address to a container whose MAC address the engine chooses', async () => {
    const kept = new Map();
    cloud.answer({ [`POST ${PORTS}`]: making(), ...removing });
    const first = await hold(kept);
    first.ports.warm.replenish(place(1), 0);
    await first.until(() => first.warm() === 1);
    first.ports.warm.stop();
    const [record] = first.book.ports.all();
    const { address } = record!.addresses[0]!.on;
    const second = await hold(kept);
    const mac = parseMac('02:42:0a:00:00:05')!;
    const on = await second.ports.acquire(place(0), pool, { mac, address }, bounds());
    assert.equal(formatAddress(on.address), formatAddress(address));
    assert.deepEqual(second.phases(), ['held']);
    assert.deepEqual(cloud.lines, [`POST ${PORTS}`, `DELETE ${PORTS}/${record!.port}`, `POST ${PORTS}`]);
  });

  it('whose address Neutron has given to another are gone', async () => {
    cloud.answer({ [`POST ${PORTS}`]: making(), ...removing });
    const { ports, book, warm, until } = await hold();
    ports.warm.replenish(place(1), 0);
    await until(() => warm() === 1);
    const { on } = book.ports.all()[0]!.addresses[0]!;
    const ip_address = formatAddress(on.address);
    cloud.answer({ [`POST ${PORTS}`]: making({ fixed_ips: [{ subnet_id: 's4', ip_address }] }) });
    await ports.acquire(place(0), pool, { mac: parseMac('02:42:0a:00:00:05')! }, bounds());
    assert.equal(warm(), 0);
  });
});

describe('a MAC address that the engine tells only with the endpoint', () => {
  it('is given to the port while it is bound to nobody', async () => {
    const mac = parseMac('02:42:0a:00:00:05')!;
    const changed: Answer = (asked, response, nth) => {
      const { port: change } = asked.body as { port: object };
      const bound = { 'binding:vif_type': 'bridge', 'binding:vif_details': {} };
      json({ port: { id: 'p', network_id: 'n1', mac_address: mac, ...bound, ...change } })(asked, response, nth);
    };
    number = 170;
    cloud.answer({ [`POST ${PORTS}`]: making(), [`PUT ${PORTS}/p171`]: changed });
    const { ports } = await hold();
    const on = await ports.acquire(place(0), pool, {}, bounds());
    const held = await ports.bind(place(0), endpoint, [parseInterfaceAddress(formatPrefix(on))!], mac, bounds());
    assert.equal(held.mac, mac);
    assert.deepEqual(
      cloud.asked.slice(1).map(({ body }) => body),
      [{ port: { 'binding:host_id': '' } }, { port: { mac_address: mac, 'binding:host_id': 'h1' } }],
    );
  });
});

describe('the option neutron.warm_ports', () => {
  const all = { enabled: true, shared: false, nested: false };

  it('is a number, and also taken with a hyphen', () => {
    assert.equal(readWishes({ 'neutron.warm-ports': '7' }).warmPorts, 7);
    for (const bad of ['-1', '201', 'many'])
      assert.throws(() => readWishes({ 'neutron.warm_ports': bad }), /whole number from 0 to 200/);
  });

  it('is refused where it could do nothing', async () => {
    const wishes = readWishes({ 'neutron.warm_ports': '1' });
    checkWarmPorts(wishes, all);
    checkWarmPorts(readWishes({ 'neutron.warm_ports': '0' }), { ...all, enabled: false });
    for (const [change, words] of [
      [{ enabled: false }, /--neutron-macs=neutron/],
      [{ shared: true }, /all engines/],
      [{ nested: true }, /virtual machine/],
    ] as const) {
      const error = await failureOf(Promise.resolve().then(() => checkWarmPorts(wishes, { ...all, ...change })));
      assert.ok(error instanceof BerthError && error.code === 'BAD_OPTION' && words.test(error.message), String(error));
    }
  });
});
