import assert from 'node:assert/strict';
import { it } from 'node:test';
import { createMemoryStore } from '../store/memory.ts';
import { claimStore } from './store-claim.ts';

it('a store is of one host, also while its agent is away; and shows whether it runs', async () => {
  const store = createMemoryStore();
  const leave = await claimStore(store, 'a');
  assert.ok((await store.get('berth/agent/a'))?.lease !== undefined);
  await assert.rejects(claimStore(store, 'b'), { code: 'STATE_LOCKED', message: /'a'/ });
  await leave();
  assert.equal(await store.get('berth/agent/a'), undefined);
  await assert.rejects(claimStore(store, 'b'), { code: 'STATE_LOCKED' });
  await (await claimStore(store, 'a'))();
  await store.close();
});
