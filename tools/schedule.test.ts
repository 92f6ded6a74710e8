import assert from 'node:assert/strict';
import { it } from 'node:test';
import { inOrder, nextSuite, type Suite } from './schedule.ts';
import { endToEndFiles } from './suites.ts';
import { capacityOf, table, withCost } from './weights.ts';

const suite = (file: string, weight: number, seconds = 10): Suite => ({ file, weight, seconds });
const names = (suites: readonly Suite[]) => suites.map(({ file }) => file).join(' ');

/** When each begins and all have ended, if each takes as long as is said of it. */
function play(suites: readonly Suite[], capacity: number): { readonly end: number; readonly most: number } {
  const waiting = inOrder(suites);
  const running: (Suite & { readonly until: number })[] = [];
  let now = 0;
  let most = 0;
  while (waiting.length + running.length > 0) {
    for (let next = nextSuite(waiting, running, capacity); next !== undefined; ) {
      waiting.splice(waiting.indexOf(next), 1);
      running.push({ ...next, until: now + next.seconds });
      next = nextSuite(waiting, running, capacity);
    }
    const weight = running.reduce((sum, one) => sum + one.weight, 0);
    assert.ok(weight <= capacity + 0.001 || running.length === 1, `${names(running)} at once`);
    most = Math.max(most, running.length);
    now = Math.min(...running.map(({ until }) => until));
    for (const one of running.filter(({ until }) => until === now)) running.splice(running.indexOf(one), 1);
  }
  return { end: now, most };
}

it('what costs most comes first', () => {
  const order = inOrder([suite('short', 1, 5), suite('long', 1, 50), suite('heavy', 3, 20), suite('also short', 1, 5)]);
  assert.equal(names(order), 'heavy long also short short');
});

it('light ones run beside a heavy one, another heavy one does not', () => {
  const [first, second, light] = [suite('first', 2.5), suite('second', 2.5), suite('light', 0.5)];
  assert.equal(nextSuite([first, second, light], [], 4), first);
  assert.equal(nextSuite([second, light], [first], 4), light);
  assert.equal(nextSuite([second], [first, light], 4), undefined);
});

it('tenths add up', () => {
  const tenths = Array.from({ length: 10 }, (_, n) => suite(`${n}`, 0.1));
  assert.equal(nextSuite([suite('last', 0.1)], tenths.slice(1), 1)?.file, 'last');
  assert.equal(nextSuite([suite('last', 0.1)], tenths, 1), undefined);
});

it('what is too heavy for the machine runs alone, and nobody waits for ever', () => {
  const { end, most } = play([suite('huge', 9), suite('a', 1), suite('b', 1)], 2);
  assert.deepEqual([end, most], [20, 2]);
});

it('a heavy one takes the place of a heavy one, whatever light ones there are', () => {
  const light = Array.from({ length: 20 }, (_, n) => suite(`light ${n}`, 1, 10));
  const { end } = play([suite('a', 3, 50), suite('b', 3, 50), suite('c', 3, 50), ...light], 4);
  assert.ok(end <= 170, `${end}`);
});

it('every line of the table is of a file, and gives both of its costs', () => {
  const known = endToEndFiles.map((file) => file.replace(/^test\/e2e\/|\.test\.ts$/g, ''));
  for (const [name, [weight, seconds]] of Object.entries(table)) {
    assert.ok(known.includes(name), `there is no test/e2e/${name}.test.ts`);
    assert.ok(weight > 0 && weight <= capacityOf(4) && seconds > 0, name);
  }
});

// What `make test` may take is 40 minutes on four cores and 85 on two, of which the other phases take some four and eight.
it('all of them fit into the time that there is', () => {
  const suites = endToEndFiles.map(withCost);
  assert.ok(play(suites, capacityOf(4)).end < 35 * 60, `${play(suites, capacityOf(4)).end} s`);
  assert.ok(play(suites, capacityOf(2)).end < 76 * 60, `${play(suites, capacityOf(2)).end} s`);
});
