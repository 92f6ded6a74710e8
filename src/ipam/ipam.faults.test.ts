import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { createMemoryStore } from '../store/memory.ts';
import type { Store } from '../store/store.ts';
import { openIpam } from './ipam.ts';
import { makeFaulty } from './testing/faulty-store.ts';
import { address, endpoint, keysIn, leaseAddress, openPool, prefix } from './testing/requests.ts';

const options = { seed: 'test' };
let store: Store;
beforeEach(() => {
  store = createMemoryStore();
});

describe('two hosts on one store', () => {
  it('never give out the same address or subnet', async () => {
    const bases = [{ base: prefix('10.9.0.0/20'), length: 24 }];
    const hosts = await Promise.all([0, 1, 2].map(() => openIpam(store, { ...options, bases })));
    const pools = await Promise.all(
      hosts.flatMap((host) =>
        [0, 1, 2].map(() => host.openPool({ space: 'berth', family: 4, options: {}, taken: [] })),
      ),
    );
    assert.equal(new Set(pools.map(({ id }) => id)).size, 9);
    const shared = await Promise.all(hosts.map((host) => openPool(host, '10.1.0.0/24')));
    const { id } = shared[0]!;
    const given = await Promise.all(hosts.flatMap((host) => Array.from({ length: 20 }, () => leaseAddress(host, id))));
    assert.equal(new Set(given).size, 60);
    assert.equal((await openIpam(store)).count(), 60);
  });

  it('do not remove a pool under each other', async () => {
    for (let round = 0; round < 20; round++) {
      const [one, two] = await Promise.all([openIpam(store, options), openIpam(store, options)]);
      const { id } = await openPool(one, '10.1.0.0/24');
      await openPool(two, '10.1.0.0/24');
      await leaseAddress(one, id, undefined, { holder: { kind: 'gateway' } });
      const [leased] = await Promise.allSettled([leaseAddress(two, id), one.removePool(id)]);
      const truth = await openIpam(store, options);
      if (leased.status === 'fulfilled') {
        assert.notEqual(truth.pool(id), undefined, 'the pool of a lease is gone');
        assert.equal(truth.find(id, address(leased.value))?.holder.kind, 'request');
        await truth.release(id, address(leased.value));
      } else {
        assert.equal((leased.reason as { code?: string }).code, 'POOL_UNKNOWN');
        assert.equal(truth.count(), 0);
      }
      await truth.removePool(id);
      assert.deepEqual(await keysIn(store), []);
    }
  });
});

describe('a store that fails', () => {
  it('leaves nothing behind of what the caller was told has failed', async () => {
    const faulty = makeFaulty(store);
    const ipam = await openIpam(faulty, options);
    const { id } = await openPool(ipam, '10.1.0.0/24');
    for (const kind of ['lost', 'unheard', 'full'] as const) {
      faulty.failAt(0, kind);
      const code = kind === 'full' ? 'STORE_FULL' : 'STORE_UNAVAILABLE';
      await assert.rejects(leaseAddress(ipam, id), { code });
      assert.equal(await leaseAddress(ipam, id), '10.1.0.1', kind);
      await ipam.release(id, address('10.1.0.1'));
      faulty.failAt(0, kind);
      await assert.rejects(openPool(ipam, '10.2.0.0/24'), { code });
      await ipam.release(id, address('10.1.0.1'));
      assert.deepEqual(await keysIn(store), ['berth/pool/berth/10.1.0.0-24'], kind);
    }
  });

  it('decides nothing while it is unknown what stands there', async () => {
    const faulty = makeFaulty(store);
    const ipam = await openIpam(faulty, options);
    const { id } = await openPool(ipam, '10.1.0.0/24');
    faulty.failAt(0, 'unheard');
    await assert.rejects(leaseAddress(ipam, id), { code: 'STORE_UNAVAILABLE' });
    faulty.failReads(1);
    await assert.rejects(leaseAddress(ipam, id), { code: 'STORE_UNAVAILABLE' });
    assert.equal(await leaseAddress(ipam, id, '10.1.0.1'), '10.1.0.1');
    assert.equal(ipam.count(), 1);
  });
});

describe('waiting for the disk', () => {
  it('is for what outlives a power failure: pools and gateways, not the addresses of containers', async () => {
    const waited: string[] = [];
    const watched: Store = {
      ...store,
      async transact(transaction) {
        if (transaction.relaxed !== true) waited.push(...transaction.then.map(({ key }) => key.split('/')[1]!));
        return await store.transact(transaction);
      },
    };
    const ipam = await openIpam(watched, options);
    const { id } = await openPool(ipam, '10.1.0.0/24');
    await leaseAddress(ipam, id, undefined, { holder: { kind: 'gateway' } });
    assert.deepEqual(waited.splice(0), ['pool', 'lease']);
    const given = address(await leaseAddress(ipam, id));
    assert.deepEqual(waited, []);
    await ipam.claim(prefix('10.1.0.0/24'), given, endpoint(1));
    await ipam.release(id, given);
    assert.deepEqual(waited, []);
    await ipam.claim(prefix('10.1.0.0/24'), address(await leaseAddress(ipam, id)), { kind: 'auxiliary' });
    assert.deepEqual(waited.splice(0), ['lease']);
    await ipam.releasePool(id, { inUse: true });
    assert.deepEqual(waited.splice(0), ['pool']);
    await leaseAddress(ipam, id);
    assert.deepEqual(waited, ['lease', 'pool'], 'a pool that is taken back must stay taken back');
  });
});
