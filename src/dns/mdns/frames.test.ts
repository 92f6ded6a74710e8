import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseAddress } from '../../model/address.ts';
import { parseMac } from '../../model/mac.ts';
import { GROUPS, readDatagram, writeDatagram } from './frames.ts';

const source = { mac: parseMac('02:42:c0:00:02:09')!, address: parseAddress('192.0.2.9')!, port: 5353 };
const group = { ...GROUPS[4], port: 5353 };
const source6 = { ...source, address: parseAddress('2001:db8::9')! };
const group6 = { ...GROUPS[6], port: 5353 };

const sum = (bytes: Buffer): number => {
  let total = 0;
  for (let at = 0; at < bytes.length; at += 2) total += bytes.readUInt8(at) * 256 + (bytes[at + 1] ?? 0);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
};

for (const [from, to] of [
  [source, group],
  [source6, group6],
] as const) {
  test(`IPv${from.address.family}: a datagram is read as it was written, and padding is not part of it`, () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1400 }), fc.nat(30), (data, padding) => {
        const frame = writeDatagram({ source: from, destination: to, data });
        const read = readDatagram(Uint8Array.of(...frame, ...new Uint8Array(padding)))!;
        assert.deepEqual([...read.data], [...data]);
        assert.deepEqual(read.source, from);
        assert.deepEqual(read.destination, to);
      }),
    );
  });
}

test('addresses, hops and checksums are where the RFCs want them', () => {
  const frame = Buffer.from(writeDatagram({ source, destination: group, data: Uint8Array.of(1, 2, 3) }));
  assert.equal(frame.subarray(0, 14).toString('hex'), '01005e0000fb0242c00002090800');
  assert.equal(frame[22], 255);
  assert.equal(sum(frame.subarray(14, 34)), 0xffff);
  const pseudo = Buffer.from([...frame.subarray(26, 34), 0, 17, 0, frame.length - 34]);
  assert.equal(sum(Buffer.concat([pseudo, frame.subarray(34)])), 0xffff);
});

test('the same of IPv6', () => {
  const frame = Buffer.from(writeDatagram({ source: source6, destination: group6, data: Uint8Array.of(1, 2, 3) }));
  assert.equal(frame.subarray(0, 14).toString('hex'), '3333000000fb0242c000020986dd');
  assert.equal(frame.subarray(14, 22).toString('hex'), '60000000000b11ff');
  assert.equal(frame.subarray(38, 54).toString('hex'), 'ff0200000000000000000000000000fb');
  // RFC 8200 §8.1
  const pseudo = Buffer.from([...frame.subarray(22, 54), 0, 0, 0, frame.length - 54, 0, 0, 0, 17]);
  assert.equal(sum(Buffer.concat([pseudo, frame.subarray(54)])), 0xffff);
  for (let length = 0; length < frame.length; length++)
    assert.equal(readDatagram(frame.subarray(0, length)), undefined, `${length} bytes`);
  for (const [at, value] of [
    [13, 0],
    [14, 0x45],
    [20, 0],
    [20, 44],
    [19, 7],
    [59, 200],
    [59, 7],
  ] as const)
    assert.equal(readDatagram(Buffer.from(new Uint8Array(frame).with(at, value))), undefined, `byte ${at} = ${value}`);
});

test('whatever else comes is refused, and never throws', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      readDatagram(bytes);
    }),
  );
  const frame = writeDatagram({ source, destination: group, data: Uint8Array.of(1, 2, 3) });
  for (let length = 0; length < frame.length; length++)
    assert.equal(readDatagram(frame.subarray(0, length)), undefined, `${length} bytes`);
  const changed = (at: number, value: number) => {
    const other = frame.slice();
    other[at] = value;
    return readDatagram(other);
  };
  for (const [at, value] of [
    [12, 0x86],
    [14, 0x65],
    [14, 0x44],
    [20, 0x20],
    [21, 1],
    [23, 6],
    [39, 200],
    [39, 7],
  ] as const)
    assert.equal(changed(at, value), undefined, `byte ${at} = ${value}`);
});
