import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { atEveryCall, callLog, everyFault, type Fault, type Lane, pathTemplate } from './calls.ts';
import { makeCertificates } from './certificates.ts';
import { openProxy, type ServiceProxy } from './proxy.ts';

const calls = callLog();
const folder = mkdtempSync(join(tmpdir(), 'berth-proxy-'));
const socket = join(folder, 'service.sock');
let asked: string[] = [];
let service: Server;
let proxy: ServiceProxy;
let url: string;

before(async () => {
  service = createServer((incoming, outgoing) => {
    asked.push(`${incoming.method} ${incoming.url}`);
    outgoing.setHeader('x-openstack-request-id', 'req-1');
    if (incoming.method === 'DELETE') outgoing.writeHead(204).end();
    else outgoing.writeHead(200, { 'content-type': 'application/json' }).end('{"ports":[1,2,3]}');
  });
  await new Promise<void>((resolve) => service.listen(socket, resolve));
  proxy = openProxy({ service: 'neutron', calls, upstream: () => socket });
  url = `http://127.0.0.1:${await proxy.listen('RegionOne/public')}`;
});
afterEach(() => {
  calls.heal();
  calls.clear();
  asked = [];
});
after(() => {
  proxy.close();
  service.close();
  rmSync(folder, { recursive: true });
});

const uuid = '5b0e8b14-4c43-4d8b-9d14-c203e180bd3e';
const ports = async (path = '/v2.0/ports', method = 'GET') => {
  const answer = await fetch(url + path, { method });
  return { status: answer.status, body: await answer.text(), headers: answer.headers };
};

test('calls are passed on, and counted by what they have in common', async () => {
  const answer = await ports(`/v2.0/ports/${uuid}?fields=id`);
  assert.deepEqual([answer.status, answer.body], [200, '{"ports":[1,2,3]}']);
  assert.equal(answer.headers.get('x-openstack-request-id'), 'req-1');
  await ports(`/v2.0/ports/${uuid.replaceAll('-', '')}`);
  assert.equal((await ports(`/v2.0/ports/${uuid}`, 'DELETE')).status, 204);
  assert.deepEqual(calls.counts(), { 'GET /v2.0/ports/{id}': 2, 'DELETE /v2.0/ports/{id}': 1 });
  assert.deepEqual(
    calls.all({ method: 'DELETE' }).map(({ endpoint, status, path }) => [endpoint, status, path]),
    [['RegionOne/public', 204, `/v2.0/ports/${uuid}`]],
  );
  assert.equal(pathTemplate(`/v2.0/networks/${uuid}/tags/berth.x?y`), '/v2.0/networks/{id}/tags/{tag}');
});

test('the chosen call fails, and no other', async () => {
  const injection = calls.inject(
    { kind: 'answer', status: 429, headers: { 'retry-after': '7' } },
    { call: 2, times: 2, method: 'GET', template: /ports/ },
  );
  const statuses = [];
  for (const method of ['GET', 'DELETE', 'GET', 'GET', 'GET'])
    statuses.push((await ports('/v2.0/ports', method)).status);
  assert.deepEqual(statuses, [200, 204, 429, 429, 200]);
  assert.deepEqual(
    injection.hits.map(({ status, passed }) => [status, passed]),
    [
      [429, undefined],
      [429, undefined],
    ],
  );
  assert.equal(asked.length, 3);
  calls.inject({ kind: 'answer', status: 409, passOn: true });
  const answer = await ports();
  assert.deepEqual([answer.status, JSON.parse(answer.body).NeutronError.code], [409, 409]);
  assert.equal(asked.length, 4);
});

test('a connection is cut before or after the service has been asked, or within its answer', async () => {
  for (const [fault, effects] of [
    [{ kind: 'cut', when: 'before' }, 0],
    [{ kind: 'cut', when: 'after' }, 1],
    [{ kind: 'half' }, 1],
  ] as const) {
    asked = [];
    calls.inject(fault);
    await assert.rejects(ports(), /terminated|fetch failed/);
    assert.equal(asked.length, effects, fault.kind);
    assert.equal((await ports()).status, 200);
  }
  calls.inject({ kind: 'half' });
  await assert.rejects(ports('/v2.0/ports', 'DELETE'), /fetch failed/);
});

