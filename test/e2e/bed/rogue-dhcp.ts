/**
 * A DHCP server that nobody wants, as a program of its own: `node rogue-dhcp.ts MODE`, on a machine that has an address.
 *
 *   garbage   answers everything with messages that are wrong in every way a network knows, and then offers 192.168.7.250
 *             under a transaction of its own
 *   refuse    answers every request with a NAK
 *   lend ADDRESS SECONDS
 *             gives everybody the same address, for less time than dnsmasq would
 */

import { createSocket } from 'node:dgram';
import { decodeMessage, encodeMessage, messageType, typeOf } from '../../../src/dhcp/message.ts';
import { answer } from '../../../src/dhcp/testing/server.ts';
import { parseAddress } from '../../../src/model/address.ts';

const [mode, lent = '', seconds = ''] = process.argv.slice(2);
const socket = createSocket({ type: 'udp4', reuseAddr: true });

function say(bytes: Uint8Array): void {
  socket.send(bytes, 68, '255.255.255.255');
}

socket.on('message', (bytes) => {
  const message = decodeMessage(bytes);
  if (message === undefined) return;
  const how = { server: '192.168.7.66', yours: '192.168.7.250' };
  if (mode === 'refuse') {
    if (typeOf(message) === messageType.request) say(encodeMessage(answer(message, 'nak', how)));
    return;
  }
  if (mode === 'lend') {
    const type = typeOf(message);
    const terms = { ...how, yours: lent, lease: Number(seconds) };
    if (type === messageType.discover) say(encodeMessage(answer(message, 'offer', terms)));
    if (type === messageType.request) say(encodeMessage(answer(message, 'ack', terms)));
    return;
  }
  const offer = encodeMessage(answer(message, 'offer', how));
  say(new Uint8Array(0));
  say(Uint8Array.from({ length: 300 }, (_, index) => (index * 37) & 255));
  for (const length of [1, 236, 239, 240, 243, 250]) say(offer.subarray(0, length));
  for (let at = 240; at < 270; at += 1) {
    const damaged = Uint8Array.from(offer);
    damaged[at] = 255 - damaged[at]!;
    // A transaction of nobody, or some of these would be good.
    damaged[4] = 255 - damaged[4]!;
    say(damaged);
  }
  const unusable = [
    { ...how, options: { 51: undefined } },
    { ...how, options: { 54: undefined } },
    { ...how, options: { 61: Uint8Array.of(0, 1, 2) } },
    { ...how, yours: '0.0.0.0' },
    { ...how, yours: '255.255.255.255' },
  ];
  for (const one of unusable) {
    const bad = answer(message, 'offer', { ...one, ...(one.yours === '0.0.0.0' ? { yours: '224.0.0.1' } : {}) });
    say(encodeMessage(bad));
  }
  const other = answer({ ...message, transaction: (message.transaction + 1) >>> 0 }, 'ack', how);
  say(encodeMessage({ ...other, yours: parseAddress('192.168.7.250')! }));
});

socket.bind(67, '0.0.0.0', () => {
  socket.setBroadcast(true);
  console.log('listening');
});
