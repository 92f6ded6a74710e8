/** Malformed and hostile requests: each gets one line of error, none reaches a driver, and the server goes on. */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { routes } from './routes.ts';
import { assertGoodRequestWorks, assertOneLine, type Bench, startBench } from './testing/bench.ts';
import { call } from './testing/client.ts';
import { hostileRequests } from './testing/hostile-requests.ts';

let bench: Bench;
before(async () => {
  bench = await startBench();
});
after(() => bench.close());

describe('requests that are wrong in themselves', () => {
  for (const [title, method, body, error] of hostileRequests) {
    it(`${method}: ${title}`, async () => {
      const before = bench.drivers.calls.length;
      const reply = await call(bench.path, method, body);
      assert.equal(reply.status, 200);
      assertOneLine(reply.json, error);
      assert.equal(bench.drivers.calls.length, before);
    });
  }

  it('has at least 60 rows', () => assert.ok(hostileRequests.length >= 60));

  it('leaves a server that works', () => assertGoodRequestWorks(bench));
});

describe('an empty body', () => {
  const bodiless = [
    'Plugin.Activate',
    'NetworkDriver.GetCapabilities',
    'IpamDriver.GetCapabilities',
    'IpamDriver.GetDefaultAddressSpaces',
  ];
  for (const route of routes.keys()) {
    const method = route.slice(1);
    it(`${method} ${bodiless.includes(method) ? 'answers' : 'refuses'}`, async () => {
      const before = bench.drivers.calls.length;
      for (const body of [undefined, '', '\n']) {
        const reply = await call(bench.path, method, body);
        assert.equal(reply.status, 200);
        if (bodiless.includes(method)) assert.equal(reply.json?.Err, undefined);
        else assertOneLine(reply.json, /the request has no body; engines repeat a failed request without it$/);
      }
      if (!bodiless.includes(method)) assert.equal(bench.drivers.calls.length, before);
    });
  }
});
