import { describeStore } from './conformance.ts';
import { createMemoryStore } from './memory.ts';

describeStore('in memory', async () => {
  const store = createMemoryStore();
  return { store, close: () => store.close() };
});
