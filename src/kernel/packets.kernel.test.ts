import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { parseAddress } from '../model/address.ts';
import { type Mac, parseMac } from '../model/mac.ts';
import { isolate } from './isolate.ts';
import type { Kernel } from './kernel.ts';
import { openKernel } from './linux.ts';
import { arpAnnouncement, arpProbe, readArp } from './packet/arp.ts';
import { writeFrame } from './packet/ethernet.ts';
import { duplicateSolicitation, readNeighbourMessage, unsolicitedAdvertisement } from './packet/neighbour-discovery.ts';
import type { Hearing, PacketPort, PacketRequest } from './packets.ts';

let kernel: Kernel;
const v4 = parseAddress('192.0.2.9')!;
const v6 = parseAddress('2001:db8::9')!;
const stranger = parseMac('0a:00:27:00:00:09')!;
const BROADCAST = 'ff:ff:ff:ff:ff:ff' as Mac;

const ip = (line: string): string => execFileSync('ip', line.split(' '), { encoding: 'utf8' });

before(async () => {
  isolate();
  pair();
  kernel = await openKernel();
});

after(() => kernel.close());

/** Two links, one for each end of a wire, without addresses of their own. */
function pair(): void {
  ip('link add here type veth peer name there');
  for (const link of ['here', 'there']) {
    ip(`link set ${link} addrgenmode none`);
    ip(`link set ${link} up`);
  }
}

/** A port, and what it has heard. */
async function listen(request: PacketRequest): Promise<{ port: PacketPort; heard: Uint8Array[]; ended: string[] }> {
  const port = await kernel.packets(request);
  const heard: Uint8Array[] = [];
  const ended: string[] = [];
  port.onFrame((frame) => heard.push(frame));
  port.onEnded(({ message }) => ended.push(message));
  return { port, heard, ended };
}

async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!condition()) {
    if (performance.now() > deadline) assert.fail(`not within 30 s: ${what}`);
    await setTimeout(5);
  }
}

const from = (bytes: number[], length = 64): Uint8Array => {
  const payload = new Uint8Array(length);
  payload.set(bytes);
  return payload;
};
const frame = (type: number, payload: Uint8Array) =>
  writeFrame({ destination: BROADCAST, source: stranger, type, payload });
/** UDP over IPv4, with header options, and as a later fragment. */
const udp4 = (port: number, { words = 5, fragment = 0, to = [0, 0, 0, 0] } = {}): Uint8Array => {
  const payload = from([0x40 | words, 0, 0, 64, 0, 0, fragment >> 8, fragment & 255, 64, 17]);
  payload.set(to, 16);
  payload.set([0, 67, port >> 8, port & 255], words * 4);
  return frame(0x0800, payload);
};
const ipv6 = (next: number, rest: number[]): Uint8Array => {
  const payload = from([0x60, 0, 0, 0, 0, 24, next, 255], 80);
  payload.set(rest, 40);
  return frame(0x86dd, payload);
};

const MDNS = [224, 0, 0, 251];
const MDNS6 = [0xff, 2, ...Array.from({ length: 13 }, () => 0), 0xfb];
const mdns6 = (to: number[], port: number): Uint8Array => {
  const whole = ipv6(17, [0x14, 0xe9, port >> 8, port & 255]);
  whole.set(to, 38);
  return whole;
};
const kinds: Readonly<Record<Hearing, readonly Uint8Array[]>> = {
  arp: [arpProbe(stranger, v4), arpAnnouncement(stranger, v4)],
  neighbours: [duplicateSolicitation(stranger, v6), unsolicitedAdvertisement(stranger, v6)],
  'router-advertisements': [ipv6(58, [134])],
  dhcp4: [udp4(68), udp4(68, { words: 7 })],
  dhcp6: [ipv6(17, [2, 35, 2, 34])],
  mdns: [udp4(5353, { to: MDNS }), udp4(5353, { to: MDNS, words: 6 })],
  mdns6: [mdns6([...MDNS6], 5353)],
};
const nobodys: readonly Uint8Array[] = [
  udp4(5353),
  udp4(5354, { to: MDNS }),
  mdns6([...MDNS6], 5354),
  mdns6(MDNS6.with(9, 1), 5353),
  udp4(5353, { to: MDNS, fragment: 1 }),
  udp4(67),
  udp4(68, { fragment: 1 }),
  udp4(68, { fragment: 0x2000 }),
  frame(0x0800, from([0x45, 0, 0, 64, 0, 0, 0, 0, 64, 6])),
  ipv6(17, [2, 35, 2, 35]),
  ipv6(58, [128]),
  ipv6(6, [134]),
  frame(0x88b5, from([1, 2, 3])),
  frame(0x0800, from([0x45], 4)),
  frame(0x86dd, from([0x60, 0, 0, 0, 0, 0, 58], 8)),
];
/** With the tag of a VLAN (IEEE 802.1Q). */
const tagged = (vlan: number, untagged: Uint8Array): Uint8Array =>
  Uint8Array.of(...untagged.subarray(0, 12), 0x81, 0, vlan >> 8, vlan & 255, ...untagged.subarray(12));
