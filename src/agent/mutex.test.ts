import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keyedMutex } from './mutex.ts';

test('work under one key runs in order, one at a time, also after a failure', async () => {
  const mutex = keyedMutex();
  const log: string[] = [];
  const work = (name: string, fails = false) =>
    mutex.run('k', async () => {
      log.push(`${name}+`);
      await new Promise((resolve) => setImmediate(resolve));
      log.push(`${name}-`);
      if (fails) throw new Error(name);
      return name;
    });
  const results = await Promise.allSettled([work('a'), work('b', true), work('c')]);
  assert.deepEqual(log, ['a+', 'a-', 'b+', 'b-', 'c+', 'c-']);
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
});

test('different keys do not wait for each other, and idle waits for all', async () => {
  const mutex = keyedMutex();
  const gate = Promise.withResolvers<void>();
  let done = false;
  const slow = mutex.run('slow', () => gate.promise);
  assert.equal(await mutex.run('fast', () => Promise.resolve(1)), 1);
  const idle = mutex.idle().then(() => {
    done = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(done, false);
  gate.resolve();
  await Promise.all([slow, idle]);
  assert.equal(done, true);
});
