/** Two containers on a router between them, as namespaces of this test. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { after, before, describe, it } from 'node:test';
import { type Address, parseAddress } from '../../model/address.ts';
import { BerthError } from '../../model/errors.ts';
import { isolate } from '../isolate.ts';
import { type EchoAnswer, type EchoRequest, reach } from './reach.ts';

const name = `brt-${randomBytes(4).toString('hex')}`;
const beyond = `${name}-far`;
const netns = `/run/netns/${name}`;
const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });
const inside = (...args: string[]): string => ip('-n', name, ...args);
const address = (text: string): Address => parseAddress(text)!;
const echo = (target: string, more: Partial<EchoRequest> = {}): EchoRequest => ({
  target: address(target),
  count: 3,
  interval: 10,
  patience: 1000,
  ...more,
});

async function echoed(target: string, more: Partial<EchoRequest> = {}): Promise<EchoAnswer> {
  const { echoes } = await reach({ netns, echoes: [echo(target, more)] });
  return echoes[0]!;
}

before(() => {
  isolate();
  ip('netns', 'add', name);
  ip('link', 'add', 'host', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
  ip('netns', 'add', beyond);
  ip('link', 'add', 'far', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', beyond);
  for (const args of [
    ['address', 'add', '10.1.0.1/24', 'dev', 'host'],
    ['address', 'add', 'fd01::1/64', 'dev', 'host', 'nodad'],
    ['link', 'set', 'host', 'up'],
    ['address', 'add', '10.2.0.1/24', 'dev', 'far'],
    ['link', 'set', 'far', 'up'],
  ]) {
    ip(...args);
  }
  for (const args of [
    ['address', 'add', '10.1.0.5/24', 'dev', 'eth0'],
    ['address', 'add', 'fd01::5/64', 'dev', 'eth0', 'nodad'],
    ['link', 'set', 'eth0', 'up'],
    ['link', 'set', 'lo', 'up'],
    ['route', 'add', 'default', 'via', '10.1.0.1'],
  ]) {
    inside(...args);
  }
  for (const args of [
    ['address', 'add', '10.2.0.9/24', 'dev', 'eth0'],
    ['link', 'set', 'eth0', 'up'],
    ['route', 'add', 'default', 'via', '10.2.0.1'],
  ]) {
    ip('-n', beyond, ...args);
  }
});

after(() => {
  ip('netns', 'del', name);
  ip('netns', 'del', beyond);
});

describe('who is reached from a namespace', () => {
  for (const target of ['10.1.0.1', 'fd01::1']) {
    it(`${target}: how fast, and with which packets`, async () => {
      const answer = await echoed(target, { largest: 1500 });
      assert.equal(answer.sent, 3);
      assert.equal(answer.times.length, 3);
      for (const time of answer.times) assert.ok(time > 0 && time < 1000, `${time} ms`);
      assert.equal(answer.mtu, 1500);
      assert.deepEqual(answer.obstacles, []);
    });
  }

  it('packets that somebody on the way drops in silence are found', async () => {
    // A bridge port, as it were: too large frames vanish.
    ip('link', 'set', 'host', 'mtu', '1400');
    try {
      // A veth takes four bytes more than its MTU, as much as a VLAN's tag (is_skb_forwardable).
      assert.equal((await echoed('10.1.0.1', { largest: 1500, patience: 100 })).mtu, 1404);
      assert.equal((await echoed('fd01::1', { largest: 1500, patience: 100 })).mtu, 1404);
    } finally {
      ip('link', 'set', 'host', 'mtu', '1500');
    }
  });

  it('no packet is larger than the interface takes', async () => {
    inside('link', 'set', 'eth0', 'mtu', '1300');
    try {
      assert.equal((await echoed('10.1.0.1', { largest: 1500 })).mtu, 1300);
    } finally {
      inside('link', 'set', 'eth0', 'mtu', '1500');
    }
  });

  it('many at once, each with its own answer', async () => {
    const targets = ['10.1.0.1', '10.1.0.77', 'fd01::1', '10.2.0.1'];
    const { echoes } = await reach({ netns, echoes: targets.map((target) => echo(target, { patience: 100 })) });
    assert.deepEqual(
      echoes.map(({ times }) => times.length),
      [3, 0, 3, 3],
    );
  });

  it('who is not there, and what says so', async () => {
    const silent = await echoed('10.1.0.99', { patience: 3500 });
    assert.deepEqual(silent.times, []);
    assert.equal(silent.mtu, undefined);
    // Nobody answers the kernel's ARP.
    assert.deepEqual(silent.obstacles, [{ code: 'EHOSTUNREACH', from: '10.1.0.5' }]);
    const without = await echoed('fd09::1');
    assert.deepEqual(without.obstacles, [{ code: 'ENETUNREACH' }]);
  });

  it('a router that refuses is named', async () => {
    ip('route', 'add', 'prohibit', '10.9.0.0/24');
    execFileSync('sysctl', ['-qw', 'net.ipv4.ip_forward=1']);
    const { obstacles } = await echoed('10.9.0.1', { patience: 200 });
    assert.deepEqual(obstacles, [{ code: 'EHOSTUNREACH', from: '10.1.0.1' }]);
  });

  it('a router’s word on its MTU is believed', async () => {
    execFileSync('sysctl', ['-qw', 'net.ipv4.ip_forward=1']);
    ip('link', 'set', 'far', 'mtu', '1333');
    const { times, mtu } = await echoed('10.2.0.9', { largest: 1500 });
    assert.equal(times.length, 3);
    assert.equal(mtu, 1333);
  });

  it('questions are asked from in there', async () => {
    const server = createSocket('udp4');
    await new Promise<void>((resolve) => server.bind(5353, '10.1.0.1', resolve));
    const asked: string[] = [];
    server.on('message', (message, { address: who, port }) => {
      asked.push(who);
      server.send(`${message.toString()}!`, port, who);
    });
    const payload = new TextEncoder().encode('who');
    try {
      const { questions } = await reach({
        netns,
        questions: [
          { server: address('10.1.0.1'), port: 5353, payload, patience: 2000 },
          { server: address('10.1.0.1'), port: 5354, payload, patience: 2000 },
        ],
      });
      assert.equal(Buffer.from(questions[0]!.payload!).toString(), 'who!');
      assert.deepEqual(questions[1], { obstacles: [{ code: 'ECONNREFUSED', from: '10.1.0.1' }] });
      assert.deepEqual([...new Set(asked)], ['10.1.0.5']);
    } finally {
      server.close();
    }
  });

  it('from our own namespace', async () => {
    const { echoes } = await reach({ echoes: [echo('10.1.0.5')] });
    assert.equal(echoes[0]!.times.length, 3);
  });

  it('a namespace that is gone is an error', async () => {
    await assert.rejects(
      reach({ netns: '/run/netns/nosuch', echoes: [echo('10.1.0.1')] }),
      (error) => error instanceof BerthError && error.code === 'KERNEL_REFUSED',
    );
  });
});