const all = Object.keys(kinds) as Hearing[];

const requests: readonly (readonly Hearing[])[] = [
  ...all.map((one) => [one]),
  ['arp', 'neighbours'],
  ['dhcp4', 'arp'],
  all,
];
for (const hears of requests) {
  test(`a port that is to hear ${hears.join(' and ')} hears just that`, async () => {
    const { port, heard } = await listen({ link: 'here', hears });
    const sender = await kernel.packets({ link: 'there', hears: [] });
    for (const one of [...nobodys, ...all.flatMap((kind) => kinds[kind])]) sender.send(one);
    const wanted = all.flatMap((kind) => (hears.includes(kind) ? kinds[kind] : []));
    await until('all has been heard', () => heard.length >= wanted.length);
    // Frames arrive in order, so whatever was let through before the last one is here.
    assert.deepEqual(heard.map(Buffer.from), wanted.map(Buffer.from));
    port.close();
    sender.close();
  });
}

test('what the link itself sends is not heard', async () => {
  const here = await listen({ link: 'here', hears: ['arp'] });
  const there = await listen({ link: 'there', hears: ['arp'] });
  // By another socket: what a socket sends it never hears.
  const other = await kernel.packets({ link: 'here', hears: [] });
  other.send(arpProbe(stranger, v4));
  await until('the other end has heard it', () => there.heard.length > 0);
  there.port.send(arpAnnouncement(stranger, v4));
  await until('an answer has been heard', () => here.heard.length > 0);
  assert.deepEqual(here.heard.map(readArp), [readArp(arpAnnouncement(stranger, v4))]);
  other.close();
  here.port.close();
  there.port.close();
});

test('what is tagged for a VLAN is not heard, what has the tag for none is', async () => {
  const { port, heard } = await listen({ link: 'here', hears: ['arp'] });
  const sender = await kernel.packets({ link: 'there', hears: [] });
  sender.send(tagged(120, arpProbe(stranger, v4)));
  sender.send(tagged(0, arpAnnouncement(stranger, v4)));
  await until('something is heard', () => heard.length > 0);
  assert.deepEqual(heard.map(readArp), [readArp(arpAnnouncement(stranger, v4))]);
  port.close();
  sender.close();
});

test('a port knows its link: MAC and index', async () => {
  const { port } = await listen({ link: 'here', hears: ['arp'] });
  const [link] = JSON.parse(ip('-j link show here')) as { ifindex: number; address: string }[];
  assert.deepEqual([port.mac, port.index], [link!.address, link!.ifindex]);
  port.close();
});

test('the link takes in frames to other MACs for as long as such a port is open', async () => {
  const promiscuity = () => (JSON.parse(ip('-j -d link show here')) as { promiscuity: number }[])[0]!.promiscuity;
  const { port } = await listen({ link: 'here', hears: ['arp'], promiscuous: true });
  assert.equal(promiscuity(), 1);
  port.close();
  await until('it goes with the port', () => promiscuity() === 0);
});

test('a closed port hears and sends nothing, and may be closed again', async () => {
  const { port, heard } = await listen({ link: 'here', hears: ['arp'] });
  const there = await listen({ link: 'there', hears: ['arp'] });
  port.close();
  port.close();
  port.send(arpProbe(stranger, v4));
  there.port.send(arpAnnouncement(stranger, v4));
  const fresh = await listen({ link: 'here', hears: ['arp'] });
  fresh.port.send(arpProbe(stranger, v4));
  there.port.send(arpProbe(stranger, v4));
  await until('the new port works', () => fresh.heard.length > 0 && there.heard.length > 0);
  assert.deepEqual([heard.length, there.heard.length], [0, 1]);
  fresh.port.close();
  there.port.close();
});

test('once it is flushed all has gone out, and what had come in by then is told', async () => {
  const here = await listen({ link: 'here', hears: ['arp'] });
  const sender = await kernel.packets({ link: 'there', hears: [] });
  for (let round = 1; round <= 20; round++) {
    // Whatever the thread is at: this takes it a while.
    const busy = kernel.view();
    sender.send(arpProbe(stranger, v4));
    await sender.flushed();
    await here.port.flushed();
    assert.equal(here.heard.length, round);
    await busy;
  }
  const last = sender.flushed();
  sender.close();
  await last;
  await sender.flushed();
  here.port.close();
});

test('a listener that closes the port gets no further frame', async () => {
  const port = await kernel.packets({ link: 'here', hears: ['arp'] });
  const witness = await listen({ link: 'here', hears: ['arp'] });
  const sender = await kernel.packets({ link: 'there', hears: [] });
  let heard = 0;
  port.onFrame(() => {
    heard += 1;
    port.close();
  });
  for (let count = 0; count < 10; count++) sender.send(arpProbe(stranger, v4));
  await until('all have been heard by another', () => witness.heard.length === 10);
  assert.equal(heard, 1);
  witness.port.close();
  sender.close();
});

