import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BerthError } from '../../model/errors.ts';
import { within } from '../../openstack/bounds.ts';
import { createDepartures } from './departures.ts';

const quick = { attempt: 1000, firstWait: 1, longestWait: 4 };
const never = { ...quick, firstWait: 3_600_000, longestWait: 3_600_000 };

test('what fails is repeated until it is done, and said each time', async () => {
  const told: string[] = [];
  const departures = createDepartures((key, sentence) => told.push(`${key}: ${sentence}`), quick);
  let left = 2;
  const work = async () => {
    if (left-- > 0) throw new Error(`${left + 1} to go`);
    return undefined;
  };
  await departures.begin('port', work);
  assert.equal(left, -1);
  assert.equal(told.length, 2);
  assert.match(told[0]!, /^port: /);
  assert.deepEqual(departures.waiting(), { count: 0 });
  departures.close();
});

test('one at a time for each key; others need not wait for it', async () => {
  const departures = createDepartures(() => {}, quick);
  const gate = Promise.withResolvers<void>();
  let times = 0;
  const first = departures.begin('a', async () => {
    times++;
    await gate.promise;
    return undefined;
  });
  assert.equal(
    departures.begin('a', async () => void times++),
    first,
  );
  await departures.begin('b', async () => undefined);
  assert.equal(await departures.done('b', within(1000)), true);
  assert.equal(await departures.done('a', within(5)), false);
  gate.resolve();
  assert.equal(await departures.done('a', within(10_000)), true);
  assert.equal(times, 1);
  departures.close();
});

test('that Neutron answers again is heard by all that it did not answer, and only by these', async () => {
  const told: string[] = [];
  const departures = createDepartures((key) => told.push(key), never);
  const failingOnce = (error: Error) => {
    let tries = 0;
    return async () => {
      if (tries++ === 0) throw error;
      return undefined;
    };
  };
  const away = new BerthError('OPENSTACK_UNREACHABLE', 'away');
  const done = departures.begin('a', failingOnce(away));
  void departures.begin('refused', failingOnce(new BerthError('NEUTRON_DENIED', 'no')));
  while (told.length < 2) await new Promise(setImmediate);
  departures.hurry();
  await done;
  const other = departures.begin('b', failingOnce(away));
  while (told.length < 3) await new Promise(setImmediate);
  await departures.begin('c', async () => undefined);
  await other;
  assert.equal(departures.waiting().count, 1);
  departures.close();
});

test('what may not be the end of it is repeated, and is no problem', async () => {
  const departures = createDepartures(assert.fail, never);
  let times = 0;
  await departures.begin('a', async () => (times++ < 3 ? 1 : undefined));
  assert.equal(times, 4);
  departures.close();
});

test('closing ends it, and nothing is rejected', async () => {
  const departures = createDepartures(() => {}, never);
  const failing = departures.begin('a', () => Promise.reject(new Error('away')));
  const asked = departures.begin(
    'b',
    ({ signal }) => new Promise((_, reject) => signal!.addEventListener('abort', () => reject(signal!.reason))),
  );
  while (departures.waiting().problem === undefined) await new Promise(setImmediate);
  departures.close();
  await Promise.all([failing, asked]);
});

test('only a few at once', async () => {
  const departures = createDepartures(() => {}, quick);
  let [now, most] = [0, 0];
  const work = async () => {
    most = Math.max(most, ++now);
    await new Promise(setImmediate);
    now--;
    return undefined;
  };
  await Promise.all(Array.from({ length: 50 }, (_, index) => departures.begin(`p${index}`, work)));
  assert.equal(most, 4);
  departures.close();
});
