/** Requests that nobody should send: each is answered clearly, with the right status, and leaves everything as it was. */

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { addEndpoint, type Bench, startBench } from './testing/bench.ts';
import { network } from './testing/contiv.ts';
import { order, others, samples, typeCases } from './testing/hostile.ts';

describe('hostile requests', () => {
  let bench: Bench;
  const state = async () => JSON.stringify((await bench.store.list('')).entries);

  before(async () => {
    bench = await startBench();
    for (const kind of order) {
      const [path, body] = samples[kind];
      assert.equal((await bench.call('POST', path, body)).status, 200, path);
    }
    await bench.call('POST', ...network('default', 'busy', '10.2.0.0/16'));
    await addEndpoint(bench.store, 'default:busy', 'ep1');
  });
  after(() => bench[Symbol.asyncDispose]());

  const all = [...typeCases(), ...others];
  it(`are ${all.length}`, () => assert.ok(all.length >= 100));

  it('are answered with the right status in clear words, and change nothing', async () => {
    const before = await state();
    for (const { name, method, path, body, headers, status, says } of all) {
      const reply = await bench.call(method, path, body, headers);
      assert.equal(reply.status, status, `${name}: ${reply.text.slice(0, 200)}`);
      assert.match(reply.text, says, name);
      // One line, short, and nothing of how the program is made.
      assert.ok(reply.text.length < 400 && !reply.text.includes('\n'), name);
      assert.doesNotMatch(reply.text, /\.ts:|node:|\/src\/|at \S+ \(/, name);
      assert.ok(reply.headers.get('berth-error'), name);
      assert.equal(await state(), before, `${name} has changed something`);
    }
  });

  it('say the same as JSON to who asks for it', async () => {
    const reply = await bench.call('GET', 'networks/default:nosuch/', undefined, {
      accept: 'application/problem+json',
    });
    assert.equal(reply.headers.get('content-type'), 'application/problem+json');
    assert.deepEqual(reply.json, {
      status: 404,
      title: 'OBJECT_UNKNOWN',
      detail: 'network not found',
      next: 'List what there is with: netctl KIND ls',
    });
  });

  it('may be no HTTP at all, or never end', async () => {
    const { port } = new URL(bench.url);
    const send = (text: string, end: boolean) =>
      new Promise<string>((resolve) => {
        const socket = connect(Number(port), '127.0.0.1');
        let answer = '';
        socket.on('data', (data) => (answer += String(data)));
        socket.on('close', () => resolve(answer));
        socket.on('error', () => resolve(answer));
        socket.write(text);
        if (end) socket.end();
      });
    assert.match(await send('\u0016\u0003\u0001 no HTTP\r\n\r\n', false), /^HTTP\/1\.1 400 /);
    assert.match(
      await send(`GET /api/v1/tenants/${'a'.repeat(1_000_000)}/ HTTP/1.1\r\n\r\n`, false),
      /^HTTP\/1\.1 431 |^$/,
    );
    await send('POST /api/v1/tenants/a/ HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{"tenantName"', true);
    assert.equal((await bench.call('GET', 'tenants/')).status, 200);
  });
});