test('a port in another namespace', async () => {
  ip('netns add bkother');
  try {
    ip('link add outside type veth peer name inside netns bkother');
    ip('link set outside up');
    ip('-n bkother link set inside up');
    const netns = '/run/netns/bkother';
    const inside = await listen({ link: 'inside', netns, hears: ['arp'] });
    const outside = await kernel.packets({ link: 'outside', hears: [] });
    outside.send(arpProbe(stranger, v4));
    await until('it is heard', () => inside.heard.length > 0);
    inside.port.close();
    outside.close();
    await assert.rejects(kernel.packets({ link: 'outside', netns, hears: [] }), { code: 'INTERFACE_UNKNOWN' });
  } finally {
    ip('netns delete bkother');
    await until('the pair has gone with it', () => !ip('link').includes('outside'));
  }
});

test('a link that is not there, or has no Ethernet, is an error; so is a namespace that is not there', async () => {
  await assert.rejects(kernel.packets({ link: 'nowhere', hears: ['arp'] }), {
    code: 'INTERFACE_UNKNOWN',
    message: 'there is no interface nowhere',
  });
  await assert.rejects(kernel.packets({ link: 'lo', hears: ['arp'] }), { code: 'INTERFACE_UNSUITABLE' });
  await assert.rejects(kernel.packets({ link: 'lo', netns: '/run/netns/none', hears: [] }), { code: 'KERNEL_REFUSED' });
});

test('a link that goes down and comes up again is heard again', async () => {
  const { port, heard, ended } = await listen({ link: 'here', hears: ['arp'] });
  const sender = await kernel.packets({ link: 'there', hears: [] });
  for (let round = 1; round <= 3; round++) {
    ip('link set here down');
    sender.send(arpProbe(stranger, v4));
    await kernel.view();
    ip('link set here up');
    await kernel.view();
    await until('heard again', () => {
      sender.send(arpProbe(stranger, v4));
      return heard.length >= round;
    });
    heard.length = round;
  }
  assert.deepEqual(ended, []);
  port.close();
  sender.close();
});

test('a link that is down may be listened to before it comes up', async () => {
  ip('link set here down');
  const { port, heard } = await listen({ link: 'here', hears: ['arp'] });
  const sender = await kernel.packets({ link: 'there', hears: [] });
  ip('link set here up');
  await until('heard', () => {
    sender.send(arpProbe(stranger, v4));
    return heard.length > 0;
  });
  port.close();
  sender.close();
});

for (const [what, first] of [
  ['a link that is deleted', false],
  ['a link that is set down, and deleted later,', true],
] as const) {
  test(`${what} ends its ports, once, and they may still be closed`, async () => {
    ip('link add short type veth peer name lived');
    ip('link set short up');
    const { port, ended } = await listen({ link: 'short', hears: ['arp'] });
    const silent = await listen({ link: 'lived', hears: [] });
    if (first) ip(`link set short down`);
    if (first) await setTimeout(100);
    ip('link delete short');
    await until('told', () => ended.length > 0 && silent.ended.length > 0);
    assert.deepEqual([ended, silent.ended], [['the interface short is gone'], ['the interface lived is gone']]);
    port.send(arpProbe(stranger, v4));
    port.close();
    await kernel.view();
    assert.equal(ended.length, 1);
  });
}

test('a flood is bounded, and does not hold up the kernel thread or the other ports', async () => {
  const { port, heard } = await listen({ link: 'here', hears: ['neighbours'] });
  const flooded = await listen({ link: 'here', hears: ['arp'] });
  const sender = await kernel.packets({ link: 'there', hears: [] });
  for (let count = 0; count < 20_000; count++) sender.send(arpProbe(stranger, v4));
  sender.send(unsolicitedAdvertisement(stranger, v6));
  await kernel.view();
  await until('what comes after the flood is heard', () => heard.length > 0);
  // 20,000 were sent in one go, with no turn of the event loop in between to take them.
  assert.ok(flooded.heard.length < 20_000, `${flooded.heard.length} heard`);
  assert.ok(flooded.heard.length > 0);
  assert.deepEqual(heard.map(readNeighbourMessage), [readNeighbourMessage(unsolicitedAdvertisement(stranger, v6))]);
  const before = flooded.heard.length;
  await until('the flooded port hears again', () => {
    sender.send(arpProbe(stranger, v4));
    return flooded.heard.length > before;
  });
  for (const one of [port, flooded.port, sender]) one.close();
});

test('closing leaves no socket', async () => {
  const sockets = () => readFileSync('/proc/thread-self/net/packet', 'utf8').trim().split('\n').length - 1;
  // Another thread closes them: also those of the tests before.
  const closed = async (most: number) => {
    for (const end = performance.now() + 2000; sockets() > most && performance.now() < end; ) await setTimeout(10);
  };
  await kernel.view();
  await closed(0);
  const before = sockets();
  const ports = await Promise.all(Array.from({ length: 5 }, () => kernel.packets({ link: 'here', hears: ['arp'] })));
  assert.equal(sockets(), before + 5);
  for (const port of ports) port.close();
  await kernel.view();
  await closed(before);
  assert.equal(sockets(), before);
});
