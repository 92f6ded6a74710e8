/**
 * Random operations, alone and at once, with a store that fails and a process that dies at any point, against the plainest
 * account of who was told what: no address twice, none lost, none left over, the lowest free one first, memory as the store.
 */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { formatAddress } from '../model/address.ts';
import { asBerthError } from '../model/errors.ts';
import type { EndpointId, NetworkId } from '../model/ids.ts';
import type { Lease, Pool } from '../model/pool.ts';
import { overlaps, parsePrefix, samePrefix } from '../model/prefix.ts';
import { createMemoryStore } from '../store/memory.ts';
import { encodeLease, encodePool } from './codec.ts';
import { type Ipam, openIpam } from './ipam.ts';
import { allocatable } from './subnet-rules.ts';
import { type Fault, type FaultyStore, makeFaulty } from './testing/faulty-store.ts';

const NETWORK = 'n'.repeat(64) as NetworkId;
const given = ['10.0.0.0/29', '10.0.0.0/29 10.0.0.4/30', '10.0.0.8/29', '10.0.0.0/28', 'fd00::/125'];
const options = {
  bases: [
    { base: parsePrefix('10.1.0.0/28')!, length: 30 },
    { base: parsePrefix('fd01::/125')!, length: 127 },
  ],
  // Openings are long past whenever somebody asks.
  monotonic: () => (hours += 3_600_000),
};
let hours = 0;

type Step =
  | { readonly do: 'open'; readonly subnet: number; readonly space: string }
  | { readonly do: 'auto'; readonly family: 4 | 6 }
  | { readonly do: 'lease'; readonly pool: number; readonly gateway: boolean; readonly engine: string }
  | {
      readonly do: 'lease given';
      readonly pool: number;
      readonly host: number;
      readonly replay: boolean;
      readonly engine: string;
    }
  | { readonly do: 'claim'; readonly lease: number; readonly endpoint: number }
  | { readonly do: 'release'; readonly lease: number }
  | { readonly do: 'release endpoint'; readonly endpoint: number }
  | { readonly do: 'release pool'; readonly pool: number; readonly inUse: boolean }
  | { readonly do: 'remove pool'; readonly pool: number };

const index = fc.nat({ max: 1000 });
const engine = fc.constantFrom('A', 'A', 'B');
const pick = <T>(items: readonly T[], at: number): T | undefined => items[at % Math.max(items.length, 1)];
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('open' as const),
      subnet: fc.nat(4),
      space: fc.constantFrom('s', 's', 't'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('auto' as const), family: fc.constantFrom(4 as const, 6 as const) }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('lease' as const),
      pool: index,
      gateway: fc.nat(4).map((n) => n === 0),
      engine,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('lease given' as const),
      pool: index,
      host: fc.nat(7),
      replay: fc.boolean(),
      engine,
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('claim' as const), lease: index, endpoint: fc.nat(5) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('release' as const), lease: index }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('release endpoint' as const), endpoint: fc.nat(5) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('release pool' as const), pool: index, inUse: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('remove pool' as const), pool: index }) },
);
const fault = fc.option(
  fc.record({
    kind: fc.constantFrom<Fault>('lost', 'unheard', 'full', 'dead before', 'dead after'),
    nth: fc.nat(2),
    reads: fc.nat(2),
  }),
  { freq: 2 },
);
/** One step alone, or several at once. */
const rounds = fc.array(
  fc.record({
    steps: fc.oneof(
      { weight: 2, arbitrary: fc.array(step, { minLength: 1, maxLength: 1 }) },
      { weight: 1, arbitrary: fc.array(step, { minLength: 2, maxLength: 4 }) },
    ),
    fault,
    restart: fc.nat(15).map((n) => n === 0),
  }),
  { minLength: 20, maxLength: 60 },
);

const endpointId = (n: number) => `endpoint${n}`.padEnd(64, '0') as EndpointId;
/** Space, subnet and address: where only one lease can be. The spaces here have no slash in their names. */
const placeOf = ({ pool, address }: Lease) => `${pool.split('/').slice(0, 2).join('/')} ${formatAddress(address)}`;
const texts = (ipam: Ipam) => [...ipam.pools().map(encodePool), ...ipam.leases().map(encodeLease)].toSorted();

/** What was granted, by subnet and address, with the holder when it is known. */
type Granted = Map<string, Lease>;

interface World {
  readonly inner: ReturnType<typeof createMemoryStore>;
  store: FaultyStore;
  ipam: Ipam;
  granted: Granted;
}

/** What one step did, as far as its caller can know. */
interface Told {
  readonly step: Step;
  readonly before?: Lease;
  readonly pool?: Pool;
  readonly lease?: Lease;
  readonly code?: string;
}

