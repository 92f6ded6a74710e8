import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EngineInfo } from '../docker/engine.ts';
import { BerthError } from '../model/errors.ts';
import { createMemoryStore } from '../store/memory.ts';
import type { GivenPlugin } from './config.ts';
import { settleScopes } from './scopes.ts';
import { storeNotes } from './state.ts';

const plugins: readonly GivenPlugin[] = [
  { name: 'netplugin', fabric: 'cluster', scope: 'auto' },
  { name: 'berth', fabric: 'cluster', scope: 'local' },
];
const engine = (clusterStore: boolean) => ({ info: () => Promise.resolve({ clusterStore } as EngineInfo) });
const silent = { info: () => Promise.reject(new BerthError('ENGINE_UNREACHABLE', 'gone')) };

test('global on an engine with a cluster store, and as it was last on one that does not answer yet', async () => {
  const notes = storeNotes(createMemoryStore(), 'h');
  const scopes = async (of: Parameters<typeof settleScopes>[1]) =>
    (await settleScopes(plugins, of, notes)).map(({ scope }) => scope);
  assert.deepEqual(await scopes(silent), ['local', 'local']);
  assert.deepEqual(await scopes(engine(true)), ['global', 'local']);
  assert.deepEqual(await scopes(silent), ['global', 'local']);
  assert.deepEqual(await scopes(engine(false)), ['local', 'local']);
  assert.deepEqual(await scopes(silent), ['local', 'local']);
});

test('the engine is not asked when there is nothing to find out', async () => {
  const never = { info: () => assert.fail('it was asked') };
  const [, berth] = plugins;
  assert.deepEqual(await settleScopes([berth!], never, storeNotes(createMemoryStore(), 'h')), [berth]);
});
