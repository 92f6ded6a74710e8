import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { Agent } from 'node:http';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import { BerthError } from '../model/errors.ts';
import type { FinishedCall } from './dispatch.ts';
import { createPluginServer } from './plugin-server.ts';
import { assertGoodRequestWorks, assertOneLine, startBench } from './testing/bench.ts';
import { call } from './testing/client.ts';
import { fakeDrivers } from './testing/fake-drivers.ts';

const N = 'a'.repeat(64);
const E = 'b'.repeat(64);
const both = { NetworkID: N, EndpointID: E };
const never = () => new Promise<never>(() => undefined);

describe('every method', () => {
  const expected: readonly (readonly [method: string, body: unknown, answer: unknown, called: readonly string[]])[] = [
    ['Plugin.Activate', undefined, { Implements: ['NetworkDriver', 'IpamDriver'] }, []],
    [
      'NetworkDriver.GetCapabilities',
      undefined,
      { Scope: 'global', ConnectivityScope: 'global', GwAllocChecker: true },
      ['scope'],
    ],
    ['NetworkDriver.GwAllocCheck', { Options: {} }, { SkipIPv4: true, SkipIPv6: false }, ['gatewayNeeded']],
    ['NetworkDriver.CreateNetwork', { NetworkID: N }, {}, ['createNetwork']],
    ['NetworkDriver.DeleteNetwork', { NetworkID: N }, {}, ['deleteNetwork']],
    [
      'NetworkDriver.AllocateNetwork',
      { NetworkID: N, Options: { a: 'b' }, IPv6Data: null },
      { Options: { a: 'b' } },
      [],
    ],
    ['NetworkDriver.FreeNetwork', { NetworkID: N }, {}, []],
    ['NetworkDriver.CreateEndpoint', both, { Interface: {} }, ['createEndpoint']],
    ['NetworkDriver.DeleteEndpoint', both, {}, ['deleteEndpoint']],
    ['NetworkDriver.EndpointOperInfo', both, { Value: {} }, []],
    [
      'NetworkDriver.Join',
      { ...both, SandboxKey: '/var/run/docker/netns/0123456789ab' },
      { InterfaceName: { SrcName: 'bv0', DstPrefix: 'eth' }, StaticRoutes: [], DisableGatewayService: false },
      ['join'],
    ],
    ['NetworkDriver.Leave', both, {}, ['leave']],
    ['NetworkDriver.ProgramExternalConnectivity', { ...both, Options: { 'com.docker.network.portmap': [] } }, {}, []],
    ['NetworkDriver.RevokeExternalConnectivity', both, {}, []],
    ['NetworkDriver.DiscoverNew', { DiscoveryType: 1, DiscoveryData: { Address: '10.0.0.1', Self: true } }, {}, []],
    ['NetworkDriver.DiscoverDelete', { DiscoveryType: 1, DiscoveryData: null }, {}, []],
    ['IpamDriver.GetCapabilities', undefined, { RequiresMACAddress: false, RequiresRequestReplay: true }, []],
    [
      'IpamDriver.GetDefaultAddressSpaces',
      undefined,
      { LocalDefaultAddressSpace: 'local', GlobalDefaultAddressSpace: 'global' },
      ['addressSpaces'],
    ],
    [
      'IpamDriver.RequestPool',
      { AddressSpace: 'L', Pool: '10.2.0.0/16' },
      { PoolID: 'local/10.1.0.0-24', Pool: '10.2.0.0/16', Data: {} },
      ['requestPool'],
    ],
    ['IpamDriver.ReleasePool', { PoolID: 'x' }, {}, ['releasePool']],
    [
      'IpamDriver.RequestAddress',
      { PoolID: 'x', Address: '' },
      { Address: '10.1.0.5/24', Data: {} },
      ['requestAddress'],
    ],
    ['IpamDriver.ReleaseAddress', { PoolID: 'x', Address: '10.1.0.5' }, {}, ['releaseAddress']],
  ];

  it('is answered, and by the driver where it is one of its', async () => {
    const bench = await startBench(
      {},
      { network: { scope: () => 'global', gatewayNeeded: async () => ({ ipv4: false, ipv6: true }) } },
    );
    for (const [method, body, answer, called] of expected) {
      bench.drivers.calls.length = 0;
      const reply = await call(bench.path, method, body);
      assert.deepEqual([reply.status, reply.json], [200, answer], method);
      assert.equal(reply.headers['content-type'], 'application/vnd.docker.plugins.v1.2+json');
      assert.deepEqual(
        bench.drivers.calls.map((c) => c.method),
        called,
        method,
      );
    }
    await bench.close();
  });

  it('a driver that has no opinion on gateways gets one', async () => {
    const bench = await startBench();
    const reply = await call(bench.path, 'NetworkDriver.GwAllocCheck', { Options: null });
    assert.deepEqual(reply.json, { SkipIPv4: false, SkipIPv6: false });
    await bench.close();
  });

  it('the driver is told which plugin was called', async () => {
    const names: string[] = [];
    const bench = await startBench(
      { name: 'berth-lan' },
      { network: { leave: async (_n, _e, { plugin }) => void names.push(plugin) } },
    );
    await call(bench.path, 'NetworkDriver.Leave', both);
    assert.deepEqual(names, ['berth-lan']);
    await bench.close();
  });

  it('a query after the path changes nothing', async () => {
    const bench = await startBench();
    assert.equal((await call(bench.path, 'Plugin.Activate?x=1')).status, 200);
    await bench.close();
  });
});

