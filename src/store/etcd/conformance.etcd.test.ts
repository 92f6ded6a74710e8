import { describeStore } from '../conformance.ts';
import { openEtcdStore } from './store.ts';
import { serves, startEtcd } from './testing/etcd.ts';

describeStore('in etcd', async () => {
  const etcd = await startEtcd();
  const options = { endpoints: etcd.endpoints, prefix: '/berth/' };
  const store = await openEtcdStore(options).catch(async (error) => {
    await etcd[Symbol.asyncDispose]();
    throw error;
  });
  let current = store;
  return {
    store,
    async reopen() {
      await current.close();
      await etcd.members[0]!.kill();
      await etcd.members[0]!.start();
      await serves(etcd.members[0]!);
      current = await openEtcdStore(options);
      return current;
    },
    async close() {
      await current.close();
      await etcd[Symbol.asyncDispose]();
    },
  };
});
