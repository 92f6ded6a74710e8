import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { pino } from 'pino';
import type { Engine, EngineEvent, EngineNetwork } from '../docker/engine.ts';
import { parseAddress } from '../model/address.ts';
import { BerthError } from '../model/errors.ts';
import type { EndpointId, EngineId, NetworkId } from '../model/ids.ts';
import { macFromAddress } from '../model/mac.ts';
import type { Endpoint, Network } from '../model/network.ts';
import { type Collector, type CollectorParts, createCollector } from './collector.ts';
import { openEvents } from './events.ts';
import { createMetrics } from './metrics.ts';
import { createNames } from './names.ts';

const GRACE = 60_000;
const address = parseAddress('10.1.0.2')!;
const forgotten: Endpoint = {
  id: 'e1'.padEnd(64, '0') as EndpointId,
  network: 'n1'.padEnd(64, '0') as NetworkId,
  phase: 'attached',
  addresses: [{ address, length: 24 }],
  mac: macFromAddress(address),
  publishes: false,
  options: {},
  settings: null,
  createdAt: 0,
};

let collector: Collector;
/** What the engine was asked, and what was done. */
let log: string[];
let id: string;
let clock: number;
let endpoints: Map<EndpointId, Endpoint>;
let networks: Map<NetworkId, Network>;
/** What the engine has. */
let listed: EngineNetwork[];
/** What happens while the engine answers. */
let meanwhile: { info?: () => void; networks?: () => void };
/** Hands an event to whoever follows; undefined ends the stream. */
let tell: (event: EngineEvent | undefined) => void;

beforeEach(() => {
  [log, id, clock, endpoints, networks, listed] = [[], 'one', 0, new Map(), new Map(), []];
  meanwhile = {};
  const engine: Partial<Engine> = {
    info: () => {
      log.push('info');
      meanwhile.info?.();
      return Promise.resolve({
        id: id as EngineId,
        version: '28.5.2',
        apiVersion: '1.51',
        liveRestore: false,
        clusterStore: false,
        swarm: false,
        manager: false,
        drivers: [],
      });
    },
    networks: () => {
      log.push('networks');
      meanwhile.networks?.();
      return Promise.resolve(listed);
    },
    async *events() {
      yield { type: 'engine', action: 'connected', actor: '', attributes: {} };
      for (;;) {
        const { promise, resolve } = Promise.withResolvers<EngineEvent | undefined>();
        tell = resolve;
        const event = await promise;
        if (event === undefined) throw new BerthError('ENGINE_UNREACHABLE', 'the engine has gone');
        yield event;
      }
    },
  };
  collector = createCollector({
    engine,
    state: {
      networks,
      endpoints,
      endpointsOf: (network: NetworkId) => [...endpoints.values()].filter((one) => one.network === network),
    },
    lifecycle: {
      removeNetwork: (network: NetworkId) => {
        log.push('network freed');
        networks.delete(network);
        return Promise.resolve();
      },
      serialise: (_: string, work: () => Promise<void>) => work(),
      removeEndpoint: () => {
        log.push('freed');
        endpoints.clear();
        return Promise.resolve();
      },
      learnBridges() {},
    },
    leases: {
      learnEngine() {},
      reconciled() {},
      pools: () => [],
      all: () => [],
      isOwn: () => true,
      endpointGone: () => Promise.resolve(),
      freeReleased: () => Promise.resolve(),
      freePoolsOf: () => Promise.resolve(),
      isShared: true,
      match: () => Promise.resolve(),
    },
    names: createNames(),
    events: openEvents(pino({ level: 'silent' })),
    metrics: createMetrics(),
    plugins: new Map([['berth', {}]]),
    grace: GRACE,
    interval: 1e9,
    adoption: {
      isUnknown: (seen: EngineNetwork) => !networks.has(seen.id),
      adopt: () => Promise.resolve(void log.push('adopted')),
    },
    audit: () => Promise.resolve(),
    dhcp: { learn: () => Promise.resolve(), containersChanged() {}, networkGoes: () => Promise.resolve() },
    hear() {},
    knownEngine: 'one',
    rememberEngine: () => Promise.resolve(),
    monotonic: () => clock,
  } as unknown as CollectorParts);
});

