import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress } from '../../model/address.ts';
import { internetChecksum } from '../../model/checksum.ts';
import { parseMac } from '../../model/mac.ts';
import { arpAnnouncement, arpProbe, readArp } from './arp.ts';
import { readFrame, writeFrame } from './ethernet.ts';
import { duplicateSolicitation, readNeighbourMessage, unsolicitedAdvertisement } from './neighbour-discovery.ts';

const mac = parseMac('0a:00:27:00:00:09')!;
const v4 = parseAddress('192.0.2.9')!;
const v6 = parseAddress('2001:db8::1:2345:6789')!;
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

test('an ARP probe claims nothing, an announcement claims the address', () => {
  // RFC 826 by hand: Ethernet, IPv4, 6, 4, request, sender, target.
  const header = 'ffffffffffff0a00270000090806' + '0001080006040001' + '0a0027000009';
  assert.equal(hex(arpProbe(mac, v4)), `${header}00000000000000000000c0000209`);
  assert.equal(hex(arpAnnouncement(mac, v4)), `${header}c0000209000000000000c0000209`);
});

test('ARP is read as it was written, also when padded', () => {
  const padded = new Uint8Array(60);
  padded.set(arpProbe(mac, v4));
  const sender = { family: 4, value: 0n };
  assert.deepEqual(readArp(padded), { operation: 'request', senderMac: mac, sender, target: v4 });
  assert.deepEqual(readArp(arpAnnouncement(mac, v4))?.sender, v4);
});

test('what is no ARP over Ethernet, or cut short, is not read as such', () => {
  const frame = arpProbe(mac, v4);
  const changed = (at: number, value: number) => frame.with(at, value);
  for (const other of [
    frame.subarray(0, 41),
    frame.subarray(0, 13),
    new Uint8Array(0),
    changed(13, 0),
    changed(15, 6),
    changed(17, 1),
    changed(18, 8),
    changed(19, 16),
    changed(21, 3),
  ]) {
    assert.equal(readArp(other), undefined);
  }
});

test('a solicitation of duplicate address detection comes from nobody and goes to those who could have the address', () => {
  const frame = duplicateSolicitation(mac, v6);
  const ipv6 = `6000000000183aff${'00'.repeat(16)}ff0200000000000000000001ff456789`;
  const icmp = `87000000000000002001 0db8 0000 0000 0000 0001 2345 6789`.replaceAll(' ', '');
  const withoutChecksum = `${hex(frame).slice(0, 112)}0000${hex(frame).slice(116)}`;
  assert.equal(withoutChecksum, `3333ff4567890a002700000986dd${ipv6}${icmp}`);
  assert.deepEqual(readNeighbourMessage(frame), {
    type: 'solicitation',
    source: mac,
    from: { family: 6, value: 0n },
    target: v6,
  });
});

test('the checksum of what is sent makes that of the whole come out as zero', () => {
  for (const frame of [duplicateSolicitation(mac, v6), unsolicitedAdvertisement(mac, v6)]) {
    const icmp = frame.subarray(54);
    const pseudoHeader = [...frame.subarray(22, 54), 0, 0, 0, icmp.length, 0, 0, 0, 58];
    assert.equal(internetChecksum(Uint8Array.of(...pseudoHeader, ...icmp)), 0);
  }
  // RFC 1071 §3 has this example; an odd byte counts as the upper half of a word.
  assert.equal(internetChecksum(Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7)), 0xffff - 0xddf2);
  assert.equal(internetChecksum(Uint8Array.of(0x12)), 0xffff - 0x1200);
});

test('an advertisement names the address and who has it', () => {
  assert.deepEqual(readNeighbourMessage(unsolicitedAdvertisement(mac, v6)), {
    type: 'advertisement',
    source: mac,
    from: v6,
    target: v6,
    mac,
  });
});

test('what came through a router, is cut short, or is no neighbour message is not read as such', () => {
  const frame = unsolicitedAdvertisement(mac, v6);
  for (const other of [
    frame.subarray(0, 85),
    frame.subarray(0, 60),
    frame.with(12, 8),
    frame.with(20, 17),
    frame.with(21, 254),
    frame.with(54, 134),
    frame.with(55, 1),
    frame.with(19, 20),
  ]) {
    assert.equal(readNeighbourMessage(other), undefined);
  }
  // An option of no length would be read for ever.
  assert.equal(readNeighbourMessage(frame.with(79, 0))?.mac, undefined);
});

test('a frame is read as it was written', () => {
  const parts = {
    destination: mac,
    source: parseMac('02:00:00:00:00:07')!,
    type: 0x88b5,
    payload: Uint8Array.of(1, 2),
  };
  assert.deepEqual(readFrame(writeFrame(parts)), parts);
  assert.equal(readFrame(new Uint8Array(13)), undefined);
});
