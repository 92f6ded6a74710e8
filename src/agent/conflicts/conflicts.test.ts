import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { pino } from 'pino';
import type { HostNeighbour, HostView, Kernel } from '../../kernel/kernel.ts';
import { arpAnnouncement, readArp } from '../../kernel/packet/arp.ts';
import { readNeighbourMessage, unsolicitedAdvertisement } from '../../kernel/packet/neighbour-discovery.ts';
import type { PacketPort } from '../../kernel/packets.ts';
import { formatAddress, parseAddress } from '../../model/address.ts';
import { BerthError } from '../../model/errors.ts';
import type { EndpointId, NetworkId } from '../../model/ids.ts';
import { macFromAddress, parseMac } from '../../model/mac.ts';
import type { Endpoint, Network } from '../../model/network.ts';
import { parseInterfaceAddress, parsePrefix } from '../../model/prefix.ts';
import { createMemoryStore } from '../../store/memory.ts';
import { openEvents } from '../events.ts';
import { createNames } from '../names.ts';
import { openState, type State } from '../state.ts';
import { type Conflicts, createConflicts } from './conflicts.ts';

const v4 = parseAddress('192.0.2.9')!;
const v6 = parseAddress('2001:db8::9')!;
const stranger = parseMac('0a:00:27:00:00:09')!;
const usual = macFromAddress(v4);

const lan = (settings: object = {}): Network => ({
  id: 'n1'.padEnd(64, '0') as NetworkId,
  fabric: 'lan',
  plugin: 'berth-lan',
  subnets: [{ prefix: parsePrefix('192.0.2.0/24')!, auxiliary: {} }],
  internal: false,
  options: {},
  settings: { bridge: 'br0', confirm: 'none', confirmSeconds: 60, interfacePrefix: 'eth', ...settings },
  leased: true,
  createdAt: 0,
});
const endpoint = (name: string, fields: Partial<Endpoint> = {}): Endpoint => ({
  id: name.padEnd(64, '0') as EndpointId,
  network: lan().id,
  phase: 'created',
  addresses: [parseInterfaceAddress('192.0.2.9/24')!],
  mac: usual,
  publishes: false,
  options: {},
  settings: null,
  createdAt: 0,
  ...fields,
});

let state: State;
let conflicts: Conflicts;
let said: { event: string; attributes: Readonly<Record<string, string>>; message: string }[];
let counted: string[];
let neighbours: HostNeighbour[];
let links: string[];
let prepared: number;
let asked: string[];
let opened: number;
let refuse: BerthError | undefined;
let clock: number;
const listeners = new Set<(frame: Uint8Array) => void>();

beforeEach(async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  state = await openState(createMemoryStore(), 'h');
  await state.putNetwork(lan());
  [said, counted, neighbours, links, asked] = [[], [], [], ['br0'], []];
  [prepared, opened, clock, refuse] = [0, 0, 1_000_000, undefined];
  listeners.clear();
  const port: PacketPort = {
    mac: parseMac('02:00:00:00:00:01')!,
    index: 1,
    send(frame) {
      asked.push(formatAddress((readArp(frame) ?? readNeighbourMessage(frame))!.target));
    },
    onFrame(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    flushed: () => Promise.resolve(),
    onEnded() {},
    close() {},
  };
  const events = openEvents(pino({ level: 'silent' }));
  events.follow(({ event, attributes, message }) => said.push({ event, attributes, message }));
  conflicts = createConflicts({
    state,
    kernel: {
      packets: () => {
        opened += 1;
        return refuse === undefined ? Promise.resolve(port) : Promise.reject(refuse);
      },
      neighbours: () => Promise.resolve(neighbours),
      entries: () => Promise.resolve([]),
    } as Partial<Kernel> as Kernel,
    host: {
      current: () => view(),
      refresh: () => Promise.resolve(view()),
      onChange() {},
    },
    names: createNames(),
    events,
    metrics: { addressConflict: (outcome) => counted.push(outcome) },
    prepare: () => {
      prepared += 1;
      links.push('br0');
      return Promise.resolve();
    },
    now: () => 7,
    monotonic: () => clock,
  });
});

afterEach(() => {
  conflicts.close();
  mock.timers.reset();
});

function view(): HostView {
  const all = links.map((name, index) => ({ index, name, mtu: 1500, up: true, running: true, loopback: false }));
  const own = parseInterfaceAddress('192.0.2.1/24')!;
  return { links: all, addresses: [{ link: 'br0', address: own, scope: 'global' }], routes: [] };
}

const say = (frame: Uint8Array): void => {
  for (const listener of listeners) listener(frame);
};

/** Time passes, with everything that happens in it. */
async function pass(milliseconds: number): Promise<void> {
  for (let left = milliseconds; left > 0; left -= 20) {
    await setImmediate();
    clock += Math.min(20, left);
    mock.timers.tick(Math.min(20, left));
  }
  await setImmediate();
}

