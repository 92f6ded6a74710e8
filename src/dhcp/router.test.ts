import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatAddress } from '../model/address.ts';
import { parseMac } from '../model/mac.ts';
import { formatPrefix, parsePrefix } from '../model/prefix.ts';
import type { Port } from './dialogue.ts';
import { addressIn, decodeAdvertisement, encodeSolicitation, solicit } from './router.ts';

const mac = parseMac('02:11:22:33:44:55')!;
/** As radvd sends it: a prefix of 2001:db8:7::/64 with the flags L and A, and an MTU of 1400. */
const advertisement = framed(
  [64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0],
  [
    3,
    4,
    64,
    0xc0,
    0,
    1,
    0x51,
    0x80,
    0,
    0,
    0x38,
    0x40,
    0,
    0,
    0,
    0,
    0x20,
    1,
    0x0d,
    0xb8,
    0,
    7,
    ...Array<number>(10).fill(0),
  ],
  [5, 1, 0, 0, 0, 0, 5, 0x78],
);

/** An advertisement from fe80::1 with its checksum. */
function framed(fixed: number[], ...options: number[][]): Uint8Array {
  const body = [134, 0, 0, 0, ...fixed, ...options.flat()];
  const source = [0xfe, 0x80, ...Array<number>(13).fill(0), 1];
  const everybody = [0xff, 2, ...Array<number>(13).fill(0), 1];
  let sum = body.length + 58;
  const words = [...source, ...everybody, ...body];
  for (let at = 0; at < words.length; at += 2) sum += (words[at]! << 8) | words[at + 1]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  [body[2], body[3]] = [(~sum >> 8) & 255, ~sum & 255];
  const ethernet = [0x33, 0x33, 0, 0, 0, 1, 0x0a, 0, 0, 0, 0, 1, 0x86, 0xdd];
  return Uint8Array.from([...ethernet, 0x60, 0, 0, 0, 0, body.length, 58, 255, ...source, ...everybody, ...body]);
}

test('what a router says', () => {
  const heard = decodeAdvertisement(advertisement)!;
  assert.equal(formatAddress(heard.router), 'fe80::1');
  assert.deepEqual([heard.lifetime, heard.mtu, heard.managed, heard.otherwise], [1800, 1400, false, false]);
  assert.deepEqual(heard.onLink.map(formatPrefix), ['2001:db8:7::/64']);
  assert.deepEqual(
    heard.prefixes.map(({ prefix, valid, preferred }) => [formatPrefix(prefix), valid, preferred]),
    [['2001:db8:7::/64', 86_400, 14_400]],
  );
});

test('the address that a host makes of it', () => {
  assert.equal(formatPrefix(addressIn(parsePrefix('2001:db8:7::/64')!, mac)), '2001:db8:7:0:11:22ff:fe33:4455/64');
});

test('what has been far away, is damaged, or is not for addresses is passed over', () => {
  const changed = (at: number, value: number) => {
    const frame = Uint8Array.from(advertisement);
    frame[at] = value;
    return decodeAdvertisement(frame);
  };
  assert.equal(changed(21, 254), undefined, 'hop limit');
  assert.equal(changed(60, 9), undefined, 'checksum');
  assert.equal(changed(13, 0), undefined, 'not IPv6');
  assert.equal(decodeAdvertisement(advertisement.subarray(0, 80)), undefined, 'cut off');
  const fixed = [64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0];
  const prefix = (length: number, flags: number, first = 0x20) =>
    decodeAdvertisement(
      framed(fixed, [
        3,
        4,
        length,
        flags,
        0,
        0,
        1,
        0,
        0,
        0,
        1,
        0,
        0,
        0,
        0,
        0,
        first,
        first === 0xfe ? 0x80 : 1,
        ...Array<number>(14).fill(0),
      ]),
    )!.prefixes.length;
  assert.deepEqual([prefix(64, 0xc0), prefix(64, 0x80), prefix(48, 0xc0), prefix(64, 0xc0, 0xfe)], [1, 0, 0, 0]);
  assert.equal(
    decodeAdvertisement(framed(fixed, [3, 0, 0, 0, 0, 0, 0, 0])),
    undefined,
    'an option without length never ends',
  );
  fc.assert(fc.property(fc.uint8Array({ maxLength: 150 }), (bytes) => void decodeAdvertisement(bytes)));
});

test('asked until a router answers, or given up', async () => {
  const sent: Uint8Array[] = [];
  const listeners = new Set<(frame: Uint8Array) => void>();
  const port: Port = {
    send: (frame) => {
      sent.push(frame);
      if (sent.length === 2) for (const listener of listeners) listener(advertisement);
    },
    onFrame: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const heard = await solicit(port, mac, 5000, ({ prefixes }) => prefixes.length > 0);
  assert.equal(heard?.prefixes.length, 1);
  assert.deepEqual(sent[0], encodeSolicitation(mac));
  // The sum over all 16-bit words with the pseudo-header is all ones when the checksum is right.
  assert.equal(sent[0]![54], 133);
  assert.equal(listeners.size, 0);
  const deaf: Port = { send: () => undefined, onFrame: () => () => undefined };
  assert.equal(await solicit(deaf, mac, 50, () => true), undefined);
});
