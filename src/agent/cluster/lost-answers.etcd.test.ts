/** A host whose way to etcd breaks at every single message of what it does, one after the other: all of it succeeds, and once. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { keys } from '../../model/keys.ts';
import { kindOf } from '../../model/objects/kinds.ts';
import { openRegistry, type Registry } from '../../objects/registry.ts';
import { openEtcdStore } from '../../store/etcd/store.ts';
import { type BreakableWay, startBreakableWay } from '../../store/etcd/testing/cut.ts';
import { startEtcd } from '../../store/etcd/testing/etcd.ts';
import type { Store } from '../../store/store.ts';
import { makeNetwork, openCluster, openHost, type TestHost } from './testing/hosts.ts';

const stack = new AsyncDisposableStack();
let way: BreakableWay;
/** By a way that does not break. */
let store: Store;
let others: Registry;
let registry: Registry;
let host: TestHost;

const connect = async (url: string): Promise<Store> => {
  const opened = await openEtcdStore({ endpoints: [{ url }] });
  stack.defer(() => opened.close());
  return opened;
};

before(async () => {
  const etcd = stack.use(await startEtcd());
  way = stack.use(await startBreakableWay(etcd.members[0]!.address));
  store = await connect(etcd.members[0]!.url);
  others = await openCluster(store);
  stack.defer(() => others.close());
  host = stack.use(await openHost(await connect(way.url), 'h1'));
  registry = openRegistry(await connect(way.url));
  stack.defer(() => registry.close());
});
after(() => stack.disposeAsync());

/** Does some work until it no longer has as many messages as the one at which the way is to break. @returns how often it broke. */
async function atEveryMessage(
  what: 'question' | 'answer',
  work: (n: number) => Promise<void>,
  meanwhile?: (n: number) => Promise<void>,
): Promise<number> {
  for (let n = 0; ; n++) {
    const before = way.breaks();
    way.breakAtNext(what, () => meanwhile?.(n) ?? Promise.resolve(), n);
    await work(n);
    if (way.breaks() === before) return n;
    assert.ok(n < 100, 'it ends');
  }
}

const leased = async (network: string): Promise<string[]> =>
  (await store.list(`${keys.leases}${network}/`)).entries.map(({ key }) => key.slice(key.lastIndexOf('=') + 1));

for (const [what, subnet] of [
  ['question', '10.1.1.0/24'],
  ['answer', '10.1.2.0/24'],
] as const) {
  test(`an address: asked for and given back, each ${what} lost once`, { timeout: 120_000 }, async () => {
    await makeNetwork(others, `default:a${what}`, subnet);
    const pool = await host.pool({ network: `a${what}` });
    const space = `default:a${what}`;
    const before = await leased(space);
    const breaks = await atEveryMessage(what, async () => {
      const [address] = (await host.request(pool)).split('/') as [string];
      assert.deepEqual((await leased(space)).toSorted(), [...before, address].toSorted());
      await host.release(pool, address);
      assert.deepEqual(await leased(space), before);
    });
    assert.ok(breaks > 1, `${breaks}`);
  });

  test(`an object: made and deleted, each ${what} lost once, while others change objects`, {
    timeout: 120_000,
  }, async () => {
    const network = kindOf('network');
    const breaks = await atEveryMessage(
      what,
      async (n) => {
        const names = { tenantName: 'default', networkName: `o${n}` };
        const body = { ...names, encap: 'vxlan', subnet: '10.2.1.0/24' };
        const made = await registry.put(network, `default:o${n}`, body);
        assert.equal(made.before, undefined);
        assert.equal((await others.current()).get('network', `default:o${n}`)?.key, `default:o${n}`);
        const gone = await registry.delete(network, `default:o${n}`);
        assert.equal(gone.before, made.object.revision);
        assert.equal((await others.current()).get('network', `default:o${n}`), undefined);
      },
      async (n) => {
        const tenantName = `t-${what}-${n}`;
        await others.put(kindOf('tenant'), tenantName, { tenantName });
      },
    );
    assert.ok(breaks > 3, `${breaks}`);
  });
}