test('a frozen call goes on when it is let, or is given up by its client', async () => {
  for (const when of ['before', 'after'] as const) {
    asked = [];
    const frozen = calls.inject({ kind: 'freeze', when });
    const answer = ports();
    await frozen.hit();
    assert.equal((await ports()).status, 200);
    assert.equal(calls.all().filter(({ ended }) => ended === undefined).length, 1);
    assert.equal(asked.length, when === 'before' ? 1 : 2);
    frozen.remove();
    assert.equal((await answer).status, 200);
    await calls.settled();
  }
  const frozen = calls.inject({ kind: 'freeze', when: 'before' });
  const gaveUp = fetch(url, { signal: AbortSignal.timeout(50) });
  await assert.rejects(gaveUp, { name: 'TimeoutError' });
  await calls.settled();
  assert.equal(frozen.hits.length, 1);
});

test('delays are at least what was asked for; a service that does not run is answered for with 503', async () => {
  calls.delayAll(100);
  await ports();
  const [call] = calls.all();
  assert.ok(call!.ended! - call!.started >= 99);
  calls.heal();
  const dead = openProxy({ service: 'keystone', calls, upstream: () => '/nonexistent' });
  const { status } = await fetch(`http://127.0.0.1:${await dead.listen('auth')}/v3`);
  dead.close();
  assert.equal(status, 503);
  assert.deepEqual(calls.counts({ service: 'keystone' }), { 'GET /v3': 1 });
});

test('every call of an operation is made to fail in every way', async () => {
  const operation = async () => {
    const signal = () => AbortSignal.timeout(100);
    await fetch(`${url}/v2.0/ports`, { signal: signal() }).then((answer) => answer.text());
    await fetch(`${url}/v2.0/ports/${uuid}`, { method: 'DELETE', signal: signal() });
  };
  const seen: [string, Fault][] = [];
  const lane: Lane = {
    filter: { from: '127.0.0.1' },
    undisturbed: operation,
    disturbed: async ({ operation: which, fault, injection }) => {
      await operation().catch(() => {});
      // Nothing else has failed.
      if (injection.hits.length === 0) await operation();
      seen.push([which, fault]);
    },
  };
  const every = () => everyFault.map((fault) => ({ fault }));
  assert.deepEqual(await atEveryCall(calls, every, [lane]), ['GET /v2.0/ports', 'DELETE /v2.0/ports/{id}']);
  assert.equal(seen.length, 2 * everyFault.length);
  await assert.rejects(atEveryCall(calls, every, [{ ...lane, disturbed: async () => {} }]), /was not made again/);
  const elsewhere = { ...lane, filter: { from: '127.0.0.2' } };
  await assert.rejects(atEveryCall(calls, every, [elsewhere]), /makes no call/);
});

test('an endpoint speaks TLS, and may ask for a certificate', async () => {
  const { ca, server, client } = await makeCertificates(folder, ['127.0.0.1']);
  const ask = (port: number, own = {}) =>
    new Promise<number>((resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port, path: '/v2.0/ports', agent: false, ca, ...own }, (answer) => {
        answer.resume();
        resolve(answer.statusCode!);
      });
      sent.once('error', reject);
      sent.end();
    });
  const open = openProxy({ service: 'neutron', calls, upstream: () => socket, tls: server });
  const guarded = openProxy({ service: 'neutron', calls, upstream: () => socket, tls: { ...server, ca } });
  try {
    const [port, guardedPort] = [await open.listen('open'), await guarded.listen('guarded')];
    assert.equal(await ask(port), 200);
    await assert.rejects(ask(port, { ca: [] }), /self-signed|unable to verify/);
    assert.equal(await ask(guardedPort, client), 200);
    await assert.rejects(ask(guardedPort));
    assert.deepEqual(
      calls.all().map(({ endpoint }) => endpoint),
      ['open', 'guarded'],
    );
  } finally {
    open.close();
    guarded.close();
  }
});
