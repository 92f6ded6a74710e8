import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseAddress } from '../model/address.ts';
import { macFromBytes } from '../model/mac.ts';
import { type Datagram, decodeFrame, encodeFrame } from './udp.ts';

const example: Datagram = {
  sourceMac: macFromBytes(Uint8Array.of(2, 0, 0, 0, 0, 1)),
  destinationMac: macFromBytes(Uint8Array.of(2, 0, 0, 0, 0, 2)),
  source: parseAddress('192.168.7.1')!,
  destination: parseAddress('192.168.7.20')!,
  sourcePort: 67,
  destinationPort: 68,
  data: Uint8Array.of(1, 2, 3),
};

test('what is written is read', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 1472 }), (data) => {
      assert.deepEqual(decodeFrame(encodeFrame({ ...example, data })), { ...example, data });
    }),
  );
});

test('padding to the least length of Ethernet is no data', () => {
  const frame = new Uint8Array(60);
  frame.set(encodeFrame(example));
  assert.deepEqual(decodeFrame(frame)?.data, example.data);
});

test('a checksum may be absent, or left for a card that there is not, but not wrong', () => {
  const frame = encodeFrame(example);
  const view = new DataView(frame.buffer);
  const right = view.getUint16(40);
  view.setUint16(40, 0);
  assert.ok(decodeFrame(frame));
  // The pseudo-header's share: addresses, protocol 17, length 11, as the kernel leaves it.
  const words = [0xc0a8, 0x0701, 0xc0a8, 0x0714, 17, 11].reduce((sum, word) => sum + word, 0);
  view.setUint16(40, (words & 0xffff) + (words >> 16));
  assert.ok(decodeFrame(frame));
  view.setUint16(40, right ^ 1);
  assert.equal(decodeFrame(frame), undefined);
  view.setUint16(40, right);
  frame[22] = 63;
  assert.equal(decodeFrame(frame), undefined, 'the header has a checksum of its own');
});

test('fragments, other protocols and lengths that lie are passed over', () => {
  for (const change of [
    (frame: Uint8Array) => frame.set([0x86, 0xdd], 12),
    (frame: Uint8Array) => frame.set([0x65], 14),
    (frame: Uint8Array) => frame.set([0x20], 20),
    (frame: Uint8Array) => frame.set([6], 23),
    (frame: Uint8Array) => frame.set([0xff, 0xff], 16),
    (frame: Uint8Array) => frame.set([0xff, 0xff], 38),
    (frame: Uint8Array) => frame.set([0x4f], 14),
  ]) {
    const frame = encodeFrame(example);
    change(frame);
    assert.equal(decodeFrame(frame), undefined, String(change));
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => void decodeFrame(bytes)));
});
