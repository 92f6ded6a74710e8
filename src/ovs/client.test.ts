import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { BerthError } from '../model/errors.ts';
import { type ClientOptions, createClient } from './client.ts';
import { TransactionRefused } from './operations.ts';
import { type BlockingStream, Disconnected } from './session.ts';

/** What a server says to one request: messages, or bytes of its own; it may also hang up, or take its time. */
type Reply = unknown[] | 'hang up' | 'nothing' | { readonly bytes: string };
type Server = (method: string, params: readonly unknown[], id: number) => Reply;

interface Line extends BlockingStream {
  /** Says something without being asked, as the event loop would see it. */
  tell(...messages: unknown[]): void;
  hangUp(): void;
  readonly heard: { method: string; id: unknown; result?: unknown }[];
}

let clock = 0;

beforeEach(() => {
  clock = 1_000_000;
});

function line(server: Server): Line {
  const incoming: Uint8Array[] = [];
  const heard: Line['heard'] = [];
  let over = false;
  let watching = (): void => {};
  const encode = (message: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(message));
  return {
    heard,
    write(bytes) {
      if (over) throw new Disconnected('EPIPE');
      const request = JSON.parse(new TextDecoder().decode(bytes)) as Line['heard'][0] & { params: unknown[] };
      heard.push(request);
      if (request.method === undefined) return;
      const reply = server(request.method, request.params, request.id as number);
      if (reply === 'hang up') over = true;
      else if (Array.isArray(reply)) incoming.push(...reply.map(encode));
      else if (reply !== 'nothing') incoming.push(new TextEncoder().encode(reply.bytes));
    },
    read(milliseconds) {
      const next = incoming.shift();
      if (next !== undefined) return next;
      if (over) throw new Disconnected('it closed the connection');
      clock += milliseconds;
      return undefined;
    },
    whenReadable(callback) {
      watching = callback;
    },
    tell(...messages) {
      incoming.push(...messages.map(encode));
      watching();
    },
    hangUp() {
      over = true;
      watching();
    },
    close() {
      over = true;
      watching = () => {};
    },
  };
}

const polite: Server = (method, _params, id) => [{ id, error: null, result: method === 'monitor_cond' ? {} : [{}] }];

function client(servers: Server[], more: Partial<ClientOptions> = {}) {
  const lines: Line[] = [];
  const connected = mock.fn();
  const changed = mock.fn();
  const made = createClient({
    address: 'unix:/db.sock',
    needed: () => true,
    connected,
    changed,
    now: () => clock,
    connect() {
      const server = servers[lines.length];
      if (server === undefined) throw new Disconnected('nobody listens there');
      lines.push(line(server));
      return lines.at(-1)!;
    },
    ...more,
  });
  return { client: made, lines, connected, changed };
}

const nothing = [{ op: 'comment', comment: 'x' }] as const;

function unreachable(reason: RegExp) {
  return (thrown: unknown) =>
    thrown instanceof BerthError && thrown.code === 'OVS_UNREACHABLE' && reason.test(thrown.message);
}

test('connects when it is first needed, follows what changes, answers an echo', async () => {
  const { client: it, lines, connected, changed } = client([polite]);
  assert.equal(lines.length, 0);
  it.transact(nothing);
  assert.equal(lines.length, 1);
  await nextTurn();
  assert.equal(connected.mock.callCount(), 1);
  const row = { name: 'br0', ports: ['set', []], datapath_type: '' };
  lines[0]!.tell(
    { id: 'echo', method: 'echo', params: ['alive?'] },
    { id: null, method: 'update2', params: ['berth', { Bridge: { b1: { insert: row } } }] },
    { id: null, method: 'update2', params: ['somebody else', { Bridge: { b2: { insert: row } } }] },
  );
  assert.deepEqual(lines[0]!.heard.at(-1), { id: 'echo', result: ['alive?'], error: null });
  assert.equal(changed.mock.callCount(), 1);
  assert.deepEqual(it.switches?.bridges(), [{ name: 'br0', datapath: 'system' }]);
  it.close();
});

test('a server that does not know monitor_cond is followed by monitor', () => {
  const row = { name: 'br0', ports: ['set', []], datapath_type: 'netdev' };
  const old: Server = (method, params, id) =>
    method === 'monitor_cond'
      ? [{ id, error: 'unknown method', result: null }]
      : method === 'monitor'
        ? [{ id, error: null, result: { Bridge: { b1: { new: row } } } }]
        : polite(method, params, id);
  const { client: it, lines, changed } = client([old]);
  it.transact(nothing);
  assert.deepEqual(it.switches?.bridges(), [{ name: 'br0', datapath: 'netdev' }]);
  lines[0]!.tell({ id: null, method: 'update', params: ['berth', { Bridge: { b1: { old: row } } }] });
  assert.equal(changed.mock.callCount(), 1);
  assert.deepEqual(it.switches?.bridges(), []);
  it.close();
});

