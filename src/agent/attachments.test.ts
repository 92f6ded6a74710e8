import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import type { EngineContainer } from '../docker/engine.ts';
import { openIpam } from '../ipam/ipam.ts';
import type { HostView, Kernel, KernelStep } from '../kernel/kernel.ts';
import { type KernelObject, objectKey } from '../kernel/objects.ts';
import { formatAddress, parseAddress } from '../model/address.ts';
import { BerthError } from '../model/errors.ts';
import { parsePrefix } from '../model/prefix.ts';
import { DEFAULT_DATABASE } from '../ovs/address.ts';
import { createMemoryStore } from '../store/memory.ts';
import { readAttachRequest } from './attach-request.ts';
import { createAttachments } from './attachments.ts';
import { openEvents } from './events.ts';
import { createLeases } from './leases.ts';
import { createLifecycle } from './lifecycle.ts';
import { createNames } from './names.ts';
import { openState, storeNotes } from './state.ts';
import { noConflicts } from './testing/conflicts.ts';

const ID = 'c0ffee'.padEnd(64, '0');
/** Two paths of a namespace that is there, for a container that has another one after its restart. */
const FIRST = '/proc/self/ns/net';
const SECOND = '/proc/thread-self/ns/net';
const PLUG = { container: 'web', addresses: ['192.168.9.5/24'], gateways: ['192.168.9.1'], options: { bridge: 'br0' } };

const host: HostView = {
  links: [{ index: 2, name: 'br0', type: 'bridge', mtu: 1500, up: true, running: true, loopback: false }],
  addresses: [],
  routes: [],
};
const running = (more: Partial<EngineContainer> = {}): EngineContainer => ({
  id: ID,
  name: 'web',
  hostName: 'web',
  labels: {},
  running: true,
  networkMode: 'none',
  sandbox: FIRST,
  ...more,
});
const unused = () => assert.fail('no network is named');

async function open() {
  const store = createMemoryStore();
  const owned = new Map<string, readonly KernelObject[]>();
  const steps: KernelStep[] = [];
  const world = {
    store,
    owned,
    steps,
    containers: [running()] as EngineContainer[],
    inside: { links: [], addresses: [], routes: [] } as HostView,
    strange: false,
    refuse: false,
    left: [] as string[],
  };
  const kernel: Kernel = {
    apply(owner, objects) {
      if (world.refuse && owner.startsWith('endpoint/')) return Promise.reject(new BerthError('KERNEL_REFUSED', 'no'));
      owned.set(owner, objects);
      return Promise.resolve();
    },
    remove: (owner) => Promise.resolve(void owned.delete(owner)),
    declare: (owner, objects) => void owned.set(owner, objects),
    audit: () => Promise.resolve([]),
    execute: (given) => Promise.resolve(void steps.push(...given)),
    announce: () => Promise.resolve(),
    belongings: () => Promise.resolve([]),
    view: (netns) => Promise.resolve(netns === undefined ? host : world.inside),
    neighbours: () => Promise.resolve([]),
    entries: () => Promise.resolve([]),
    packets: () => Promise.resolve({ capture: [], sent: 0 } as never),
    beforeResolver: () => Promise.reject(new Error('no resolver')),
    resolverStream: () => Promise.reject(new Error('no resolver')),
    onDrift() {},
    onChange() {},
    onArrival() {},
    close: () => Promise.resolve(),
  };

  /** As after a start of the agent. */
  async function start() {
    const state = await openState(store, 'h');
    const facts = { current: () => host, refresh: () => Promise.resolve(host), onChange() {} };
    const events = openEvents(pino({ level: 'silent' }));
    const names = createNames();
    const lifecycle = createLifecycle({
      state,
      kernel,
      host: facts,
      notes: storeNotes(store, 'h'),
      events,
      defaults: { bridge: 'br0', ovsDatabase: DEFAULT_DATABASE },
      engineRefusesGateway: () => false,
      linger: 0,
    });
    const leases = createLeases({
      conflicts: noConflicts,
      ipam: await openIpam(store),
      state,
      host: facts,
      names,
      plugins: new Map(),
      engineId: () => 'engine',
      monotonic: () => 0,
    });
    const attachments = createAttachments({
      conflicts: { ...noConflicts, left: ({ id }) => void world.left.push(id) },
      state,
      lifecycle,
      leases,
      names,
      host: facts,
      kernel,
      events,
      now: () => 0,
      dhcp: {
        serves: () => false,
        acquire: () => assert.fail('no DHCP here'),
        settled() {},
        attached() {},
        networkGoes: () => Promise.resolve(),
        leases: () => [],
      },
      engine: {
        container: (wanted) =>
          Promise.resolve(world.containers.find(({ id, name }) => id === wanted || name === wanted)),
      },
      strange: () => world.strange,
      interval: 1_000_000,
    });
    await lifecycle.recover();
    await attachments.recover();
    const attach = (body: object) => attachments.attach(readAttachRequest(body), unused);
    /** What happens to a container, until all has been done about it. */
    const happens = async (action: string, attributes = { name: 'web' }, actor = ID) => {
      attachments.hear({ type: 'container', action, actor, attributes });
      for (const { id } of attachments.all()) await lifecycle.serialise(id, () => Promise.resolve());
      await lifecycle.settled();
    };
    return { state, lifecycle, attachments, attach, happens };
  }
  return { world, start };
}

const inContainer = (owned: ReadonlyMap<string, readonly KernelObject[]>, sandbox: string): string[] =>
  [...owned.values()]
    .flat()
    .filter(({ netns }) => netns === sandbox)
    .map(objectKey)
    .toSorted();

