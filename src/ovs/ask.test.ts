import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { BerthError } from '../model/errors.ts';
import { askSwitches } from './ask.ts';

const dir = mkdtempSync(join(tmpdir(), 'berth-ask-'));
const path = join(dir, 'db.sock');
let server: Server | undefined;
const sockets = new Set<Socket>();

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)));
  server = undefined;
});
after(() => rmSync(dir, { recursive: true }));

async function serve(answer: (socket: Socket, request: { id: number; params: unknown[] }) => void): Promise<void> {
  server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (data) => answer(socket, JSON.parse(data.toString()) as { id: number; params: unknown[] }));
  });
  await new Promise((resolve) => server!.listen(path, () => resolve(undefined)));
}

const ask = () => askSwitches({ kind: 'unix', path }, 300);
const unreachable = (reason: RegExp) => (thrown: unknown) =>
  thrown instanceof BerthError && thrown.code === 'OVS_UNREACHABLE' && reason.test(thrown.message);

test('the bridges and their ports, in an answer that comes in pieces', async () => {
  const rows = [
    [{ _uuid: ['uuid', 'b'], name: 'br0', ports: ['uuid', 'p'], datapath_type: 'netdev' }],
    [
      {
        _uuid: ['uuid', 'p'],
        name: 'eth1',
        tag: 5,
        trunks: ['set', []],
        vlan_mode: ['set', []],
        external_ids: ['map', []],
      },
    ],
    [{ _uuid: ['uuid', 'i'], name: 'eth1', external_ids: ['map', []], error: ['set', []] }],
  ];
  await serve((socket, { id }) => {
    const text = JSON.stringify({ id, error: null, result: rows.toReversed().map((all) => ({ rows: all })) });
    socket.write(`{"id":"echo","method":"echo","params":[]}${text.slice(0, 50)}`);
    setImmediate(() => socket.write(text.slice(50)));
  });
  const { bridges, ports } = await ask();
  assert.deepEqual(bridges, [{ name: 'br0', datapath: 'netdev' }]);
  assert.deepEqual(
    ports.map(({ name, bridge, tag }) => [name, bridge, tag]),
    [['eth1', 'br0', 5]],
  );
});

test('nobody there', async () => {
  await assert.rejects(ask(), unreachable(/unix:.*db\.sock: there is no such socket/));
});

test('a server that says nothing, hangs up, talks nonsense or trickles is unreachable in time', async () => {
  const replies: [RegExp, (socket: Socket, id: number) => void][] = [
    [/did not answer within 0\.3 s/, () => {}],
    [/closed the connection/, (socket) => socket.end()],
    [/something between two messages/, (socket) => socket.write('HTTP/1.1 400\r\n')],
    [/fewer results/, (socket, id) => socket.write(JSON.stringify({ id, error: null, result: [] }))],
    [/no rows/, (socket, id) => socket.write(JSON.stringify({ id, error: null, result: [{}, {}, {}] }))],
    [/did not answer within 0\.3 s/, (socket) => void setInterval(() => socket.write(' '), 20).unref()],
  ];
  for (const [reason, reply] of replies) {
    await serve((socket, { id }) => reply(socket, id));
    await assert.rejects(ask(), unreachable(reason), String(reason));
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server!.close(resolve));
  }
  server = undefined;
});

test('a database that refuses says why', async () => {
  await serve((socket, { id }) => socket.write(JSON.stringify({ id, error: 'unknown database', result: null })));
  await assert.rejects(ask(), (thrown: unknown) => thrown instanceof BerthError && thrown.code === 'OVS_REFUSED');
});
