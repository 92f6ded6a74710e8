import assert from 'node:assert/strict';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { parseAddress } from '../../model/address.ts';
import { decodeMessage, encodeMessage, IN, type Message, rcode, rcodeOf, type } from '../message.ts';
import { type DomainName, parseName } from '../name.ts';
import { addressOf } from '../records.ts';
import { type Datagrams, relayDatagrams } from './datagrams.ts';
import type { Known } from './respond.ts';

const known = (name: DomainName): Known | undefined =>
  name === 'web' ? { addresses: [parseAddress('10.1.0.2')!] } : undefined;

async function bound(): Promise<Socket> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return socket;
}

interface Stage {
  readonly relay: Datagrams;
  readonly client: Socket;
  readonly next: Socket;
  readonly asked: Socket;
  clock: number;
  ask(name: string, id?: number): void;
}

async function stage(t: TestContext): Promise<Stage> {
  const [asked, onward, next, client] = await Promise.all([bound(), bound(), bound(), bound()]);
  const self: Stage = {
    clock: 0,
    asked,
    next,
    client,
    relay: relayDatagrams({ asked, onward, next: next.address(), lookup: known, monotonic: () => self.clock }),
    ask: (name, id = 7) => client.send(query(name, id), asked.address().port, '127.0.0.1'),
  };
  t.after(async () => {
    for (const socket of [next, client]) socket.close();
    await self.relay.close();
  });
  return self;
}

const query = (name: string, id = 7): Uint8Array =>
  encodeMessage({
    id,
    flags: 0x0100,
    questions: [{ name: parseName(name)!, type: type.A, class: IN }],
    answers: [],
    authorities: [],
    additionals: [],
  });

async function heard(socket: Socket): Promise<{ message: Message; bytes: Buffer; from: RemoteInfo }> {
  const [bytes, from] = (await once(socket, 'message')) as [Buffer, RemoteInfo];
  return { message: decodeMessage(bytes)!, bytes, from };
}

/** As the next resolver does it: the question comes back as an answer. */
function echo(stage: Stage, bytes: Buffer, from: RemoteInfo, code: number = rcode.noSuchName): void {
  const answer = Buffer.from(bytes);
  answer[2] = answer[2]! | 0x80;
  answer[3] = code;
  stage.next.send(answer, from.port, from.address);
}

test('what is known is answered here, and the rest by the next resolver, each with its own number', async (t) => {
  const here = await stage(t);
  const first = heard(here.client);
  here.ask('web', 11);
  const { message } = await first;
  assert.deepEqual([message.id, addressOf(message.answers[0]!)], [11, parseAddress('10.1.0.2')]);

  const asked = heard(here.next);
  here.ask('www.example', 12);
  const { bytes, from } = await asked;
  assert.equal(decodeMessage(bytes)!.questions[0]!.name, 'www.example');
  assert.equal(here.relay.pending(), 1);
  const answer = heard(here.client);
  echo(here, bytes, from);
  const second = (await answer).message;
  assert.deepEqual([second.id, rcodeOf(second)], [12, rcode.noSuchName]);
  assert.equal(here.relay.pending(), 0);
});

test('only the next resolver is believed, and only what it was asked for', async (t) => {
  const here = await stage(t);
  const asked = heard(here.next);
  here.ask('www.example');
  const { bytes, from } = await asked;
  const got: Buffer[] = [];
  here.client.on('message', (message) => got.push(message));
  const stranger = await bound();
  t.after(() => stranger.close());
  const forged = Buffer.from(bytes);
  forged[2] = forged[2]! | 0x80;
  stranger.send(forged, from.port, from.address);
  const other = Buffer.from(forged);
  other.writeUInt16BE((forged.readUInt16BE(0) + 1) & 0xffff, 0);
  here.next.send(other, from.port, from.address);
  here.next.send(bytes, from.port, from.address);
  here.next.send(Buffer.of(1, 2, 3), from.port, from.address);
  const right = once(here.client, 'message');
  echo(here, bytes, from);
  await right;
  assert.equal(got.length, 1);
  assert.equal(decodeMessage(got[0]!)!.id, 7);
});

test('a next resolver that asks us is told so, rather than asked again', async (t) => {
  const here = await stage(t);
  const asked = heard(here.next);
  here.ask('www.example');
  const { bytes } = await asked;
  const loop = heard(here.next);
  here.next.send(bytes, here.asked.address().port, '127.0.0.1');
  const { message } = await loop;
  assert.equal(rcodeOf(message), rcode.serverFailure);
  assert.equal(here.relay.pending(), 1);
});

test('what is never answered is forgotten, and never more than so much is remembered', async (t) => {
  const here = await stage(t);
  let count = 0;
  here.next.on('message', () => (count += 1));
  const until = async (what: () => boolean): Promise<void> => {
    while (!what()) await once(here.next, 'message');
  };
  for (let round = 0; round < 60; round++) {
    for (let n = 0; n < 10; n++) here.ask(`n${round}-${n}.example`, n);
    await until(() => count >= (round + 1) * 10);
  }
  assert.equal(here.relay.pending(), 512);
  here.clock += 15_001;
  here.ask('last.example');
  await until(() => count === 601);
  assert.equal(here.relay.pending(), 1);
});

test('what is too long, or no question, is not handed on', async (t) => {
  const here = await stage(t);
  const { port } = here.asked.address();
  for (const bytes of [Buffer.alloc(5000, 1), Buffer.of(), Buffer.of(0), Buffer.alloc(12, 255)])
    here.client.send(bytes, port, '127.0.0.1');
  const asked = heard(here.next);
  here.ask('www.example');
  assert.equal((await asked).message.questions[0]!.name, 'www.example');
  assert.equal(here.relay.pending(), 1);
});

test('when it ends, what is under way is still answered', async (t) => {
  const here = await stage(t);
  const asked = heard(here.next);
  here.ask('www.example', 9);
  const { bytes, from } = await asked;
  const answer = heard(here.client);
  const closed = here.relay.close();
  echo(here, bytes, from);
  assert.equal((await answer).message.id, 9);
  await closed;
  await here.relay.close();
});
