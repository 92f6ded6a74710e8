/** What is wrong with a request before its body is looked at, and what comes over a connection in odd ways. */

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { assertGoodRequestWorks, assertOneLine, type Bench, startBench } from './testing/bench.ts';
import { call, raw } from './testing/client.ts';
import { create, N, pool } from './testing/hostile-requests.ts';

let bench: Bench;
before(async () => {
  bench = await startBench({ timeoutMs: 1000, headerTimeoutMs: 200 });
});
after(() => bench.close());

describe('requests that are wrong for HTTP', () => {
  for (const method of [
    'NetworkDriver.Nothing',
    'networkdriver.join',
    'constructor',
    '__proto__',
    'VolumeDriver.List',
    '../Plugin.Activate',
    '',
  ])
    it(`404 for the method "${method}"`, async () => {
      const reply = await call(bench.path, method, {});
      assert.equal(reply.status, 404);
      assertOneLine(reply.json, /is not a method of the plugin protocol$/);
    });

  for (const verb of ['GET', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND'])
    it(`405 for ${verb}`, async () => {
      const before = bench.drivers.calls.length;
      const reply = await call(bench.path, create, pool('10.1.0.0/24'), { verb });
      assert.deepEqual([reply.status, reply.headers.allow], [405, 'POST']);
      assertOneLine(reply.json, new RegExp(`^${verb} is not how`));
      assert.equal(bench.drivers.calls.length, before);
    });

  const transport: readonly (readonly [string, string | Buffer, { end?: boolean }, RegExp])[] = [
    ['CONNECT', 'CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n', {}, /^HTTP\/1.1 405 .*CONNECT is not how/s],
    ['text instead of HTTP', 'hello\r\n\r\n', {}, /^HTTP\/1.1 400 .*is not HTTP/s],
    ['a TLS hello', Buffer.from('160301020001000001fc0303', 'hex'), {}, /^HTTP\/1.1 400 .*is not HTTP/s],
    ['headers of 100 KB', `POST /${create} HTTP/1.1\r\nX: ${'a'.repeat(100_000)}\r\n\r\n`, {}, /^HTTP\/1.1 431 /],
    [
      'two lengths that differ',
      `POST /${create} HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}`,
      {},
      /^HTTP\/1.1 400 /,
    ],
    [
      'a length and chunks',
      `POST /${create} HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      {},
      /^HTTP\/1.1 400 /,
    ],
    ['a negative length', `POST /${create} HTTP/1.1\r\nContent-Length: -1\r\n\r\n`, {}, /^HTTP\/1.1 400 /],
    [
      'a chunk size that is no number',
      `POST /${create} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n`,
      {},
      /"Err":"the request ends in the middle/,
    ],
    [
      'a body cut by a half-close',
      `POST /${create} HTTP/1.1\r\nContent-Length: 100\r\n\r\n{"NetworkID":`,
      { end: true },
      /"Err":"the request ends in the middle/,
    ],
    [
      'a body that never comes',
      `POST /${create} HTTP/1.1\r\nContent-Length: 100\r\n\r\n{"Net`,
      {},
      /"Err":"CreateNetwork: no result within 0.95 s"/,
    ],
    ['headers that never end', `POST /${create} HTTP/1.1\r\nHost: x\r\n`, {}, /^$/],
    [
      'an expectation of more',
      `POST /${create} HTTP/1.1\r\nExpect: miracles\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}`,
      {},
      /^HTTP\/1.1 417 .*Expect: miracles is not understood/s,
    ],
    [
      'Expect: 100-continue with a bad body',
      `POST /${create} HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}`,
      {},
      /^HTTP\/1.1 100 Continue.*200 OK.*NetworkID is missing/s,
    ],
    [
      'chunks with a bad body',
      `POST /${create} HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\n{}\r\n0\r\n\r\n`,
      {},
      /200 OK.*NetworkID is missing/s,
    ],
    [
      'an upgrade',
      `POST /${create} HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade, close\r\nContent-Length: 2\r\n\r\n{}`,
      {},
      /200 OK.*NetworkID is missing/s,
    ],
    ['HTTP/1.0', `POST /${create} HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}`, {}, /200 OK.*NetworkID is missing/s],
  ];
  for (const [title, bytes, how, expected] of transport)
    it(title, async () => {
      const before = bench.drivers.calls.length;
      assert.match(await raw(bench.path, bytes, how), expected);
      assert.equal(bench.drivers.calls.length, before);
    });

  it('a connection reset in the middle of a body', async () => {
    const before = bench.drivers.calls.length;
    await new Promise<void>((resolve) => {
      const socket = connect(bench.path, () => {
        socket.write(`POST /${create} HTTP/1.1\r\nContent-Length: 1000\r\n\r\n{"NetworkID"`, () => socket.destroy());
      });
      socket.once('close', () => resolve());
    });
    await assertGoodRequestWorks(bench);
    assert.equal(bench.drivers.calls.length, before + 1);
  });

  it('a good request, then garbage on the same connection: the good one is answered', async () => {
    const body = JSON.stringify({ NetworkID: N });
    const text = await raw(
      bench.path,
      `POST /NetworkDriver.DeleteNetwork HTTP/1.1\r\nContent-Length: ${body.length}\r\n\r\n${body}garbage\r\n\r\n`,
    );
    assert.match(text, /^HTTP\/1.1 200 OK.*\{\}/s);
  });

  it('pipelined requests are answered in order, good and bad', async () => {
    const one = (method: string, body: string) =>
      `POST /${method} HTTP/1.1\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const text = await raw(
      bench.path,
      one(create, '{}') +
        one('Plugin.Activate', '') +
        one('Nothing', '') +
        one(create, 'nonsense') +
        one('NetworkDriver.GetCapabilities', ''),
      { until: 'GwAllocChecker' },
    );
    assert.match(text, /NetworkID is missing.*Implements.*404.*the body is not JSON.*"Scope":"local"/s);
  });

  it('leaves a server that works', () => assertGoodRequestWorks(bench));
});
