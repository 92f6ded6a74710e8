import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { createDriftWatch } from './drift-watch.ts';
import type { Drift } from './kernel.ts';
import type { ObjectKey } from './objects.ts';

const a = 'link a' as ObjectKey;
const b = 'link b' as ObjectKey;

function drift(key: ObjectKey): Drift {
  return { key, owners: ['x'], what: 'missing', fields: [], repaired: true };
}

beforeEach(() => mock.timers.enable({ apis: ['setTimeout', 'Date'] }));
afterEach(() => mock.timers.reset());

function fixture() {
  const audits: string[] = [];
  const reports: ObjectKey[][] = [];
  const broken = new Set<ObjectKey>();
  let fails = false;
  const watch = createDriftWatch({
    now: Date.now,
    audit: (keys) => {
      audits.push(keys === undefined ? 'all' : [...keys].join(', '));
      if (fails) throw new Error('cannot read');
      return [...broken].filter((key) => keys?.has(key) ?? true).map(drift);
    },
    report: (drifts) => reports.push(drifts.map(({ key }) => key)),
  });
  return { watch, audits, reports, broken, fail: (value: boolean) => (fails = value) };
}

test('a burst of events is one audit of the objects concerned, well within two seconds', () => {
  const { watch, audits, reports, broken } = fixture();
  broken.add(a);
  watch.suspect([a]);
  mock.timers.tick(50);
  watch.suspect([a, b]);
  assert.deepEqual(audits, []);
  mock.timers.tick(250);
  assert.deepEqual(audits, ['link a, link b']);
  assert.deepEqual(reports, [[a]]);
  mock.timers.tick(10_000);
  assert.equal(audits.length, 1);
});

test('a stream of events does not put the audit off', () => {
  const { watch, audits } = fixture();
  for (let round = 0; round < 20; round++) {
    watch.suspect([a]);
    mock.timers.tick(50);
  }
  assert.ok(audits.length >= 5, `${audits.length} audits`);
});

test('nothing found is not reported', () => {
  const { watch, audits, reports } = fixture();
  watch.suspect([a]);
  mock.timers.tick(300);
  assert.deepEqual([audits, reports], [['link a'], []]);
});

test('what is changed again after its repair is repaired again within two seconds', () => {
  const { watch, reports, broken } = fixture();
  broken.add(a);
  for (let round = 1; round <= 10; round++) {
    watch.suspect([a]);
    mock.timers.tick(1500);
    assert.equal(reports.length, round);
  }
});

test('against somebody who keeps undoing it, it slows down, but does not stop, and others are not held up', () => {
  const { watch, audits, broken } = fixture();
  broken.add(a);
  const minute = () => {
    audits.length = 0;
    for (let tick = 0; tick < 600; tick++) {
      watch.suspect([a]);
      mock.timers.tick(100);
    }
    return audits.length;
  };
  assert.ok(minute() < 40);
  assert.ok(minute() <= 5);
  assert.ok(minute() >= 3);
  broken.add(b);
  audits.length = 0;
  watch.suspect([b]);
  mock.timers.tick(300);
  assert.deepEqual(audits, ['link b']);
  broken.clear();
  mock.timers.tick(100_000);
  broken.add(a);
  for (let round = 1; round <= 3; round++) {
    audits.length = 0;
    watch.suspect([a]);
    mock.timers.tick(1500);
    assert.deepEqual(audits, ['link a'], 'after a quiet time it is prompt again');
  }
});

test('lost events are one audit of everything, not more often than every five seconds', () => {
  const { watch, audits } = fixture();
  for (let tick = 0; tick < 100; tick++) {
    watch.suspectAll();
    mock.timers.tick(100);
  }
  assert.deepEqual(audits, ['all', 'all']);
  mock.timers.tick(5000);
  assert.deepEqual(audits, ['all', 'all', 'all']);
  mock.timers.tick(60_000);
  assert.equal(audits.length, 3);
});

test('an audit that fails is made up for by one of everything', () => {
  const { watch, audits, fail } = fixture();
  fail(true);
  watch.suspect([a]);
  mock.timers.tick(200);
  fail(false);
  mock.timers.tick(10_000);
  assert.deepEqual(audits, ['link a', 'all']);
});

test('after closing, nothing more', () => {
  const { watch, audits } = fixture();
  watch.suspect([a]);
  watch.close();
  watch.suspect([b]);
  mock.timers.tick(10_000);
  assert.deepEqual(audits, []);
});
