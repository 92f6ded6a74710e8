import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatAddress, parseAddress } from '../model/address.ts';
import { macBytes, macFromBytes } from '../model/mac.ts';
import type { Client } from './client.ts';
import type { Port } from './dialogue.ts';
import { exchange } from './exchange.ts';
import { decodeMessage, type Message, messageType, typeOf } from './message.ts';
import { answer, framed } from './testing/server.ts';
import { decodeFrame } from './udp.ts';

const mac = macFromBytes(Uint8Array.of(2, 0, 0, 0, 0, 7));
const client: Client = { mac, clientId: Uint8Array.of(1, ...macBytes(mac)) };
const address = parseAddress('192.168.7.20')!;

/** A link on whose other end a function answers, a moment later. */
function wire(reply: (message: Message, say: (frame: Uint8Array) => void) => void) {
  const listeners = new Set<(frame: Uint8Array) => void>();
  const said: number[] = [];
  const port: Port = {
    send(frame) {
      const message = decodeMessage(decodeFrame(frame)!.data)!;
      said.push(typeOf(message)!);
      setImmediate(() => reply(message, (answered) => [...listeners].map((listener) => listener(answered))));
    },
    onFrame(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  return { port, said, listeners };
}

/** What a good server says. */
function serve(message: Message, say: (frame: Uint8Array) => void): void {
  const type = typeOf(message);
  if (type === messageType.discover) say(framed(answer(message, 'offer')));
  if (type === messageType.request) say(framed(answer(message, 'ack')));
}

test('from the first message to the grant', async () => {
  const { port, said, listeners } = wire(serve);
  const ending = await exchange(port, client, { kind: 'discover' }, { patience: 5000 });
  assert.ok(ending.kind === 'granted');
  assert.equal(formatAddress(ending.terms.address.address), '192.168.7.20');
  assert.deepEqual(said, [messageType.discover, messageType.request]);
  assert.equal(listeners.size, 0, 'nobody listens any more');
});

test('an offer is written down before it is requested', async () => {
  const { port, said } = wire(serve);
  let written: number | undefined;
  await exchange(
    port,
    client,
    { kind: 'discover' },
    {
      patience: 5000,
      async chosen({ server }) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        assert.equal(formatAddress(server.address), '192.168.7.1');
        written = said.length;
      },
    },
  );
  assert.equal(written, 1);
});

test('when it cannot be written down, nothing is requested', async () => {
  const { port, said } = wire(serve);
  const chosen = () => Promise.reject(new Error('the disk is full'));
  await assert.rejects(exchange(port, client, { kind: 'discover' }, { patience: 5000, chosen }), /the disk is full/);
  assert.deepEqual(said, [messageType.discover]);
});

test('garbage between the answers changes nothing', async () => {
  const { port } = wire((message, say) => {
    say(new Uint8Array(0));
    say(Uint8Array.from({ length: 400 }, (_, index) => index & 255));
    say(framed(answer(message, 'offer')).subarray(0, 200));
    say(framed(answer(message, 'offer'), { sourcePort: 4711 }));
    say(framed(answer({ ...message, transaction: message.transaction ^ 1 }, 'ack')));
    serve(message, say);
    serve(message, say);
  });
  assert.equal((await exchange(port, client, { kind: 'discover' }, { patience: 5000 })).kind, 'granted');
});

test('who is silent is given up', async () => {
  const { port, said } = wire(() => undefined);
  assert.deepEqual(await exchange(port, client, { kind: 'discover' }, { patience: 700 }), {
    kind: 'silent',
    heard: 'nothing',
  });
  assert.deepEqual(said, [messageType.discover, messageType.discover]);
  const offers = wire((message, say) => {
    if (typeOf(message) === messageType.discover) serve(message, say);
  });
  const ending = await exchange(offers.port, client, { kind: 'discover' }, { patience: 300 });
  assert.deepEqual(ending, { kind: 'silent', heard: 'offer' });
});

test('a refusal of what was held before is told, and a new lease is got', async () => {
  let told = 0;
  const { port, said } = wire((message, say) => {
    if (told === 0) say(framed(answer(message, 'nak')));
    else serve(message, say);
  });
  const ending = await exchange(
    port,
    client,
    { kind: 'reboot', address },
    {
      patience: 5000,
      refused: () => {
        told += 1;
      },
    },
  );
  assert.equal(ending.kind, 'granted');
  assert.equal(told, 1);
  assert.deepEqual(said, [messageType.request, messageType.discover, messageType.request]);
});

test('it can be broken off', async () => {
  const { port, listeners } = wire(() => undefined);
  const stop = new AbortController();
  const ending = exchange(port, client, { kind: 'discover' }, { patience: 60_000, signal: stop.signal });
  stop.abort();
  assert.deepEqual(await ending, { kind: 'silent', heard: 'nothing' });
  assert.equal(listeners.size, 0);
});
