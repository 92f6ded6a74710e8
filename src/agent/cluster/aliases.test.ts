import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EngineContainer } from '../../docker/engine.ts';
import { settingsFor } from '../../fabric/cluster/testing/settings.ts';
import type { EndpointId } from '../../model/ids.ts';
import { createAliases } from './aliases.ts';

const id = (name: string): EndpointId => name as EndpointId;
const settings = settingsFor({ tenant: 'default', network: 'shop' });

function stage(count: number) {
  const endpoints = new Map(Array.from({ length: count }, (_, n) => [id(`e${n}`), { id: `e${n}`, network: 'n' }]));
  const networks = new Map([['n', { fabric: 'cluster', settings }]]);
  let learn = (): void => {};
  const asked: { id: string; answer: (container: Partial<EngineContainer> | Error | undefined) => void }[] = [];
  let changes = 0;
  const aliases = createAliases({
    state: { endpoints, networks } as never,
    names: { containerId: (endpoint) => `c-${endpoint}`, onLearn: (listener) => (learn = listener) },
    container(container) {
      const { promise, resolve, reject } = Promise.withResolvers<EngineContainer | undefined>();
      asked.push({ id: container, answer: (told) => (told instanceof Error ? reject(told) : resolve(told as never)) });
      return promise;
    },
  });
  aliases.onChange(() => (changes += 1));
  return { aliases, endpoints, asked, learn: () => learn(), changes: () => changes };
}

const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

test('each container is asked for once, a few at a time', async () => {
  const here = stage(20);
  here.learn();
  here.learn();
  assert.equal(here.asked.length, 8);
  for (let at = 0; at < here.asked.length; at++) {
    here.asked[at]!.answer({ aliases: new Map([[id(`e${at}`), [`a${at}`]]]) });
    await settled();
  }
  assert.deepEqual(new Set(here.asked.map((one) => one.id)).size, 20);
  assert.equal(here.asked.length, 20);
  assert.deepEqual(here.aliases.of(id('e13')), ['a13']);
  assert.equal(here.changes(), 20);
});

test('an engine that does not answer is asked again, and what is gone is forgotten', async () => {
  const here = stage(1);
  here.learn();
  here.asked[0]!.answer(new Error('away'));
  await settled();
  assert.deepEqual(here.aliases.of(id('e0')), []);
  here.learn();
  here.asked[1]!.answer({ aliases: new Map([[id('e0'), ['api']]]) });
  await settled();
  assert.deepEqual(here.aliases.of(id('e0')), ['api']);
  here.endpoints.clear();
  here.learn();
  assert.deepEqual(here.aliases.of(id('e0')), []);
});
