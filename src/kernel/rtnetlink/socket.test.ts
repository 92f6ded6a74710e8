import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import type { Syscalls } from '../syscalls.ts';
import { readU32, Writer } from './attributes.ts';
import { NLM_F_ACK, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR } from './constants.ts';
import type { Refusal } from './errors.ts';
import { type Message, readMessages, request } from './message.ts';
import { openSocket } from './socket.ts';

const { EAGAIN, EINTR, ENODEV, ENOENT, EPERM } = constants.errno;

interface Answer {
  readonly type: number;
  readonly flags?: number;
  readonly sequence: number;
  readonly word: number;
}

/** A kernel that answers each send as the test says: with datagrams, or with errno (negative) in place of one. */
function kernel(answer: (requests: readonly Message[]) => readonly (readonly Answer[] | number)[]): {
  syscalls: Syscalls;
  sends: Message[][];
} {
  const sends: Message[][] = [];
  const waiting: (Uint8Array | number)[] = [];
  const syscalls: Syscalls = {
    socket: () => 9,
    bind: () => 0,
    connect: () => -EPERM,
    linkIndex: () => -EPERM,
    listen: () => -EPERM,
    getsockname: () => -EPERM,
    setsockopt: () => 0,
    attachFilter: () => -EPERM,
    send(_fd, data) {
      const requests = [...readMessages(data.slice())];
      sends.push(requests);
      waiting.push(...answer(requests).map((datagram) => (typeof datagram === 'number' ? datagram : encode(datagram))));
      return data.length;
    },
    recv(_fd, into) {
      const next = waiting.shift();
      if (next === undefined) return -EAGAIN;
      if (typeof next === 'number') return next;
      into.set(next);
      return next.length;
    },
    recvWithControl: () => -EAGAIN,
    ethtool: () => -EPERM,
    open: () => -ENOENT,
    close: () => 0,
    closeElsewhere() {},
    setns: () => -EPERM,
    whenReadable: () => () => {},
  };
  return { syscalls, sends };
}

function encode(messages: readonly Answer[]): Uint8Array {
  const writer = new Writer();
  for (const { type, flags = 0, sequence, word } of messages) {
    writer.u32(20).u16(type).u16(flags).u32(sequence).u32(0).u32(word);
  }
  return writer.bytes;
}

const error = (sequence: number, errno: number): Answer => ({ type: NLMSG_ERROR, sequence, word: -errno >>> 0 });
const done = (sequence: number, flags = 0): Answer => ({ type: NLMSG_DONE, flags, sequence, word: 0 });
const item = (sequence: number, word: number, flags = 0): Answer => ({ type: 16, flags, sequence, word });

const ask = (word = 0) => request(18, 0, (writer) => writer.u32(word));
const word = ({ body }: Message) => readU32(body, 0);
const refusedWith = (errno: number) => (thrown: unknown) => (thrown as Refusal).errno === errno;

test('a batch is one send in which only the last asks for an answer, and each failure is laid to its request', () => {
  const { syscalls, sends } = kernel((requests) => {
    const [, second, third] = requests;
    return [[error(second!.sequence, ENODEV)], [error(third!.sequence, 0)]];
  });
  const outcomes = openSocket(syscalls).request([ask(1), ask(2), ask(3)]);
  assert.deepEqual(
    outcomes.map(({ errno }) => errno),
    [0, ENODEV, 0],
  );
  assert.equal(sends.length, 1);
  assert.deepEqual(
    sends[0]!.map(({ flags }) => (flags & NLM_F_ACK) !== 0),
    [false, false, true],
  );
  assert.deepEqual(sends[0]!.map(word), [1, 2, 3]);
});

test('a batch is split before its failures could overflow the receive buffer', () => {
  const { syscalls, sends } = kernel((requests) => [[error(requests.at(-1)!.sequence, 0)]]);
  const all = Array.from({ length: 600 }, (_, number) => ask(number));
  assert.equal(openSocket(syscalls).request(all).length, 600);
  assert.deepEqual(
    sends.map(({ length }) => length),
    [256, 256, 88],
  );
  assert.deepEqual(
    sends.flat().map(word),
    all.map((_, number) => number),
  );
});

test('a dump goes on to its end over many datagrams', () => {
  const { syscalls } = kernel(([{ sequence } = { sequence: 0 }]) => [
    [item(sequence, 1), item(sequence, 2)],
    [item(sequence, 3)],
    [done(sequence)],
  ]);
  assert.deepEqual(openSocket(syscalls).dump(ask(), word), [1, 2, 3]);
});

test('a dump that a change interrupted is read anew', () => {
  let attempt = 0;
  const { syscalls, sends } = kernel(([{ sequence } = { sequence: 0 }]) => {
    attempt += 1;
    return attempt < 3
      ? [[item(sequence, 1)], [item(sequence, 2, NLM_F_DUMP_INTR)], [done(sequence, NLM_F_DUMP_INTR)]]
      : [[item(sequence, 7)], [done(sequence)]];
  });
  assert.deepEqual(openSocket(syscalls).dump(ask(), word), [7]);
  assert.equal(sends.length, 3);
});

test('a dump that is always interrupted ends with an error, not with half an answer', () => {
  const { syscalls } = kernel(([{ sequence } = { sequence: 0 }]) => [[done(sequence, NLM_F_DUMP_INTR)]]);
  assert.throws(() => openSocket(syscalls).dump(ask(), word), refusedWith(EAGAIN));
});

test('an error that ends a dump is thrown', () => {
  const { syscalls } = kernel(([{ sequence } = { sequence: 0 }]) => [[item(sequence, 1)], [error(sequence, ENOENT)]]);
  assert.throws(() => openSocket(syscalls).dump(ask(), word), refusedWith(ENOENT));
});

test('what is not there is undefined, and any other error is thrown', () => {
  let errno = ENODEV;
  const { syscalls } = kernel(([{ sequence } = { sequence: 0 }]) => [[error(sequence, errno)]]);
  const socket = openSocket(syscalls);
  assert.equal(socket.get(ask(), word), undefined);
  errno = EPERM;
  assert.throws(() => socket.get(ask(), word), refusedWith(EPERM));
});

test('no answer in time is an error, and its late answer is not taken for the next one', () => {
  let late = 0;
  const { syscalls } = kernel(([{ sequence } = { sequence: 0 }]) => {
    if (late === 0) {
      late = sequence;
      return [];
    }
    return [[item(late, 1)], [item(sequence, 2)]];
  });
  const socket = openSocket(syscalls);
  assert.throws(() => socket.get(ask(), word), refusedWith(EAGAIN));
  assert.equal(socket.get(ask(), word), 2);
});

test('a signal does not end the waiting', () => {
  const { syscalls } = kernel(([{ sequence } = { sequence: 0 }]) => [-EINTR, -EINTR, [item(sequence, 5)]]);
  assert.equal(openSocket(syscalls).get(ask(), word), 5);
});