async function perform(world: World, step: Step): Promise<Told | undefined> {
  const { ipam } = world;
  const pools = ipam.pools();
  const leases = [...world.granted.values()];
  const note: { before?: Lease; pool?: Pool; lease?: Lease; code?: string } = {};
  const work = async (): Promise<void> => {
    switch (step.do) {
      case 'open': {
        const [subnet, range] = given[step.subnet]!.split(' ').map((text) => parsePrefix(text)!);
        const family = subnet!.address.family;
        const request = { space: step.space, subnet: subnet!, family, options: {}, taken: [] };
        note.pool = await ipam.openPool(range === undefined ? request : { ...request, range });
        return;
      }
      case 'auto':
        note.pool = await ipam.openPool({ space: 's', family: step.family, options: {}, taken: [] });
        return;
      case 'lease': {
        const pool = pick(pools, step.pool);
        if (pool === undefined) return;
        note.pool = pool;
        const kind = step.gateway ? 'gateway' : 'request';
        note.lease = await ipam.lease({ pool: pool.id, holder: { kind }, engine: step.engine });
        return;
      }
      case 'lease given': {
        const pool = pick(pools, step.pool);
        if (pool === undefined) return;
        note.pool = pool;
        const { family, value } = pool.subnet.address;
        const address = { family, value: value + BigInt(step.host) };
        const { engine, replay } = step;
        note.lease = await ipam.lease({ pool: pool.id, address, holder: { kind: 'request' }, engine, replay });
        return;
      }
      case 'claim': {
        const lease = pick(leases, step.lease);
        const pool = lease && ipam.pool(lease.pool);
        if (lease === undefined || pool === undefined) return;
        note.before = lease;
        const holder = { kind: 'endpoint', endpoint: endpointId(step.endpoint), network: NETWORK } as const;
        const claimed = await ipam.claim(pool.subnet, lease.address, holder);
        if (claimed !== undefined) note.lease = claimed;
        return;
      }
      case 'release': {
        const lease = pick(leases, step.lease);
        if (lease === undefined) return;
        note.before = lease;
        await ipam.release(lease.pool, lease.address);
        return;
      }
      case 'release endpoint':
        await ipam.releaseEndpoint(endpointId(step.endpoint));
        return;
      case 'release pool':
      case 'remove pool': {
        const pool = pick(pools, step.pool);
        if (pool === undefined) return;
        note.pool = pool;
        if (step.do === 'remove pool') await ipam.removePool(pool.id);
        else await ipam.releasePool(pool.id, { inUse: step.inUse });
      }
    }
  };
  try {
    await Promise.race([
      work(),
      world.store.death.then(() => {
        throw new Error('dead');
      }),
    ]);
  } catch (error) {
    if (error instanceof Error && error.message === 'dead') return undefined;
    note.code = asBerthError(error).code;
    assert.notEqual(note.code, 'INTERNAL', String(error));
  }
  return { step, ...note };
}

/** All pools and leases as a fresh start finds them. */
const reload = (world: World): Promise<Ipam> => openIpam(world.inner, options);
const byPlace = (ipam: Ipam): Granted => new Map(ipam.leases().map((lease) => [placeOf(lease), lease]));

/** What a step has, or may have, freed. */
function mayHaveFreed(before: Granted, { step, before: released, code }: Told): readonly string[] {
  const places = (test: (lease: Lease) => boolean) =>
    [...before].filter(([, lease]) => test(lease)).map(([place]) => place);
  switch (step.do) {
    case 'release':
      // With the last lease of a pool that was given back goes its gateway.
      return code === 'STORE_FULL' ? [] : places((lease) => lease === released || lease.holder.kind === 'gateway');
    case 'release endpoint':
      // Beside this step, another may have given it an address or taken one from it.
      return code === 'STORE_FULL' ? [] : places(() => true);
    case 'release pool':
    case 'remove pool':
      return places((lease) => lease.holder.kind === 'gateway');
    case 'open':
    case 'auto':
    case 'lease':
    case 'lease given':
    case 'claim':
      return [];
  }
}

/** Whether a lease may be one that was granted before. */
const isRepeat = (step: Step) => (step.do === 'lease' && step.gateway) || (step.do === 'lease given' && step.replay);

/** No address twice, none lost, none left over. `before` is what was granted before the round, `after` what is now. */
function judge(before: Granted, after: Granted, told: readonly Told[]): void {
  const freed = new Set(told.flatMap((one) => mayHaveFreed(before, one)));
  const releases = told.filter(({ step }) => step.do.startsWith('release')).length;
  const times = new Map<string, number>();
  for (const { step, lease } of told) {
    if (lease === undefined || step.do === 'claim') continue;
    const place = placeOf(lease);
    times.set(place, times.get(place) ?? 0);
    if (isRepeat(step)) continue;
    assert.ok(!before.has(place) || freed.has(place), `${place} was given out twice`);
    times.set(place, times.get(place)! + 1);
  }
  for (const [place, count] of times) {
    assert.ok(count <= 1 + releases, `${place} was given out ${count} times at once`);
    const mayBeGone = told.some(({ step }) => step.do.startsWith('release') || step.do === 'remove pool');
    assert.ok(after.has(place) || mayBeGone, `${place} was granted and is not there`);
  }
  for (const [place, lease] of before) {
    assert.ok(after.has(place) || freed.has(place), `${place} is lost: ${JSON.stringify(lease.holder)}`);
  }
  for (const place of after.keys()) assert.ok(before.has(place) || times.has(place), `${place} is left over`);
}

