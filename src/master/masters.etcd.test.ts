/** Masters on a real etcd. */

import { describe } from 'node:test';
import { openEtcdStore } from '../store/etcd/store.ts';
import { startEtcd } from '../store/etcd/testing/etcd.ts';
import { masters } from './testing/masters.ts';

describe('masters on one etcd', () => {
  masters(async () => {
    const etcd = await startEtcd();
    const store = await openEtcdStore({ endpoints: etcd.endpoints }).catch(async (error: unknown) => {
      await etcd[Symbol.asyncDispose]();
      throw error;
    });
    return {
      store,
      async close() {
        await store.close();
        await etcd[Symbol.asyncDispose]();
      },
    };
  });
});