describe('drivers that fail', () => {
  const failing = async (error: unknown, options = {}) => {
    const finished: FinishedCall[] = [];
    const bench = await startBench(
      { onCall: (done) => finished.push(done), ...options },
      { network: { leave: () => Promise.reject(error) } },
    );
    const reply = await call(bench.path, 'NetworkDriver.Leave', both);
    await assertGoodRequestWorks(bench);
    await bench.close();
    return { reply, finished: finished[0]! };
  };

  it('a BerthError is shown as it is, on one line, and counted by its code', async () => {
    const { reply, finished } = await failing(new BerthError('ADDRESS_TAKEN', '10.1.0.5 is\n held by \u001b[31mweb'));
    assert.equal(reply.status, 200);
    assertOneLine(reply.json, /^10\.1\.0\.5 is held by \\u\{1b\}\[31mweb$/);
    assert.deepEqual(
      { ...finished, milliseconds: 0 },
      { plugin: 'berth', method: 'NetworkDriver.Leave', code: 'ADDRESS_TAKEN', milliseconds: 0 },
    );
    assert.ok(finished.milliseconds > 0);
  });

  it('anything else is a defect, and still one line', async () => {
    for (const [thrown, shown] of [
      [new TypeError('x is not a function'), /^x is not a function$/],
      ['text', /^text$/],
      [undefined, /^undefined$/],
    ] as const) {
      const { reply, finished } = await failing(thrown);
      assertOneLine(reply.json, shown);
      assert.equal(finished.code, 'INTERNAL');
    }
  });

  it('a driver that throws instead of rejecting', async () => {
    const bench = await startBench(
      {},
      {
        network: {
          scope: () => {
            throw new BerthError('SHUTTING_DOWN', 'not now');
          },
        },
      },
    );
    assertOneLine((await call(bench.path, 'NetworkDriver.GetCapabilities')).json, /^not now$/);
    await bench.close();
  });

  it('methods of others cannot flood the metrics', async () => {
    const finished: FinishedCall[] = [];
    const bench = await startBench({ onCall: (done) => finished.push(done) });
    await call(bench.path, 'x'.repeat(1000), {});
    assert.deepEqual([finished[0]!.method, finished[0]!.code], ['unknown', 'UNKNOWN_METHOD']);
    await bench.close();
  });
});

describe('drivers that are slow', () => {
  for (const [limit, options, after, words] of [
    ['9.5 s unless told', {}, 9500, /^Leave: no result within 9\.5 s$/],
    ['slightly before what is told', { timeoutMs: 200 }, 190, /^Leave: no result within 0\.19 s$/],
  ] as const) {
    it(`are cut off ${limit}, and told by their signal`, async (t) => {
      t.mock.timers.enable({ apis: ['setTimeout'] });
      const started = Promise.withResolvers<AbortSignal>();
      const bench = await startBench(options, {
        network: {
          leave: (_n, _e, { signal }) => {
            started.resolve(signal);
            return never();
          },
        },
      });
      const reply = call(bench.path, 'NetworkDriver.Leave', both);
      const signal = await started.promise;
      t.mock.timers.tick(after - 1);
      assert.equal(signal.aborted, false);
      assert.equal(
        await Promise.race([reply, new Promise((resolve) => setImmediate(() => resolve('waits')))]),
        'waits',
      );
      t.mock.timers.tick(1);
      assertOneLine((await reply).json, words);
      assert.deepEqual([signal.aborted, (signal.reason as BerthError).code], [true, 'TIMEOUT']);
      t.mock.timers.reset();
      await bench.close();
    });
  }

  it('may fail later without harm, and are not told off when they finish', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const begun = Promise.withResolvers<void>();
    const late = Promise.withResolvers<void>();
    const signals: AbortSignal[] = [];
    const bench = await startBench(
      { timeoutMs: 100 },
      {
        network: {
          leave: () => {
            begun.resolve();
            return late.promise;
          },
          deleteEndpoint: async (_n, _e, { signal }) => void signals.push(signal),
        },
      },
    );
    const reply = call(bench.path, 'NetworkDriver.Leave', both);
    await begun.promise;
    t.mock.timers.tick(100);
    assertOneLine((await reply).json, /no result/);
    late.reject(new Error('much too late'));
    await call(bench.path, 'NetworkDriver.DeleteEndpoint', both);
    t.mock.timers.tick(1000);
    assert.equal(signals[0]!.aborted, false);
    await assertGoodRequestWorks(bench);
    t.mock.timers.reset();
    await bench.close();
  });

  it('do not hold up others', async () => {
    const begun = Promise.withResolvers<void>();
    const going = Promise.withResolvers<void>();
    const leave = () => {
      begun.resolve();
      return going.promise;
    };
    const bench = await startBench({}, { network: { leave } });
    const slow = call(bench.path, 'NetworkDriver.Leave', both);
    await begun.promise;
    await assertGoodRequestWorks(bench);
    going.resolve();
    assert.deepEqual((await slow).json, {});
    await bench.close();
  });
});

