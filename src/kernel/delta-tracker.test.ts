import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DeltaTracker } from './delta-tracker.ts';

/** A value is satisfied by one that is equal or has more: as with fields that are declared and fields that are found. */
type Value = readonly string[];
const satisfies = (wanted: Value, found: Value): boolean => wanted.every((part) => found.includes(part));

const keys = ['a', 'b', 'c', 'd'] as const;
const owners = ['x', 'y', 'z'] as const;
const key = fc.constantFrom(...keys);
const owner = fc.constantFrom(...owners);
const value = fc.subarray(['mtu', 'up', 'master'], { minLength: 0 });
const table = fc.dictionary(key, value).map((entries) => new Map(Object.entries(entries)));

const operation = fc.oneof(
  fc.record({ type: fc.constant('declare' as const), owner, values: table }),
  fc.record({ type: fc.constant('withdraw' as const), owner }),
  fc.record({ type: fc.constant('condemn' as const), owner, key, value }),
  fc.record({ type: fc.constant('outside makes' as const), key, value }),
  fc.record({ type: fc.constant('outside deletes' as const), key }),
  fc.record({ type: fc.constant('doubt' as const), key }),
  fc.record({ type: fc.constant('resync' as const), looked: fc.subarray([...keys]) }),
  fc.record({ type: fc.constant('flush' as const) }),
);

/** The kernel, and what everyone said, in the plainest form. */
interface Model {
  readonly kernel: Map<string, Value>;
  readonly said: { owner: string; key: string; value: Value }[];
}

function modelWanted(model: Model, key: string): Value | undefined {
  return model.said.findLast((one) => one.key === key)?.value;
}

function modelDeclare(model: Model, owner: string, values: ReadonlyMap<string, Value>): void {
  const equal = (a: Value, b: Value) => a.length === b.length && satisfies(a, b);
  const kept = model.said.filter((one) => {
    if (one.owner !== owner) return true;
    const now = values.get(one.key);
    return now !== undefined && equal(now, one.value);
  });
  const fresh = [...values].filter(([key]) => !kept.some((one) => one.owner === owner && one.key === key));
  model.said.splice(0, Infinity, ...kept, ...fresh.map(([key, value]) => ({ owner, key, value })));
}

function flush(tracker: DeltaTracker<string, Value>, kernel: Map<string, Value>): void {
  for (const [key, value] of tracker.pendingUpdates) {
    kernel.set(key, value);
    tracker.made(key, value);
  }
  for (const key of tracker.pendingDeletions.keys()) {
    kernel.delete(key);
    tracker.gone(key);
  }
}

test('whatever is declared, changed from outside and resynchronised: a flush after a resync makes the kernel as wanted', () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 40 }), (operations) => {
      const tracker = new DeltaTracker<string, Value>(satisfies);
      const model: Model = { kernel: new Map(), said: [] };
      const foreign = new Set<string>();
      for (const step of operations) {
        switch (step.type) {
          case 'declare':
            tracker.declare(step.owner, step.values);
            modelDeclare(model, step.owner, step.values);
            break;
          case 'withdraw':
            tracker.declare(step.owner, new Map());
            modelDeclare(model, step.owner, new Map());
            break;
          case 'condemn':
            tracker.condemn(step.owner, step.key, step.value);
            break;
          case 'outside makes':
            model.kernel.set(step.key, step.value);
            break;
          case 'outside deletes':
            model.kernel.delete(step.key);
            break;
          case 'doubt':
            tracker.doubt(step.key);
            break;
          case 'resync':
            tracker.resync(step.looked, model.kernel);
            break;
          case 'flush':
            flush(tracker, model.kernel);
            break;
        }
        for (const key of keys) {
          assert.deepEqual(tracker.wanted(key), modelWanted(model, key));
          assert.deepEqual(
            tracker.owners(key),
            model.said.filter((one) => one.key === key).map((one) => one.owner),
          );
          assert.ok(!(tracker.pendingUpdates.has(key) && tracker.pendingDeletions.has(key)), 'never both');
          if (tracker.pendingUpdates.has(key)) assert.ok(modelWanted(model, key), 'only the wanted is made');
          if (tracker.pendingDeletions.has(key)) assert.ok(!modelWanted(model, key), 'the wanted is never deleted');
        }
      }
      for (const key of model.kernel.keys()) {
        if (modelWanted(model, key) === undefined && !tracker.pendingDeletions.has(key)) foreign.add(key);
      }
      tracker.resync(keys, model.kernel);
      flush(tracker, model.kernel);
      for (const key of keys) {
        const wanted = modelWanted(model, key);
        const found = model.kernel.get(key);
        if (wanted === undefined) assert.ok(found === undefined || foreign.has(key), `${key} was left behind`);
        else assert.ok(found !== undefined && satisfies(wanted, found), `${key} is not as wanted`);
      }
      assert.equal(tracker.pendingUpdates.size + tracker.pendingDeletions.size, 0);
    }),
    { numRuns: 2000 },
  );
});

test('without a change from outside, a flush needs no resync', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ owner, values: table, flush: fc.boolean() }), { maxLength: 30 }), (steps) => {
      const tracker = new DeltaTracker<string, Value>(satisfies);
      const kernel = new Map<string, Value>();
      for (const step of steps) {
        tracker.declare(step.owner, step.values);
        if (step.flush) flush(tracker, kernel);
      }
      flush(tracker, kernel);
      assert.deepEqual(new Set(kernel.keys()), new Set(tracker.wantedKeys()));
      for (const [key, found] of kernel) assert.ok(satisfies(tracker.wanted(key)!, found));
    }),
  );
});

test('an object stays while any owner wants it, as the remaining owner wants it', () => {
  const tracker = new DeltaTracker<string, Value>(satisfies);
  tracker.declare('x', new Map([['a', ['mtu']]]));
  tracker.declare('y', new Map([['a', ['mtu', 'up']]]));
  tracker.made('a', ['mtu', 'up']);
  tracker.declare('y', new Map());
  assert.deepEqual(tracker.owners('a'), ['x']);
  assert.equal(tracker.pendingUpdates.size + tracker.pendingDeletions.size, 0);
  tracker.declare('x', new Map());
  assert.deepEqual([...tracker.pendingDeletions], [['a', { owner: 'x', value: ['mtu'] }]]);
});

test('two owners who disagree do not take turns by repeating themselves', () => {
  const tracker = new DeltaTracker<string, Value>(satisfies);
  tracker.declare('x', new Map([['a', ['mtu']]]));
  tracker.declare('y', new Map([['a', ['up']]]));
  tracker.made('a', ['up']);
  tracker.declare('x', new Map([['a', ['mtu']]]));
  assert.equal(tracker.pendingUpdates.size, 0);
  tracker.declare('x', new Map([['a', ['master']]]));
  assert.deepEqual([...tracker.pendingUpdates], [['a', ['master']]]);
});

test('what nobody wants and nobody has to delete is forgotten', () => {
  const tracker = new DeltaTracker<string, Value>(satisfies);
  tracker.made('a', ['up']);
  assert.equal(tracker.found('a'), undefined);
  tracker.declare('x', new Map([['a', ['up']]]));
  assert.equal(tracker.pendingUpdates.size, 1);
});
