import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { parseAddress } from '../../model/address.ts';
import { decodeMessage, encodeMessage, IN, type Message, rcode, rcodeOf, type } from '../message.ts';
import { type DomainName, parseName } from '../name.ts';
import type { Known } from './respond.ts';
import { messages, relayStreams } from './streams.ts';

const known = (name: DomainName): Known | undefined =>
  name === 'web' ? { addresses: [parseAddress('10.1.0.2')!] } : undefined;

async function listening(t: TestContext, handle?: (socket: Socket) => void): Promise<Server> {
  const server = createServer(handle).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return server;
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

const framed = (name: string, id: number): Buffer => {
  const questions = [{ name: parseName(name)!, type: type.A, class: IN }];
  const message = encodeMessage({ id, flags: 0, questions, answers: [], authorities: [], additionals: [] });
  return Buffer.concat([Buffer.of(message.length >> 8, message.length & 255), message]);
};

/** @param next what becomes of connections to the next resolver; by default, each name is not there. */
async function stage(t: TestContext, next: (socket: Socket) => void = refuse) {
  const resolver = await listening(t, next);
  const server = await listening(t);
  let connections = 0;
  const streams = relayStreams({
    server,
    lookup: known,
    onward: async () => {
      connections += 1;
      const socket = connect(portOf(resolver), '127.0.0.1');
      await once(socket, 'connect');
      return socket;
    },
  });
  t.after(() => streams.close());
  const client = connect(portOf(server), '127.0.0.1');
  client.on('error', () => undefined);
  t.after(() => client.destroy());
  const got: Message[] = [];
  client.on(
    'data',
    messages((bytes) => got.push(decodeMessage(bytes)!)),
  );
  const answers = async (count: number): Promise<Message[]> => {
    while (got.length < count) await once(client, 'data');
    return got;
  };
  return { client, answers, streams, connections: () => connections };
}

function refuse(socket: Socket): void {
  socket.on('error', () => undefined);
  socket.on(
    'data',
    messages((bytes) => {
      const answer = Buffer.from(bytes);
      answer[2] = 0x80;
      answer[3] = rcode.noSuchName;
      socket.write(Buffer.concat([Buffer.of(answer.length >> 8, answer.length & 255), answer]));
    }),
  );
}

test('several questions on one connection: known ones here, all others over one further connection', async (t) => {
  const { client, answers, connections } = await stage(t);
  client.write(Buffer.concat([framed('web', 1), framed('a.example', 2), framed('web', 3), framed('b.example', 4)]));
  const byId = new Map((await answers(4)).map((message) => [message.id, message]));
  assert.deepEqual([byId.get(1)!.answers.length, byId.get(3)!.answers.length], [1, 1]);
  assert.deepEqual(
    [2, 4].map((id) => rcodeOf(byId.get(id)!)),
    [rcode.noSuchName, rcode.noSuchName],
  );
  assert.equal(connections(), 1);
});

test('a question that comes byte by byte, and without need for the next resolver', async (t) => {
  const { client, answers, connections } = await stage(t);
  client.setNoDelay(true);
  for (const byte of framed('web', 5)) client.write(Buffer.of(byte));
  assert.equal((await answers(1))[0]!.id, 5);
  assert.equal(connections(), 0);
});

test('a message that is too long ends the connection', async (t) => {
  const { client } = await stage(t);
  client.write(Buffer.of(0xff, 0xff, 1));
  await once(client, 'close');
});

test('a next resolver that hangs up, or is not there, ends the connection', async (t) => {
  const { client } = await stage(t, (socket) => socket.destroy());
  client.write(framed('a.example', 1));
  client.resume();
  await once(client, 'close');
});

test('closing ends what is open', async (t) => {
  const { client, answers, streams } = await stage(t);
  client.write(framed('web', 1));
  await answers(1);
  streams.close();
  await once(client, 'close');
});

test('messages are put together however they are cut', () => {
  const message = fc.uint8Array({ maxLength: 40 });
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 6 }),
      fc.infiniteStream(fc.integer({ min: 1, max: 9 })),
      (all, sizes) => {
        const bytes = Buffer.concat(all.flatMap((one) => [Buffer.of(one.length >> 8, one.length & 255), one]));
        const found: Buffer[] = [];
        const take = messages((one) => found.push(Buffer.from(one)));
        for (let at = 0; at < bytes.length; ) {
          const size = sizes.next().value as number;
          take(bytes.subarray(at, at + size));
          at += size;
        }
        assert.deepEqual(
          found.map((one) => [...one]),
          all.map((one) => [...one]),
        );
      },
    ),
  );
});