describe('connections', () => {
  it('are kept for 100 requests, errors among them', async () => {
    const bench = await startBench();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    let opened = 0;
    agent.on('free', (socket: { seen?: boolean }) => {
      if (socket.seen !== true) opened++;
      socket.seen = true;
    });
    for (let i = 0; i < 100; i++) {
      const bad = i % 10 === 9;
      const reply = await call(bench.path, 'NetworkDriver.DeleteNetwork', bad ? 'junk' : { NetworkID: N }, { agent });
      assert.equal(reply.json?.Err === undefined, !bad);
      assert.equal(reply.headers.connection, 'keep-alive');
    }
    assert.equal(opened, 1);
    agent.destroy();
    await bench.close();
  });

  it('are never closed for being silent: neither fresh ones nor used ones', async () => {
    const bench = await startBench({ headerTimeoutMs: 40 });
    const sockets = [connect(bench.path), connect(bench.path)];
    const text = ['', ''];
    for (const [i, socket] of sockets.entries()) socket.on('data', (chunk) => (text[i] += chunk.toString()));
    const ask = 'POST /Plugin.Activate HTTP/1.1\r\nContent-Length: 0\r\n\r\n';
    sockets[1]!.write(ask);
    await delay(250);
    assert.deepEqual(
      sockets.map((socket) => socket.readableEnded || socket.destroyed),
      [false, false],
    );
    for (const socket of sockets) socket.write(ask);
    while (text[0]!.split('Implements').length < 2 || text[1]!.split('Implements').length < 3) await delay(5);
    for (const socket of sockets) socket.destroy();
    await bench.close();
  });

  it('that begin a request and do not finish its headers are closed, also after a good one', async () => {
    const bench = await startBench({ headerTimeoutMs: 60 });
    const socket = connect(bench.path);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    let text = '';
    socket.on('data', (chunk) => (text += chunk.toString()));
    socket.write('POST /Plugin.Activate HTTP/1.1\r\nContent-Length: 0\r\n\r\n');
    while (!text.includes('Implements')) await delay(5);
    socket.on('error', () => undefined);
    const start = performance.now();
    socket.write('POST /Plugin.Activate HTTP/1.1\r\n');
    const drip = setInterval(() => socket.write('X'), 10);
    await closed;
    clearInterval(drip);
    const took = performance.now() - start;
    assert.ok(took >= 60, `${took} ms`);
    assert.equal(text.split('HTTP/1.1').length, 2);
    await bench.close();
  });
});

