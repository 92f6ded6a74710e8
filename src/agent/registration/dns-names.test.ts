import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { decodeMessage, encodeMessage, opcode, opcodeOf } from '../../dns/message.ts';
import { type DomainName, parseName } from '../../dns/name.ts';
import { type TestZone, testZone } from '../../dns/testing/zone.ts';
import { parseAddress } from '../../model/address.ts';
import type { EndpointId } from '../../model/ids.ts';
import { createMemoryStore } from '../../store/memory.ts';
import { storeNotes } from '../state.ts';
import { openBook } from './book.ts';
import { createDnsNames } from './dns-names.ts';
import type { NameReports } from './reports.ts';
import type { DnsWish } from './wanted.ts';

const loopback = parseAddress('127.0.0.1')!;
const name = (text: string): DomainName => parseName(text)!;

/** The zone behind a socket. */
async function serve(zone: TestZone, port = 0) {
  const socket = createSocket('udp4');
  socket.on('message', (bytes, from) => {
    const message = decodeMessage(bytes)!;
    const [question] = message.questions;
    const reply =
      opcodeOf(message) === opcode.update
        ? zone.update({ zone: question!.name, prerequisites: message.answers, changes: message.authorities })
        : zone.query(question!.name, question!.type);
    void reply.then((given) => {
      if ('answer' in given) socket.send(encodeMessage({ ...given.answer, id: message.id }), from.port, from.address);
    });
  });
  await new Promise<void>((resolve) => socket.bind(port, '127.0.0.1', resolve));
  return { port: socket.address().port, close: () => socket.close() };
}

async function open(port: number) {
  const notes = storeNotes(createMemoryStore(), 'h');
  const book = await openBook(notes, (key) => assert.fail(key));
  const told: string[] = [];
  const tell =
    (what: string) =>
    (_via: string, about: string): void =>
      void told.push(`${what} ${about}`);
  const reports: NameReports = {
    registered: tell('registered'),
    removed: tell('removed'),
    failed: tell('failed'),
    conflict: tell('conflict'),
    attempt: () => undefined,
  };
  const names = createDnsNames({ book, reports, owner: 'us' });
  const wish = (last: number, zone = 'home.example'): DnsWish => ({
    endpoint: 'e' as EndpointId,
    name: name(`web.${zone}`),
    label: 'web',
    addresses: [parseAddress(`192.0.2.${last}`)!],
    policy: { server: loopback, port, zone: name(zone), reverse: 'none', ttl: 60 },
  });
  return { notes, book, told, names, wish };
}

async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!condition()) {
    if (performance.now() > deadline) assert.fail(`not within 30 s: ${what}`);
    await setTimeout(5);
  }
}

test('what is sent has been written down before, and is forgotten when it has been taken back', async () => {
  const zone = testZone([name('home.example')]);
  const server = await serve(zone);
  const { notes, book, told, names, wish } = await open(server.port);
  let noted = 0;
  zone.interfere = () => {
    noted = book.dns.size;
    return undefined;
  };
  names.want([wish(1)]);
  await until('it is registered', () => told.length === 1);
  assert.equal(noted, 1);
  assert.deepEqual(
    names.states().map(({ state }) => state),
    ['registered'],
  );
  names.want([wish(2)]);
  await until('the address is changed', () => told.length === 2);
  assert.equal([...book.dns.values()][0]!.addresses.length, 1);
  names.want([]);
  await until('it is taken back', () => told.length === 3);
  assert.deepEqual(told, ['registered web.home.example', 'registered web.home.example', 'removed web.home.example']);
  assert.deepEqual(zone.records, []);
  assert.deepEqual((await notes.list('')).size, 0);
  assert.deepEqual(names.states(), []);
  await names.close();
  server.close();
});

test('a server that has never been told anything need not be told that it is over', async () => {
  const server = await serve(testZone([name('home.example')]));
  const { book, told, names, wish } = await open(server.port);
  names.want([wish(1, 'elsewhere.example')]);
  await until('it has failed', () => told.length === 1);
  assert.deepEqual(told, ['failed web.elsewhere.example']);
  assert.equal(book.dns.size, 0);
  names.want([]);
  await until('it is forgotten', () => names.states().length === 0);
  await names.close();
  server.close();
});

test('a server that is away gets it when it is back, and what an earlier process has left too', async () => {
  const zone = testZone([name('home.example')]);
  const gone = await serve(zone);
  const { port } = gone;
  gone.close();
  const { book, told, names, wish } = await open(port);
  await book.putDns('127.0.0.1 1 old.home.example', {
    name: name('old.home.example'),
    server: loopback,
    port,
    reverse: 'none',
    addresses: [parseAddress('192.0.2.7')!],
    endpoint: 'old',
    label: 'old',
  });
  names.want([wish(1)]);
  await until('both have failed', () => told.length === 2);
  assert.deepEqual(
    names
      .states()
      .map(({ name: of, state }) => `${of} ${state}`)
      .toSorted(),
    ['old.home.example leaving', 'web.home.example failed'],
  );
  const back = await serve(zone, port);
  await until(
    'the one is there and the other gone',
    () => told.includes('registered web.home.example') && told.includes('removed old.home.example'),
  );
  await names.close();
  back.close();
});
