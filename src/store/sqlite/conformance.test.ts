import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeStore } from '../conformance.ts';
import { openSqliteStore } from './store.ts';

describeStore('in SQLite', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'berth-store-'));
  const path = join(directory, 'state.db');
  const store = await openSqliteStore(path);
  let current = store;
  return {
    store,
    async reopen() {
      await current.close();
      current = await openSqliteStore(path);
      return current;
    },
    async close() {
      await current.close();
      await rm(directory, { recursive: true });
    },
  };
});
