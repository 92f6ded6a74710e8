import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { parseAddress } from '../model/address.ts';
import { query, type Reply, type Server, update } from './client.ts';
import { parseKeyFile, type TsigKey } from './key-file.ts';
import { decodeMessage, encodeMessage, flag, type Message, rcodeOf, type } from './message.ts';
import { parseName } from './name.ts';
import { addressRecord, textRecord } from './records.ts';
import { sign, verify } from './tsig.ts';
import { add } from './update.ts';

const loopback = parseAddress('127.0.0.1')!;
const WEB = parseName('web.home.example')!;
const key = parseKeyFile('key "berth" { algorithm hmac-sha512; secret "c2VjcmV0"; };') as TsigKey;
const waits = [50, 2000];

interface Asked {
  readonly bytes: Uint8Array;
  readonly message: Message;
  readonly number: number;
  reply(bytes: Uint8Array): void;
}

/** A server on loopback, by UDP, and by TCP on the same port. */
async function serve(answer: (asked: Asked) => void, byTcp?: (message: Message) => Uint8Array) {
  const socket: Socket = createSocket('udp4');
  let number = 0;
  socket.on('message', (bytes, from) => {
    number += 1;
    answer({
      bytes,
      message: decodeMessage(bytes)!,
      number,
      reply: (reply) => socket.send(reply, from.port, from.address),
    });
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const { port } = socket.address();
  const stream = createServer((connection) => {
    let received = Buffer.alloc(0);
    connection.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
      const reply = Buffer.from(byTcp!(decodeMessage(received.subarray(2))!));
      const whole = Buffer.concat([Buffer.from([reply.length >> 8, reply.length & 255]), reply]);
      // In pieces, as it may come.
      connection.write(whole.subarray(0, 1));
      setTimeout(() => connection.end(whole.subarray(1)), 20);
    });
    connection.on('error', () => undefined);
  });
  if (byTcp !== undefined) await new Promise<void>((resolve) => stream.listen(port, '127.0.0.1', resolve));
  const server: Server = { address: loopback, port };
  return {
    server,
    [Symbol.dispose]() {
      socket.close();
      stream.close();
    },
  };
}

const answerTo = ({ id, flags, questions }: Message, more: Partial<Message> = {}): Uint8Array =>
  encodeMessage({
    id,
    flags: flags | flag.response | flag.authoritative,
    questions,
    answers: [addressRecord(WEB, loopback, 5)],
    authorities: [],
    additionals: [],
    ...more,
  });
const answers = (reply: Reply): number => ('answer' in reply ? reply.answer.answers.length : -1);

test('asks again when nothing comes, and takes no answer to another question', async () => {
  using up = await serve(({ message, number, reply }) => {
    if (number === 1) return;
    reply(Uint8Array.of(1, 2, 3));
    reply(answerTo({ ...message, id: message.id ^ 1 }));
    reply(answerTo({ ...message, questions: [{ ...message.questions[0]!, type: type.TXT }] }));
    reply(encodeMessage({ ...message, answers: [addressRecord(WEB, loopback, 5), addressRecord(WEB, loopback, 5)] }));
    reply(answerTo(message));
  });
  assert.equal(answers(await query(up.server, WEB, type.A, { waits })), 1);
});

test('by TCP when the answer is cut off, and when the question is long', async () => {
  using up = await serve(
    ({ message, reply }) =>
      reply(answerTo(message, { flags: message.flags | flag.response | flag.truncated, answers: [] })),
    (message) => answerTo(message),
  );
  assert.equal(answers(await query(up.server, WEB, type.A, { waits })), 1);
  const changes = Array.from({ length: 9 }, () => add(textRecord(WEB, ['x'.repeat(60)], 5)));
  assert.equal(answers(await update(up.server, { zone: WEB, prerequisites: [], changes }, { waits })), 1);
});

test('nobody there, nobody who speaks, and an end in between', async () => {
  const silence = await serve(() => undefined);
  const late = await query(silence.server, WEB, type.A, { waits: [10, 10] });
  assert.ok('problem' in late && /does not answer|cannot be reached/.test(late.problem));
  const ending = new AbortController();
  const waiting = query(silence.server, WEB, type.A, { waits: [60_000], signal: ending.signal });
  ending.abort();
  assert.deepEqual(await waiting, { problem: 'Berth is stopping' });
  assert.deepEqual(await query(silence.server, WEB, type.A, { signal: ending.signal }), {
    problem: 'Berth is stopping',
  });
  silence[Symbol.dispose]();
  const gone = await query(silence.server, WEB, type.A, { waits: [20, 20] });
  assert.ok('problem' in gone && /cannot be reached/.test(gone.problem));
});

test('with a key: only an answer that is signed with it', async () => {
  const now = () => 1_700_000_000;
  const ask = async (say: (message: Message, request: Uint8Array) => Uint8Array): Promise<Reply> => {
    using up = await serve(({ bytes, reply }) => {
      const verdict = verify(bytes, key, now());
      assert.ok(verdict.is === 'good');
      const message = decodeMessage(bytes)!;
      reply(say({ ...message, additionals: [] }, verdict.mac));
    });
    return await query({ ...up.server, key }, WEB, type.A, { waits, now });
  };
  assert.equal(answers(await ask((message, mac) => sign(answerTo(message), key, now(), mac).bytes)), 1);
  assert.deepEqual(await ask((message) => answerTo(message)), { problem: 'its answer is not signed' });
  const other = { ...key, secret: Uint8Array.of(1) };
  const forged = await ask((message, mac) => sign(answerTo(message), other, now(), mac).bytes);
  assert.ok('problem' in forged && /cannot be trusted: its signature is wrong/.test(forged.problem));
  const refused = await ask((message) => answerTo(message, { flags: flag.response | 5, answers: [] }));
  assert.equal('answer' in refused && rcodeOf(refused.answer), 5);
});
