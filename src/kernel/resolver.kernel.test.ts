import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import { connect, createServer, Socket as Stream } from 'node:net';
import { after, before, test } from 'node:test';
import { isolate } from './isolate.ts';
import type { Kernel } from './kernel.ts';
import { openKernel } from './linux.ts';

const RESOLVER = '127.0.0.11';
/** Of the main thread, which is the one that is isolated. */
const here = '/proc/self/ns/net';
let kernel: Kernel;
/** In the place of the engine's: as that one, on some port, with a rule that leads port 53 there. */
const engine = createSocket('udp4');
const engineStreams = createServer((stream) => stream.on('data', (data) => stream.end(`engine ${data.toString()}`)));

before(async () => {
  isolate();
  kernel = await openKernel();
  engine.on('message', (data, { address, port }) => engine.send(`engine ${data.toString()}`, port, address));
  engine.bind(0, RESOLVER);
  await once(engine, 'listening');
  engineStreams.listen(0, RESOLVER);
  await once(engineStreams, 'listening');
  const port = (address: unknown) => (address as { port: number }).port;
  nft(`table ip nat { chain OUTPUT { type nat hook output priority -100;
    ip daddr ${RESOLVER} udp dport 53 dnat to ${RESOLVER}:${port(engine.address())}
    ip daddr ${RESOLVER} tcp dport 53 dnat to ${RESOLVER}:${port(engineStreams.address())}
  }
}`);
});

after(async () => {
  engine.close();
  engineStreams.close();
  await kernel.close();
});

const nft = (commands: string): string => execFileSync('nft', ['-f', '-'], { encoding: 'utf8', input: commands });
const tables = (): string => execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' });

async function asking(): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.connect(53, RESOLVER);
  await once(socket, 'connect');
  return socket;
}

async function ask(socket: Socket, text: string): Promise<string> {
  socket.send(text);
  const [answer] = (await once(socket, 'message', { signal: AbortSignal.timeout(5000) })) as [Buffer];
  return answer.toString();
}

async function askByStream(stream: Stream, text: string): Promise<string> {
  stream.write(text);
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}

test('what is asked comes to us, and to the engine again as soon as we do not serve, from the same port too', async () => {
  const client = await asking();
  assert.equal(await ask(client, 'one'), 'engine one');

  const sockets = await kernel.beforeResolver(here);
  const server = createSocket('udp4');
  server.bind({ fd: sockets.datagrams });
  server.on('message', (data, { address, port }) => server.send(`berth ${data.toString()}`, port, address));
  assert.equal(await ask(client, 'two'), 'berth two');

  const onward = createSocket('udp4');
  onward.bind({ fd: sockets.onward });
  onward.send('three', 53, RESOLVER);
  const [answer, from] = (await once(onward, 'message')) as [Buffer, { address: string; port: number }];
  assert.equal(answer.toString(), 'engine three');
  assert.deepEqual([from.address, from.port], [RESOLVER, 53]);

  const streams = createServer((stream) => stream.on('data', (data) => stream.end(`berth ${data.toString()}`)));
  streams.listen({ fd: sockets.streams });
  await once(streams, 'listening');
  assert.equal(await askByStream(connect(53, RESOLVER), 'four'), 'berth four');
  const further = new Stream({ fd: await kernel.resolverStream(here) });
  assert.equal(await askByStream(further, 'five'), 'engine five');

  closeSync(sockets.redirection);
  assert.equal(await ask(client, 'six'), 'engine six');
  assert.equal(await askByStream(connect(53, RESOLVER), 'seven'), 'engine seven');
  for (const one of [client, server, onward, streams]) one.close();
});

test('the table is nobody else to remove, and goes with its socket', async () => {
  const sockets = await kernel.beforeResolver(here);
  assert.match(tables(), /berth-names/);
  nft('flush ruleset ip');
  assert.match(tables(), /berth-names/);
  assert.notEqual(spawnSync('nft', ['delete', 'table', 'ip', 'berth-names']).status, 0);
  // The number of the table is taken: a second one is refused, and leaves nothing open.
  await assert.rejects(kernel.beforeResolver(here), { code: 'KERNEL_REFUSED' });
  for (const fd of Object.values(sockets) as number[]) closeSync(fd);
  assert.doesNotMatch(tables(), /berth-names/);
});

test('a namespace that is not there', async () => {
  await assert.rejects(kernel.beforeResolver('/run/docker/netns/none'), { code: 'KERNEL_REFUSED' });
  await assert.rejects(kernel.resolverStream('/run/docker/netns/none'), { code: 'KERNEL_REFUSED' });
});
