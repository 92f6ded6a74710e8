import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { parseAddress } from '../../model/address.ts';
import { parseMac } from '../../model/mac.ts';
import type { PacketPort } from '../packets.ts';
import { answeringNeighbours } from './answers.ts';
import { arpAnnouncement, arpProbe, readArp } from './arp.ts';
import { BROADCAST } from './ethernet.ts';
import { readNeighbourMessage, solicitation, unsolicitedAdvertisement } from './neighbour-discovery.ts';

const own = parseMac('02:00:00:00:00:01')!;
const other = parseMac('0a:00:27:00:00:0a')!;
const v4 = { neighbour: parseAddress('192.0.2.1')!, from: parseAddress('192.0.2.9')! };
const v6 = { neighbour: parseAddress('2001:db8::1')!, from: parseAddress('2001:db8::9')! };

beforeEach(() => mock.timers.enable({ apis: ['setTimeout', 'setInterval'] }));
afterEach(() => mock.timers.reset());

/** To us, as an answer is; operation 2 is a reply. */
function reply(): Uint8Array {
  const frame = toUs(arpAnnouncement(other, v4.neighbour));
  frame[21] = 2;
  return frame;
}
function toUs(frame: Uint8Array, to = own): Uint8Array {
  const bytes = Uint8Array.from(frame);
  bytes.set(Buffer.from(to.replaceAll(':', ''), 'hex'), 0);
  return bytes;
}

async function begin(enough?: number) {
  const asked: Uint8Array[] = [];
  const listeners = new Set<(frame: Uint8Array) => void>();
  const port: PacketPort = {
    mac: own,
    index: 1,
    send: (frame) => asked.push(frame),
    onFrame(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    flushed: () => Promise.resolve(),
    onEnded() {},
    close() {},
  };
  const result: { answered?: ReadonlySet<string> } = {};
  void answeringNeighbours(port, [v4, v6], 2000, enough).then((answered) => {
    result.answered = answered;
  });
  await setImmediate();
  const say = (frame: Uint8Array): void => {
    for (const listener of listeners) listener(frame);
  };
  const answered = async () => {
    await setImmediate();
    return result.answered === undefined ? undefined : [...result.answered];
  };
  return { asked, say, answered, listeners };
}

test('each is asked by its own protocol, as one that has an address, until it answers', async () => {
  const { asked, say, answered, listeners } = await begin();
  assert.deepEqual(readArp(asked[0]!), {
    operation: 'request',
    senderMac: own,
    sender: v4.from,
    target: v4.neighbour,
  });
  assert.deepEqual(readNeighbourMessage(asked[1]!), {
    type: 'solicitation',
    source: own,
    from: v6.from,
    target: v6.neighbour,
    mac: own,
  });
  say(reply());
  assert.equal(await answered(), undefined);
  mock.timers.tick(500);
  assert.equal(asked.length, 3);
  say(toUs(unsolicitedAdvertisement(other, v6.neighbour)));
  assert.deepEqual(await answered(), ['192.0.2.1', '2001:db8::1']);
  assert.equal(listeners.size, 0);
  mock.timers.tick(60_000);
  assert.equal(asked.length, 3);
});

test('what is not said to us, or asks itself, is no answer', async () => {
  const { say, answered } = await begin();
  say(toUs(reply(), BROADCAST));
  say(toUs(reply(), other));
  say(arpAnnouncement(other, v4.neighbour));
  say(toUs(arpProbe(other, v4.neighbour)));
  say(unsolicitedAdvertisement(other, v6.neighbour));
  say(toUs(solicitation(other, v6.neighbour, v6.from)));
  say(toUs(unsolicitedAdvertisement(other, v6.from)));
  mock.timers.tick(1999);
  assert.equal(await answered(), undefined);
  mock.timers.tick(1);
  assert.deepEqual(await answered(), []);
});

test('where one is enough, nobody else is waited for', async () => {
  const { say, answered } = await begin(1);
  say(reply());
  assert.deepEqual(await answered(), ['192.0.2.1']);
});