describe('close', () => {
  it('takes the name away at once, answers what is in flight, and then stops', async () => {
    const going = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const bench = await startBench(
      {},
      {
        network: {
          leave: () => {
            begun.resolve();
            return going.promise;
          },
        },
      },
    );
    const agent = new Agent({ keepAlive: true });
    const inFlight = call(bench.path, 'NetworkDriver.Leave', both, { agent });
    await begun.promise;
    let done = false;
    const closed = bench.close().then(() => (done = true));
    assert.equal(existsSync(bench.path), false);
    await delay(50);
    assert.equal(done, false);
    going.resolve();
    const reply = await inFlight;
    assert.deepEqual([reply.status, reply.json, reply.headers.connection], [200, {}, 'close']);
    await closed;
    agent.destroy();
  });

  it('still serves a connection that was there before', async () => {
    const going = Promise.withResolvers<void>();
    const bench = await startBench({}, { network: { leave: () => going.promise } });
    const agent = new Agent({ keepAlive: true });
    await call(bench.path, 'Plugin.Activate', undefined, { agent });
    const inFlight = call(bench.path, 'NetworkDriver.Leave', both);
    while (bench.drivers.calls.length === 0) await delay(5);
    const closed = bench.close();
    await delay(150);
    assert.equal((await call(bench.path, 'Plugin.Activate', undefined, { agent })).status, 200);
    going.resolve();
    await inFlight;
    await closed;
    agent.destroy();
  });

  it('serves who connected just before, and those who only now speak', async () => {
    for (let round = 0; round < 20; round++) {
      const bench = await startBench();
      const ask = 'POST /Plugin.Activate HTTP/1.1\r\nContent-Length: 0\r\n\r\n';
      const answers = Array.from({ length: 10 }, (_, i) => i).map((i) => {
        const socket = connect(bench.path);
        const { promise, resolve } = Promise.withResolvers<string>();
        let text = '';
        socket.on('data', (chunk) => (text += chunk.toString()));
        socket.on('error', (error) => resolve(error.message));
        socket.on('close', () => resolve(text));
        setTimeout(() => socket.write(ask), i % 3);
        return promise;
      });
      await bench.close();
      for (const text of await Promise.all(answers)) assert.match(text, /200 OK.*Implements/s);
    }
  });

  it('serves a request that has come, and that it has not read yet, when the last answer goes out', async () => {
    const ask = 'POST /Plugin.Activate HTTP/1.1\r\nContent-Length: 0\r\n\r\n';
    const going = Promise.withResolvers<void>();
    const bench = await startBench({}, { network: { leave: () => going.promise } });
    const socket = connect(bench.path);
    let text = '';
    socket.on('data', (chunk) => (text += chunk.toString()));
    const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()).on('error', () => {}));
    socket.write(ask);
    const inFlight = call(bench.path, 'NetworkDriver.Leave', both);
    while (bench.drivers.calls.length === 0 || text === '') await delay(5);
    const closed = bench.close();
    await delay(150);
    text = '';
    // In the kernel before the answer is, and read only after this turn.
    socket.write(ask);
    going.resolve();
    await inFlight;
    await closed;
    await ended;
    assert.match(text, /200 OK.*Implements/s);
  });

  it('waits no longer than the limit of a call, for a request or a connection that hangs', async () => {
    // Else it would wait for ever.
    const bench = await startBench({ timeoutMs: 300 }, { network: { leave: never } });
    const silent = connect(bench.path);
    const half = connect(bench.path, () =>
      half.write('POST /NetworkDriver.Leave HTTP/1.1\r\nContent-Length: 9\r\n\r\n'),
    );
    const inFlight = call(bench.path, 'NetworkDriver.Leave', both);
    while (bench.drivers.calls.length === 0) await delay(5);
    await bench.close();
    assertOneLine((await inFlight).json, /no result/);
    silent.destroy();
    half.destroy();
  });

  it('is quick when nothing is going on, and may be called twice', async () => {
    const { network, ipam } = fakeDrivers();
    const server = createPluginServer({ name: 'x', network, ipam, logger: pino({ level: 'silent' }) });
    await Promise.all([server.close(), server.close()]);
    await assert.rejects(server.listen({ kind: 'unix', path: '/nowhere' }), { code: 'SHUTTING_DOWN' });
  });
});

it('refuses a name that cannot be a file name', () => {
  const { network, ipam } = fakeDrivers();
  for (const name of ['', '../x', 'a/b', '.hidden', 'x'.repeat(65), 'a b'])
    assert.throws(() => createPluginServer({ name, network, ipam, logger: pino({ level: 'silent' }) }), {
      code: 'BAD_CONFIG',
    });
});