/** How a start ends: undefined while it waits. */
function start(of: Endpoint): { outcome?: string } {
  const seen: { outcome?: string } = {};
  conflicts.settle(lan(), of).then(
    () => {
      seen.outcome = 'started';
    },
    (error: unknown) => {
      assert.ok(error instanceof BerthError);
      seen.outcome = `${error.code}: ${error.message}`;
    },
  );
  return seen;
}

/** Put as attached, as Join does when the answer is in. */
async function attach(of: Endpoint): Promise<void> {
  await state.putEndpoint({ ...of, phase: 'attached', sandbox: '/ns' });
}

test('a container waits for the rest of the window when nobody has the address, and for no longer', async () => {
  conflicts.begin(lan(), [v4]);
  await pass(120);
  assert.deepEqual(asked, ['192.0.2.9', '192.0.2.9']);
  const seen = start(endpoint('a'));
  await pass(60);
  assert.equal(seen.outcome, undefined);
  await pass(20);
  assert.equal(seen.outcome, 'started');
  assert.equal(opened, 1);
});

test('an address that another machine has is refused, naming it; nothing is remembered against the next try', async () => {
  conflicts.begin(lan(), [v4]);
  await pass(1);
  say(arpAnnouncement(stranger, v4));
  const seen = start(endpoint('a'));
  await pass(20);
  say(arpAnnouncement(stranger, v4));
  await pass(20);
  const sentence = `another machine on the LAN has the address 192.0.2.9: its MAC address is ${stranger}`;
  assert.equal(seen.outcome, `ADDRESS_CONFLICT: ${sentence}`);
  assert.deepEqual(counted, ['refused']);
  assert.deepEqual(
    said.map(({ event, attributes }) => [event, attributes.mac, attributes.outcome]),
    [['address.conflict', stranger, 'refused']],
  );
  conflicts.begin(lan(), [v4]);
  const again = start(endpoint('a'));
  await pass(220);
  assert.equal(again.outcome, 'started');
});

test('IPv6 as IPv4, each by itself', async () => {
  const both = endpoint('a', {
    addresses: ['192.0.2.9/24', '2001:db8::9/64'].map((text) => parseInterfaceAddress(text)!),
  });
  const seen = start(both);
  await pass(20);
  assert.deepEqual(asked.toSorted(), ['192.0.2.9', '2001:db8::9']);
  say(unsolicitedAdvertisement(stranger, v6));
  await pass(200);
  assert.match(seen.outcome!, /ADDRESS_CONFLICT: .* the address 2001:db8::9: its MAC address is 0a:00:27:00:00:09/);
});

test('an address of the host itself is refused, whether others are asked for or not', () => {
  const own = parseInterfaceAddress('192.0.2.1/24')!;
  const refused = { code: 'ADDRESS_CONFLICT', message: "the address 192.0.2.1 is this host's own, on br0" };
  assert.throws(() => conflicts.refuseOwn(lan(), [own.address]), refused);
  assert.throws(() => conflicts.refuseOwn(lan({ conflictCheck: false }), [own.address]), refused);
  conflicts.refuseOwn(lan(), [v4]);
});

test('whom the host heard from a moment ago is not given away, but may be gone when somebody wants the address', async () => {
  neighbours = [{ address: v4, mac: stranger }];
  const given = conflicts.claimOn(lan(), v4, []);
  await pass(1);
  assert.equal((await given)?.mac, stranger);
  assert.equal(conflicts.avoids(lan(), v4), true);
  const wanted = start(endpoint('a'));
  await pass(220);
  assert.equal(wanted.outcome, 'started');
});

test('a machine with the MAC that comes with the address is another host of ours', async () => {
  await state.putEndpoint(endpoint('b'));
  const heard = start(endpoint('b'));
  await pass(20);
  say(arpAnnouncement(usual, v4));
  await pass(1);
  assert.match(heard.outcome!, /^ADDRESS_CONFLICT/);
});

test('nobody waits for an address that a container has just left, for a while', async () => {
  const first = endpoint('a');
  start(first);
  await pass(220);
  await attach(first);
  conflicts.left(first);
  await state.deleteEndpoint(first.id);
  clock += 5_000;
  conflicts.begin(lan(), [v4]);
  await pass(20);
  // It is just being taken away, and the next has another MAC.
  say(arpAnnouncement(usual, v4));
  const second = start(endpoint('b', { mac: parseMac('02:00:00:00:00:77')! }));
  await pass(20);
  assert.equal(second.outcome, 'started');
  asked = [];
  const next = parseAddress('192.0.2.10')!;
  assert.equal(await conflicts.claimOn(lan(), v4, [next]), undefined);
  await pass(20);
  assert.deepEqual(asked, [], 'nor are others asked for that might be given out next');
  clock += 61_000;
  const third = start(endpoint('c'));
  await pass(20);
  assert.equal(third.outcome, undefined);
});