/** What only holds for a step that nothing else ran beside. */
function judgeAlone(before: Granted, after: Granted, { step, before: touched, pool, lease, code }: Told): void {
  if (step.do === 'release' && touched !== undefined && touched.holder.kind !== 'gateway' && code !== 'STORE_FULL') {
    assert.ok(!after.has(placeOf(touched)), `${placeOf(touched)} was not released`);
  }
  if (step.do === 'release endpoint' && code === undefined) {
    for (const [place, { holder }] of before) {
      const own = holder.kind === 'endpoint' && holder.endpoint === endpointId(step.endpoint);
      assert.ok(!own || !after.has(place), `${place} was not released`);
      assert.ok(own || holder.kind === 'gateway' || after.has(place), `${place} is lost`);
    }
  }
  if (step.do === 'claim' && lease !== undefined && code === undefined) {
    assert.deepEqual(after.get(placeOf(lease))?.holder, lease.holder);
  }
  if (step.do === 'lease' && !step.gateway && pool !== undefined) {
    if (lease === undefined && code !== 'POOL_EXHAUSTED') return;
    const { first, last } = allocatable(pool.subnet, pool.range);
    const { family } = pool.subnet.address;
    const end = lease === undefined ? last + 1n : lease.address.value;
    assert.ok(end <= last + 1n);
    for (let value = first; value < end; value++) {
      const place = placeOf({ pool: pool.id, address: { family, value } } as Lease);
      assert.ok(after.has(place), `${place} was free and lower`);
    }
  }
}

function noOverlap(pools: readonly Pool[]): void {
  for (const a of pools) {
    for (const b of pools) {
      if (a.space !== b.space || samePrefix(a.subnet, b.subnet)) continue;
      assert.ok(!overlaps(a.subnet, b.subnet), `${a.id} overlaps ${b.id}`);
    }
  }
}

interface Round {
  readonly steps: readonly Step[];
  readonly fault: { readonly kind: Fault; readonly nth: number; readonly reads: number } | null;
  /** Whether the process is restarted after it. */
  readonly restart: boolean;
}

async function run(rounds: readonly Round[]): Promise<void> {
  const inner = createMemoryStore();
  const store = makeFaulty(inner);
  const world: World = { inner, store, ipam: await openIpam(store, options), granted: new Map() };
  for (const { steps, fault, restart } of rounds) {
    if (fault !== null) {
      world.store.failAt(fault.nth, fault.kind);
      if (fault.kind === 'lost' || fault.kind === 'unheard') world.store.failReads(fault.reads);
    }
    const answers = await Promise.all(steps.map((step) => perform(world, step)));
    world.store.heal();
    const died = answers.includes(undefined);
    // One undisturbed change finds out about everything that was left open.
    if (!died) await world.ipam.releasePool('no such pool' as Pool['id']);
    const truth = await reload(world);
    const after = byPlace(truth);
    const told = answers.filter((answer) => answer !== undefined);
    noOverlap(truth.pools());
    if (died) judgeDeath(world.granted, after, steps, told);
    else {
      assert.deepEqual(texts(world.ipam), texts(truth), 'memory is not what the store is');
      judge(world.granted, after, told);
      if (told.length === 1) judgeAlone(world.granted, after, told[0]!);
    }
    world.granted = after;
    if (died || restart) {
      world.store = makeFaulty(inner);
      world.ipam = await openIpam(world.store, options);
    }
  }
}

/** What the dead process did last is known only from the store; but nothing is lost that it was not asked to free. */
function judgeDeath(before: Granted, after: Granted, steps: readonly Step[], told: readonly Told[]): void {
  if (steps.some(({ do: what }) => what.startsWith('release') || what === 'remove pool')) return;
  for (const place of before.keys()) assert.ok(after.has(place), `${place} is lost`);
  for (const { lease } of told) {
    if (lease !== undefined) assert.ok(after.has(placeOf(lease)), `${placeOf(lease)} was granted and is lost`);
  }
}

it('keeps its promises through random operations, failures and crashes', { timeout: 300_000 }, async () => {
  await fc.assert(fc.asyncProperty(rounds, run), { numRuns: 400 });
});