test('answers of other requests, and reports before the answer, are not taken for it', () => {
  const { client: it } = client([
    (method, _params, id) =>
      method === 'monitor_cond'
        ? [{ id, error: null, result: {} }]
        : [
            { id: 999, error: null, result: ['not yours'] },
            { id: id - 1, error: null, result: ['an old one'] },
            { id: null, method: 'update', params: ['berth', {}] },
            { id, error: null, result: [{ count: 1 }] },
          ],
  ]);
  assert.deepEqual(it.transact(nothing), [{ count: 1 }]);
  it.close();
});

test('a refused transaction says why, and the connection goes on; also when it is refused at its very end', () => {
  const results: unknown[][] = [
    [{ error: 'constraint violation', details: 'no such tag' }],
    [{}, { error: 'constraint violation', details: 'two rows' }],
    [{}],
  ];
  const { client: it, lines } = client([
    (method, _params, id) => [{ id, error: null, result: method === 'monitor_cond' ? {} : results.shift() }],
  ]);
  assert.throws(() => it.transact(nothing), new TransactionRefused('constraint violation', 'no such tag'));
  assert.throws(() => it.transact(nothing), new TransactionRefused('constraint violation', 'two rows'));
  it.transact(nothing);
  assert.equal(lines.length, 1);
  it.close();
});

test('a server that was restarted meanwhile is asked again, once', () => {
  const { client: it, lines } = client([
    polite,
    polite,
    (method) => (method === 'monitor_cond' ? polite(method, [], 1) : 'hang up'),
  ]);
  it.transact(nothing);
  lines[0]!.close();
  it.transact(nothing);
  assert.equal(lines.length, 2);
  lines[1]!.close();
  assert.throws(() => it.transact(nothing), unreachable(/closed the connection/));
  assert.equal(lines.length, 3);
  it.close();
});

test('what is not OVSDB, or no answer, ends the connection; nobody waits for it again for a while', () => {
  const hostile: Reply[] = [
    'nothing',
    { bytes: 'HTTP/1.1 400 Bad Request\r\n' },
    { bytes: `{"id":2,"result":${'['.repeat(1000)}` },
    [{ id: 2, error: null, result: 'no list' }],
    [{ id: 2, error: null, result: [] }],
    [{ id: null, method: 'update2', params: ['berth', 5] }],
    [{ id: null, method: 'update2', params: 5 }],
    [{ id: null, method: 'update2', params: ['berth', { Port: { p: { insert: { name: 5 } } } }] }],
    [{ id: null, method: 'update2', params: ['berth', { Bridge: { b: { modify: { ports: ['set', []] } } } }] }],
  ];
  for (const reply of hostile) {
    const { client: it, lines } = client([
      (method, params, id) => (method === 'monitor_cond' ? polite(method, params, id) : reply),
      polite,
    ]);
    const before = clock;
    assert.throws(() => it.transact(nothing), unreachable(/./), JSON.stringify(reply));
    assert.ok(clock - before <= 2_000, 'it waited no longer than an exchange may take');
    assert.throws(() => it.transact(nothing), unreachable(/./));
    assert.equal(lines.length, 1, 'not connected again');
    clock += 5_001;
    it.transact(nothing);
    it.close();
  }
});

test('a server that talks without end is no answer', () => {
  const { client: it, lines } = client([
    (method, params, id) => (method === 'monitor_cond' ? polite(method, params, id) : 'nothing'),
  ]);
  const chatter = { id: null, method: 'update', params: ['berth', {}] };
  const { client: other } = client([polite], {
    connect() {
      const made = line((method, params, id) => (method === 'monitor_cond' ? polite(method, params, id) : 'nothing'));
      const read = made.read.bind(made);
      made.read = (milliseconds) => {
        const bytes = read(0);
        if (bytes !== undefined) return bytes;
        clock += Math.min(10, milliseconds);
        return new TextEncoder().encode(JSON.stringify(chatter));
      };
      return made;
    },
  });
  assert.throws(() => other.transact(nothing), unreachable(/did not answer within 2 s/));
  assert.throws(() => it.transact(nothing), unreachable(/did not answer within 2 s/));
  assert.equal(lines.length, 1);
  it.close();
  other.close();
});

test('a connection that went is made again by itself, with more and more patience, as long as it is needed', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let needed = true;
  const servers: Server[] = [polite];
  const { client: it, lines, connected } = client(servers, { needed: () => needed });
  it.transact(nothing);
  await nextTurn();
  lines[0]!.hangUp();
  assert.equal(it.switches, undefined);
  // Tried after 100, 200, 400 ms: nobody listens.
  for (const wait of [100, 200, 400]) t.mock.timers.tick(wait);
  servers.push(polite);
  t.mock.timers.tick(799);
  assert.equal(lines.length, 1);
  t.mock.timers.tick(1);
  assert.equal(lines.length, 2);
  await nextTurn();
  assert.equal(connected.mock.callCount(), 2);
  needed = false;
  lines[1]!.hangUp();
  servers.push(polite);
  t.mock.timers.tick(60_000);
  assert.equal(lines.length, 2, 'nobody needs it any more');
  it.transact(nothing);
  assert.equal(lines.length, 3);
  it.close();
});