/** Lets what was begun go on, with the timers that wait for it. */
async function pass(milliseconds: number): Promise<void> {
  await setImmediate();
  clock += milliseconds;
  mock.timers.tick(milliseconds);
  for (let turn = 0; turn < 5; turn++) await setImmediate();
}

const started: EngineEvent = { type: 'container', action: 'start', actor: 'c1', attributes: {} };

test('which engine it is, is asked when the stream of events opens, not whenever a container starts', async (t) => {
  mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  t.after(() => mock.timers.reset());
  const ending = new AbortController();
  const followed = collector.follow(ending.signal);
  await pass(1000);
  assert.deepEqual(log.splice(0), ['info', 'networks', 'info', 'networks']);
  tell(started);
  await pass(1000);
  assert.deepEqual(log.splice(0), ['networks']);
  tell({ ...started, type: 'daemon', action: 'reload' });
  await pass(1000);
  assert.deepEqual(log.splice(0), ['info', 'networks']);
  tell(undefined);
  await pass(1000);
  assert.deepEqual(log.splice(0).slice(0, 2), ['info', 'networks'], 'another process may answer there');
  ending.abort();
  tell(undefined);
  await followed;
});

for (const [who, outcome] of [
  ['one', ['networks', 'info', 'freed']],
  ['another', ['networks', 'info']],
] as const) {
  test(`before anything is freed it is asked again which engine says so: ${who}`, async () => {
    endpoints.set(forgotten.id, forgotten);
    await collector.pass();
    assert.deepEqual(log.splice(0), ['info', 'networks']);
    clock += GRACE;
    id = who;
    await collector.pass();
    assert.deepEqual(log, outcome);
  });
}

test('an endpoint that the engine is still waiting for is not forgotten, and has its grace when it has been answered', async () => {
  const answer = Promise.withResolvers<void>();
  const asked = collector.whileAsked(forgotten.id, () => answer.promise);
  endpoints.set(forgotten.id, forgotten);
  await collector.pass();
  clock += 2 * GRACE;
  await collector.pass();
  assert.ok(endpoints.has(forgotten.id), 'it is being made');
  answer.resolve();
  await asked;
  clock += GRACE - 1;
  await collector.pass();
  assert.ok(endpoints.has(forgotten.id), 'its container is about to be plugged in');
  clock += 1;
  await collector.pass();
  assert.ok(!endpoints.has(forgotten.id));
});

const shared = { id: forgotten.network, fabric: 'cluster', subnets: [] } as unknown as Network;
const seen = {
  id: forgotten.network,
  name: 'shop',
  driver: 'berth',
  ipamDriver: 'berth',
  subnets: [],
  endpoints: [],
  ipamOptions: {},
} as unknown as EngineNetwork;

test('a network that another engine has removed goes at once, and is not taken over again from this one, which lists it still', async () => {
  networks.set(shared.id, shared);
  listed = [seen];
  await collector.pass();
  log = [];
  await collector.networkGone(shared.id);
  assert.deepEqual(log.splice(0), ['network freed']);
  await collector.pass();
  assert.ok(!log.splice(0).includes('adopted'));
  listed = [];
  await collector.pass();
  listed = [seen];
  await collector.pass();
  assert.ok(log.includes('adopted'), 'whatever comes later is another matter');
});

test('as long as it has a container here, it is left to what the engine says', async () => {
  networks.set(shared.id, shared);
  endpoints.set(forgotten.id, forgotten);
  await collector.networkGone(shared.id);
  assert.deepEqual(log, []);
});

test('what has changed since it was looked at is not freed, but judged anew', async () => {
  endpoints.set(forgotten.id, forgotten);
  await collector.pass();
  clock += GRACE;
  // It is attached to its container while the engine is asked who it is.
  meanwhile.info = () => void endpoints.set(forgotten.id, { ...forgotten });
  await collector.pass();
  assert.ok(!log.includes('freed'));
  meanwhile = {};
  await collector.pass();
  assert.ok(log.includes('freed'));
});

test('the grace is over only when the engine was asked so long after its last answer, however slow it is', async () => {
  endpoints.set(forgotten.id, forgotten);
  // The engine or this process stands still.
  meanwhile.networks = () => {
    clock += GRACE;
  };
  await collector.pass();
  await collector.pass();
  assert.ok(!log.includes('freed'));
  await collector.pass();
  assert.ok(log.includes('freed'));
});
