import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { addressBytes, formatAddress, parseAddress } from '../../model/address.ts';
import { macFromBytes } from '../../model/mac.ts';
import type { Port } from '../dialogue.ts';
import { exchange6 } from './exchange.ts';
import { clientOf6 } from './identity.ts';
import { decodeMessage, type Message, messageType } from './message.ts';
import { answerSolicitation, linkLocalOf, multicastReport } from './neighbour.ts';
import { decodeDatagram, decodePacket, encodePacket, groupMac, ICMPV6 } from './packet.ts';
import { answer, framed, SERVER, serverMac } from './testing/server.ts';

const mac = macFromBytes(Uint8Array.of(2, 0, 0, 0, 0, 7));
const client = clientOf6({ mac, clientId: Uint8Array.of(1, 2, 0, 0, 0, 0, 7), hostName: 'web' });
const own = linkLocalOf(client.duid);

/** A link on whose other end a function answers, a moment later. */
function wire(reply: (message: Message, say: (frame: Uint8Array) => void) => void) {
  const listeners = new Set<(frame: Uint8Array) => void>();
  const said: number[] = [];
  const frames: Uint8Array[] = [];
  const say = (frame: Uint8Array) => {
    for (const listener of listeners) listener(frame);
  };
  const port: Port = {
    send(frame) {
      frames.push(frame);
      const datagram = decodeDatagram(frame);
      const message = datagram && decodeMessage(datagram.data);
      if (message === undefined) return;
      said.push(message.type);
      setImmediate(() => reply(message, say));
    },
    onFrame(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  return { port, said, frames, listeners, say };
}

/** What a server asks that looks for the MAC of an address; from nobody, it wants the address for itself. */
function solicitationOf(target: typeof own, from = SERVER): Uint8Array {
  return encodePacket(
    {
      sourceMac: serverMac,
      destinationMac: groupMac(target),
      source: parseAddress(from)!,
      destination: target,
      protocol: ICMPV6,
      hopLimit: 255,
      payload: Uint8Array.of(135, 0, 0, 0, 0, 0, 0, 0, ...addressBytes(target)),
    },
    2,
  );
}

test('from the first message to the grant; an offer is written down before it is requested', async () => {
  const { port, said, frames, listeners } = wire((message, say) => say(framed(answer(message))));
  let written = false;
  const ending = await exchange6(
    port,
    mac,
    client,
    { kind: 'solicit' },
    {
      patience: 5000,
      async chosen({ server }) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        assert.equal(formatAddress(server.address), SERVER);
        assert.equal(said.includes(messageType.request), false);
        written = true;
      },
    },
  );
  assert.ok(written);
  assert.ok(ending.kind === 'granted');
  assert.equal(formatAddress(ending.terms.address.address), '2001:db8:7::1000');
  assert.deepEqual(said, [messageType.solicit, messageType.request]);
  const [first] = frames.flatMap((frame) => decodeDatagram(frame) ?? []);
  assert.deepEqual(
    [first!.sourceMac, first!.source, formatAddress(first!.destination), first!.sourcePort, first!.destinationPort],
    [mac, own, 'ff02::1:2', 546, 547],
  );
  assert.equal(listeners.size, 0, 'nobody listens any more');
});

test('who asks for the MAC of the client is answered, as long as it asks itself', async () => {
  const heard: Uint8Array[] = [];
  const { port, frames, say } = wire((message) => {
    say(solicitationOf(own));
    say(solicitationOf(parseAddress('fe80::9')!));
    say(solicitationOf(own, '::'));
    heard.push(framed(answer(message, { type: 'reply', options: [{ code: 14, value: new Uint8Array() }] })));
    setImmediate(() => say(heard[0]!));
  });
  const ending = await exchange6(port, mac, client, { kind: 'solicit' }, { patience: 5000 });
  assert.equal(ending.kind, 'granted');
  const told = frames.flatMap((frame) => decodePacket(frame, ICMPV6, 2) ?? []);
  assert.equal(told.length, 1, 'not for others, and not to one who wants the address');
  const [{ payload, destination, destinationMac, hopLimit }] = told as [(typeof told)[0]];
  assert.deepEqual([payload[0], payload[4], hopLimit], [136, 0x60, 255]);
  assert.deepEqual([formatAddress(destination), destinationMac], [SERVER, serverMac]);
  assert.deepEqual([...payload.subarray(8, 24)], [...addressBytes(own)]);
  assert.deepEqual([...payload.subarray(24)], [2, 1, 2, 0, 0, 0, 0, 7]);
});

test('switches are told that questions for the address are listened to', () => {
  const frame = multicastReport(own, mac);
  assert.deepEqual([...frame.subarray(0, 6)], [0x33, 0x33, 0, 0, 0, 0x16]);
  assert.deepEqual([frame[20], frame[21]], [0, 1], 'a hop-by-hop option, and no further than here');
  assert.deepEqual([...frame.subarray(54, 62)], [58, 0, 5, 2, 0, 0, 1, 0], 'router alert');
  assert.equal(frame[62], 143);
  assert.deepEqual([...frame.subarray(74, 90)].slice(0, 13), [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff]);
  assert.deepEqual([...frame.subarray(87, 90)], [...addressBytes(own).subarray(13)]);
  // Without the option it is a packet whose checksum is right.
  const plain = Uint8Array.of(...frame.subarray(0, 54), ...frame.subarray(62));
  plain[20] = ICMPV6;
  plain[19] = 28;
  assert.ok(decodePacket(plain, ICMPV6, 2) !== undefined);
});

test('patience has an end, and it is known how far it came', async () => {
  const nobody = wire(() => undefined);
  const silent = await exchange6(nobody.port, mac, client, { kind: 'solicit' }, { patience: 30 });
  assert.deepEqual(silent, { kind: 'silent', heard: 'nothing' });
  const half = wire((message, say) => {
    if (message.type === messageType.solicit)
      say(framed(answer(message, { options: [{ code: 7, value: Uint8Array.of(255) }] })));
  });
  const offered = await exchange6(half.port, mac, client, { kind: 'solicit' }, { patience: 30 });
  assert.deepEqual(offered, { kind: 'silent', heard: 'offer' });
});

test('a port that fails ends it; so does a store that cannot write the offer down', async () => {
  const broken: Port = { send: () => Promise.reject(new Error('down')), onFrame: () => () => undefined };
  await assert.rejects(exchange6(broken, mac, client, { kind: 'solicit' }, { patience: 1000 }), /down/);
  const { port } = wire((message, say) => say(framed(answer(message))));
  const chosen = () => Promise.reject(new Error('full'));
  await assert.rejects(exchange6(port, mac, client, { kind: 'solicit' }, { patience: 5000, chosen }), /full/);
});

test('what is damaged, or for another port, is passed over', () => {
  const good = framed(answer({ type: 1, transaction: 1, options: [{ code: 1, value: client.duid }] }));
  assert.ok(decodeDatagram(good) !== undefined);
  for (const at of [12, 14, 20, 30, 45, 60, 70]) {
    const bad = Uint8Array.from(good);
    bad[at] = bad[at]! ^ 0xff;
    assert.equal(decodeDatagram(bad), undefined, String(at));
  }
  // A sender on this machine leaves the checksum to a card that there is not.
  const partial = Uint8Array.from(good);
  const view = new DataView(partial.buffer);
  const payload = good.length - 54;
  let pseudo = payload + 17;
  for (let at = 22; at < 54; at += 2) pseudo += view.getUint16(at);
  while (pseudo > 0xffff) pseudo = (pseudo & 0xffff) + (pseudo >>> 16);
  view.setUint16(60, pseudo);
  assert.ok(decodeDatagram(partial) !== undefined);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 150 }), (bytes) => {
      decodeDatagram(bytes);
      answerSolicitation(bytes, own, mac);
    }),
  );
});