test('an address that a container has just left may be another machine’s by now: who answers at once is heard', async () => {
  const first = endpoint('a');
  start(first);
  await pass(220);
  conflicts.left(first);
  clock += 5_000;
  conflicts.begin(lan(), [v4]);
  await pass(20);
  say(arpAnnouncement(stranger, v4));
  await pass(20);
  const second = start(endpoint('b'));
  await pass(20);
  assert.match(second.outcome!, /^ADDRESS_CONFLICT/);
});

test('what a container that never ran has left is not trusted', async () => {
  conflicts.left(endpoint('a'));
  const seen = start(endpoint('b'));
  await pass(20);
  assert.equal(seen.outcome, undefined);
  conflicts.resume(endpoint('c').id);
  conflicts.left(endpoint('c'));
  const trusted = start(endpoint('b'));
  await pass(20);
  assert.equal(trusted.outcome, 'started');
});

test('who comes after the start is told of, and shown for as long as the container runs', async () => {
  const running = endpoint('a');
  start(running);
  await pass(220);
  await attach(running);
  say(arpAnnouncement(usual, v4));
  await pass(400);
  assert.equal(said.length, 0);
  say(arpAnnouncement(stranger, v4));
  await pass(1);
  assert.deepEqual(counted, ['found']);
  assert.equal(said[0]?.event, 'address.conflict');
  assert.match(
    said[0]!.message,
    /the address 192\.0\.2\.9 of the endpoint a0+, with the MAC address 0a:00:27:00:00:09/,
  );
  assert.deepEqual(conflicts.of(running.id), [{ address: v4, mac: stranger, since: 7 }]);
  assert.deepEqual([...conflicts.all().keys()], [running.id]);
  await state.deleteEndpoint(running.id);
  assert.deepEqual([conflicts.of(running.id), conflicts.all().size], [[], 0]);
});

test('a container that has gone by then is nobody’s conflict', async () => {
  const running = endpoint('a');
  start(running);
  await pass(220);
  await attach(running);
  await state.deleteEndpoint(running.id);
  say(arpAnnouncement(stranger, v4));
  await pass(1);
  assert.deepEqual(said, []);
});

test('where it is switched off nothing is asked', async () => {
  const network = lan({ conflictCheck: false });
  conflicts.begin(network, [v4]);
  await conflicts.settle(network, endpoint('a'));
  assert.equal(conflicts.screens(network), false);
  assert.deepEqual([opened, asked], [0, []]);
});

test('when nobody can be asked the container starts, and that is told once', async () => {
  refuse = new BerthError('INTERFACE_UNKNOWN', 'there is no interface br0');
  for (const name of ['a', 'b']) {
    const seen = start(endpoint(name));
    await pass(1);
    assert.equal(seen.outcome, 'started');
    clock += 6_000;
  }
  assert.deepEqual([...new Set(said.map(({ event }) => event))], ['address.unchecked']);
  assert.equal(said.length, 1);
});

test('the link that leads to the segment is made when it is not there', async () => {
  links = [];
  conflicts.begin(lan(), [v4, v6]);
  await pass(20);
  assert.equal(prepared, 1);
  assert.deepEqual(asked.toSorted(), ['192.0.2.9', '2001:db8::9']);
});

test('an address that is given out is asked for with those that follow; what others have is avoided', async () => {
  const next = parseAddress('192.0.2.10')!;
  const answer = conflicts.claimOn(lan(), v4, [next]);
  await pass(1);
  assert.deepEqual(asked.toSorted(), ['192.0.2.10', '192.0.2.9']);
  say(arpAnnouncement(stranger, v4));
  assert.equal((await answer)?.mac, stranger);
  assert.deepEqual([conflicts.avoids(lan(), v4), conflicts.avoids(lan(), next)], [true, false]);
  assert.deepEqual([counted, said.map(({ attributes }) => attributes.outcome)], [['avoided'], ['avoided']]);
  const free = conflicts.claimOn(lan(), next, []);
  await pass(100);
  assert.equal(await free, undefined);
  clock += 300_001;
  assert.equal(conflicts.avoids(lan(), v4), false);
  assert.equal(conflicts.avoids(lan({ conflictCheck: false }), parseAddress('192.0.2.1')!), true);
});

test('the port is kept for those who come soon, and then closed', async () => {
  const seen = start(endpoint('a', { addresses: [] }));
  await pass(1);
  assert.deepEqual([seen.outcome, opened], ['started', 0]);
  for (const name of ['a', 'b', 'c', 'd']) {
    start(endpoint(name));
    await pass(12_000);
  }
  assert.equal(opened, 1);
  await pass(32_000);
  start(endpoint('e'));
  await pass(1);
  assert.equal(opened, 2);
});

test('on a link that had to be made first it is asked for longer: the switch behind it may not forward yet', async () => {
  links = [];
  const seen = start(endpoint('a'));
  await pass(300);
  assert.equal(seen.outcome, undefined);
  say(arpAnnouncement(stranger, v4));
  await pass(20);
  assert.match(seen.outcome!, /^ADDRESS_CONFLICT/);
});
