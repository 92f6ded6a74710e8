import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { type Address, formatAddress, parseAddress } from '../../model/address.ts';
import { type Mac, parseMac } from '../../model/mac.ts';
import type { PacketPort } from '../packets.ts';
import { arpAnnouncement, arpProbe, readArp } from './arp.ts';
import { duplicateSolicitation, readNeighbourMessage, unsolicitedAdvertisement } from './neighbour-discovery.ts';
import { type Claim, type ProbeOptions, probe } from './probe.ts';

const own = parseMac('02:00:00:00:00:01')!;
const stranger = parseMac('0a:00:27:00:00:09')!;
const other = parseMac('0a:00:27:00:00:0a')!;
const v4 = parseAddress('192.0.2.9')!;
const v6 = parseAddress('2001:db8::9')!;
const elsewhere = parseAddress('192.0.2.10')!;

beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
afterEach(() => mock.timers.reset());

/** A segment in memory: what was asked, and a way to say something. */
function segment(busy: Promise<void> = Promise.resolve()) {
  const listeners = new Set<(frame: Uint8Array) => void>();
  const asked: string[] = [];
  const port: PacketPort = {
    mac: own,
    index: 1,
    send(frame) {
      const arp = readArp(frame);
      const address = arp?.target ?? readNeighbourMessage(frame)?.target;
      asked.push(`${formatAddress(address!)}`);
    },
    onFrame(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    flushed: () => busy,
    onEnded() {},
    close() {},
  };
  const say = (frame: Uint8Array): void => {
    for (const listener of listeners) listener(frame);
  };
  return { port, asked, say, listeners };
}

/** A probe that is under way, and what has come of it. */
async function begin(addresses: readonly Address[], options: Partial<ProbeOptions> = {}, busy?: Promise<void>) {
  const on = segment(busy);
  const result: { claims?: readonly Claim[] } = {};
  void probe(on.port, addresses, { for: 200, ...options }).then((claims) => {
    result.claims = claims;
  });
  const claims = async () => {
    await setImmediate();
    return result.claims?.map(({ address, mac }) => `${formatAddress(address)} ${mac}`);
  };
  await setImmediate();
  return { ...on, claims };
}

test('nobody answers: three questions, and the answer when the time is over', async () => {
  const { asked, claims, listeners } = await begin([v4, v6]);
  const both = ['192.0.2.9', '2001:db8::9'];
  assert.deepEqual(asked, both);
  mock.timers.tick(67);
  assert.deepEqual(asked, [...both, ...both]);
  mock.timers.tick(67);
  assert.deepEqual(asked, [...both, ...both, ...both]);
  mock.timers.tick(65);
  assert.equal(await claims(), undefined);
  mock.timers.tick(1);
  assert.deepEqual(await claims(), []);
  assert.equal(listeners.size, 0);
  mock.timers.tick(10_000);
  assert.equal(asked.length, 6);
});

const answers: readonly { what: string; address: Address; frame: (mac: Mac) => Uint8Array }[] = [
  { what: 'an ARP announcement', address: v4, frame: (mac) => arpAnnouncement(mac, v4) },
  { what: 'an ARP reply', address: v4, frame: (mac) => arpAnnouncement(mac, v4).with(21, 2) },
  { what: "another one's ARP probe", address: v4, frame: (mac) => arpProbe(mac, v4) },
  { what: 'a neighbour advertisement', address: v6, frame: (mac) => unsolicitedAdvertisement(mac, v6) },
  { what: "another one's duplicate address detection", address: v6, frame: (mac) => duplicateSolicitation(mac, v6) },
];
for (const { what, address, frame } of answers) {
  test(`${what} is a claim, and there is no more waiting`, async () => {
    const { say, claims, asked } = await begin([address]);
    say(frame(stranger));
    assert.deepEqual(await claims(), [`${formatAddress(address)} ${stranger}`]);
    mock.timers.tick(10_000);
    assert.equal(asked.length, 1);
  });

  test(`${what} from the port itself is none, nor from whom is said to be ours`, async () => {
    const { say, claims } = await begin([address], { isOurs: (claim) => claim.mac === other });
    say(frame(own));
    say(frame(other));
    assert.equal(await claims(), undefined);
    say(frame(stranger));
    assert.deepEqual(await claims(), [`${formatAddress(address)} ${stranger}`]);
  });
}

test('what is said of other addresses is no answer, nor what cannot be read', async () => {
  const { say, claims } = await begin([v4, v6]);
  say(arpAnnouncement(stranger, elsewhere));
  say(arpProbe(stranger, elsewhere));
  say(unsolicitedAdvertisement(stranger, parseAddress('2001:db8::10')!));
  say(new Uint8Array(20));
  mock.timers.tick(200);
  assert.deepEqual(await claims(), []);
});

test('who asks for the address, as to talk to it, does not claim it; who asks with it does', async () => {
  const asks = (sender: Address, target: Address) => {
    const frame = arpAnnouncement(stranger, target);
    const from = arpAnnouncement(stranger, sender);
    frame.set(from.subarray(28, 32), 28);
    return frame;
  };
  const { say, claims } = await begin([v4]);
  say(asks(elsewhere, v4));
  assert.equal(await claims(), undefined);
  say(asks(v4, elsewhere));
  assert.deepEqual(await claims(), [`192.0.2.9 ${stranger}`]);
});

test('of two addresses one is claimed: the other is asked for to the end', async () => {
  const { say, claims, asked } = await begin([v4, v6]);
  say(arpAnnouncement(stranger, v4));
  say(arpAnnouncement(other, v4));
  assert.equal(await claims(), undefined);
  mock.timers.tick(67);
  assert.deepEqual(asked, ['192.0.2.9', '2001:db8::9', '2001:db8::9']);
  mock.timers.tick(133);
  assert.deepEqual(await claims(), [`192.0.2.9 ${stranger}`]);
});

test('it is asked when that was said, and listened for as long', async () => {
  const { say, claims, asked } = await begin([v4], { for: 8000, asks: [1000, 5000] });
  assert.equal(asked.length, 0);
  mock.timers.tick(1000);
  assert.equal(asked.length, 1);
  mock.timers.tick(6900);
  assert.equal(asked.length, 2);
  say(arpAnnouncement(stranger, v4));
  assert.deepEqual(await claims(), [`192.0.2.9 ${stranger}`]);
});

test('it can be ended early, and before it began', async () => {
  const ended = new AbortController();
  const { claims, listeners, asked } = await begin([v4], { signal: ended.signal });
  ended.abort();
  assert.deepEqual(await claims(), []);
  assert.equal(listeners.size, 0);
  mock.timers.tick(200);
  assert.equal(asked.length, 1);
  const late = await begin([v4], { signal: ended.signal });
  assert.deepEqual(await late.claims(), []);
  assert.deepEqual([late.asked.length, late.listeners.size], [0, 0]);
});

test('while the kernel is busy the time does not run, and what it has yet to tell is waited for', async () => {
  const first = Promise.withResolvers<void>();
  const { port, claims, say, asked } = await begin([v4], {}, first.promise);
  mock.timers.tick(10_000);
  assert.deepEqual([await claims(), asked.length], [undefined, 1]);
  first.resolve();
  await setImmediate();
  const second = Promise.withResolvers<void>();
  port.flushed = () => second.promise;
  mock.timers.tick(200);
  assert.equal(await claims(), undefined);
  say(arpAnnouncement(stranger, v4));
  second.resolve();
  assert.deepEqual(await claims(), [`192.0.2.9 ${stranger}`]);
});