test('a running container gets the link, its address and the default route, and the same request is the same', async () => {
  const { world, start } = await open();
  const { attach, attachments } = await start();
  const { id, attachment, phase } = await attach(PLUG);
  assert.deepEqual([attachment.interface, phase], ['eth1', 'attached']);
  assert.deepEqual(inContainer(world.owned, FIRST), [
    `address@${FIRST} eth1 192.168.9.5/24`,
    `link@${FIRST} eth1`,
    `route@${FIRST} table 254 0.0.0.0/0 metric 0`,
  ]);
  assert.equal((await attach(PLUG)).id, id);
  assert.equal(attachments.all().length, 1);
  await assert.rejects(attach({ ...PLUG, interface: 'eth7' }), { code: 'ADDRESS_TAKEN' });
  assert.equal((await attach({ container: 'web', noAddress: true })).attachment.interface, 'eth2');
});

test('a restarted container is plugged in where it is now; one that has stopped, nowhere', async () => {
  const { world, start } = await open();
  const { attach, happens, state } = await start();
  const { id } = await attach(PLUG);
  world.containers = [running({ running: false })];
  delete (world.containers[0] as { sandbox?: string }).sandbox;
  await happens('die');
  assert.equal(state.endpoints.get(id)?.phase, 'created');
  assert.deepEqual(inContainer(world.owned, FIRST), []);
  world.containers = [running({ sandbox: SECOND })];
  await happens('start');
  assert.equal(inContainer(world.owned, SECOND).length, 3);
  // Of a quick restart only the end may be seen.
  world.containers = [running({ sandbox: FIRST })];
  await happens('start');
  assert.deepEqual([inContainer(world.owned, FIRST).length, inContainer(world.owned, SECOND).length], [3, 0]);
});

test('a removed container takes its attachment along, with its network; of another engine, none goes', async () => {
  const { world, start } = await open();
  const { attach, happens, state, attachments } = await start();
  await attach(PLUG);
  world.containers = [];
  world.strange = true;
  await happens('destroy');
  assert.equal(attachments.all().length, 1);
  world.strange = false;
  await happens('destroy');
  assert.deepEqual([attachments.all(), [...state.networks], [...state.endpoints]], [[], [], []]);
  assert.deepEqual(inContainer(world.owned, FIRST), []);
});

test('a kept one waits for the next container of that name, and follows a rename', async () => {
  const { world, start } = await open();
  const { attach, happens, attachments } = await start();
  await attach({ ...PLUG, keep: true });
  world.containers = [];
  await happens('destroy');
  assert.equal(attachments.all()[0]?.phase, 'created');
  const next = 'beef'.padEnd(64, '0');
  world.containers = [running({ id: next })];
  await happens('start', { name: 'web' }, next);
  assert.deepEqual(attachments.all()[0]?.attachment.container, { id: next, name: 'web' });
  assert.equal(attachments.all()[0]?.phase, 'attached');
  world.containers = [running({ id: next, name: 'shop' })];
  await happens('rename', { name: 'shop' }, next);
  assert.equal(attachments.all()[0]?.attachment.container.name, 'shop');
});

test('after a start of the agent, what was plugged into a container that has ended is forgotten, and the rest stands', async () => {
  const { world, start } = await open();
  const first = await start();
  const { id } = await first.attach(PLUG);
  world.owned.clear();
  assert.equal((await start()).state.endpoints.get(id)?.phase, 'attached');
  assert.equal(inContainer(world.owned, FIRST).length, 3);
  await first.state.putEndpoint({ ...first.state.endpoints.get(id)!, sandbox: '/run/nowhere' });
  const again = await start();
  assert.equal(again.state.endpoints.get(id)?.phase, 'created');
  assert.deepEqual(inContainer(world.owned, '/run/nowhere'), []);
});

test('what fails leaves no record', async () => {
  const { world, start } = await open();
  const { attach, state } = await start();
  world.refuse = true;
  await assert.rejects(attach(PLUG), { code: 'KERNEL_REFUSED' });
  assert.deepEqual([[...state.networks], [...state.endpoints], [...world.owned]], [[], [], []]);
  for (const [container, code] of [
    [running({ networkMode: 'host' }), 'CONTAINER_UNSUITABLE'],
    [running({ networkMode: `container:${ID}` }), 'CONTAINER_UNSUITABLE'],
    [running({ sandbox: '/etc/hostname' }), 'CONTAINER_UNSUITABLE'],
    [running({ running: false }), 'CONTAINER_STOPPED'],
  ] as const) {
    world.containers = [container];
    await assert.rejects(attach(PLUG), { code });
  }
  world.containers = [];
  await assert.rejects(attach(PLUG), { code: 'CONTAINER_UNKNOWN' });
  assert.deepEqual([...state.endpoints], []);
});

test('a default route that had to go comes back', async () => {
  const { world, start } = await open();
  const { attach, attachments } = await start();
  const via = parseAddress('172.17.0.1')!;
  const destination = parsePrefix('0.0.0.0/0')!;
  const route = { table: 254, destination, link: 'eth0', via, metric: 0, protocol: 3, scope: 'universe' } as const;
  world.inside = { links: [], addresses: [], routes: [{ ...route, type: 'unicast' }] };
  const { id, attachment } = await attach(PLUG);
  assert.deepEqual(attachment.gateways.map(formatAddress), ['192.168.9.1']);
  await attachments.detach(id);
  assert.deepEqual(world.left, [id], 'nobody need wait for its address to be asked for when it is attached again');
  assert.deepEqual(
    world.steps.map((step) => 'make' in step && step.make.kind === 'route' && [step.make.link, step.make.via]),
    [['eth0', via]],
  );
});
