import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeLease } from '../../ipam/codec.ts';
import { parseAddress } from '../../model/address.ts';
import { BerthError, type ErrorCode } from '../../model/errors.ts';
import { keys } from '../../model/keys.ts';
import { poolId } from '../../model/pool.ts';
import { parsePrefix } from '../../model/prefix.ts';
import { encodeClusterEndpoint } from '../../objects/codec.ts';
import { createMemoryStore } from '../../store/memory.ts';
import type { Store } from '../../store/store.ts';
import { hostHandlers } from './host-handlers.ts';
import { removeHost } from './host-removal.ts';
import { encodeHost } from './records.ts';

const NETWORK = 'default:web';
const pool = poolId(NETWORK, parsePrefix('10.1.0.0/16')!);

/** Two hosts with as many containers each. */
async function twoHosts(containers: number): Promise<Store> {
  const store = createMemoryStore();
  const put = (key: string, value: string) => store.transact({ then: [{ do: 'put', key, value }] });
  for (const [index, host] of ['h1', 'h2'].entries()) {
    const engine = { id: `engine-${host}`, version: '28.5' };
    await put(keys.host(host), encodeHost({ identity: host, berth: '1', engine }));
    await put(keys.publisher(host), '{}');
    for (let at = 1; at <= containers; at++) {
      const text = `10.1.${index * 8 + (at >> 8)}.${at & 255}`;
      const address = parseAddress(text)!;
      const endpoint = { id: `${host}-${at}`, network: NETWORK, host, addresses: [text], mac: '02:02:00:00:00:01' };
      await put(keys.clusterEndpoint(NETWORK, endpoint.id), encodeClusterEndpoint(endpoint));
      await put(keys.hostEndpoint(host, endpoint.id), NETWORK);
      const lease = { pool, address, holder: { kind: 'request' }, engine: engine.id, createdAt: 0 } as const;
      await put(keys.lease(pool, address), encodeLease(lease));
    }
  }
  return store;
}

const allKeys = async (store: Store) => (await store.list('berth/')).entries.map(({ key }) => key);
const refuses = (code: ErrorCode) => (error: unknown) => error instanceof BerthError && error.code === code;

describe('a host that is gone for good', () => {
  it('goes with all that it held, and nothing of another', async () => {
    const store = await twoHosts(130);
    assert.deepEqual(await removeHost(store, 'h2'), { endpoints: 130, leases: 130 });
    const left = await allKeys(store);
    assert.equal(left.length, 2 + 3 * 130);
    assert.deepEqual(
      left.filter((key) => key.includes('h2')),
      [],
    );
    const leases = await store.list(keys.leases);
    assert.ok(leases.entries.every(({ value }) => value.includes('engine-h1')));
    await assert.rejects(removeHost(store, 'h2'), refuses('HOST_UNKNOWN'));
  });

  it('what its twin has, a machine of the same image, stays', async () => {
    const store = await twoHosts(3);
    const engine = { id: 'engine-h2', version: '28.5' };
    const value = encodeHost({ identity: 'twin', berth: '1', engine });
    await store.transact({ then: [{ do: 'put', key: keys.host('twin'), value }] });
    const { leases } = await removeHost(store, 'h2');
    const left = (await store.list(keys.leases)).entries.filter((entry) => entry.value.includes('engine-h2'));
    assert.equal(leases + left.length, 3);
    assert.ok(left.length > 0);
  });

  it('is not removed while it is heard', async () => {
    const store = await twoHosts(2);
    await store.transact({ then: [{ do: 'put', key: keys.agent('h2'), value: '{}' }] });
    const before = await allKeys(store);
    await assert.rejects(removeHost(store, 'h2'), refuses('HOST_HEARD'));
    assert.deepEqual(await allKeys(store), before);
  });

  it('what nobody knows, and who is in no cluster, is told so', async () => {
    const store = createMemoryStore();
    const ask = { path: ['hosts', 'h9'], query: new URLSearchParams(), body: {} };
    const alone = hostHandlers({ cluster: undefined, store });
    for (const call of ['GET hosts', 'DELETE hosts']) {
      await assert.rejects(async () => alone[call]!(ask), refuses('CLUSTER_ABSENT'));
    }
    const known = { name: 'h8', identity: 'i', berth: '1', heard: true, gone: false, since: 0 };
    const member = hostHandlers({ cluster: { host: 'h1', hosts: () => [known] }, store });
    await assert.rejects(
      async () => member['GET hosts']!(ask),
      (error) => refuses('HOST_UNKNOWN')(error) && /did you mean h8/.test((error as Error).message),
    );
    assert.deepEqual(await member['GET hosts']!({ ...ask, path: ['hosts', 'h8'] }), {
      name: 'h8',
      here: false,
      state: 'heard',
      since: '1970-01-01T00:00:00.000Z',
      version: '1',
    });
  });
});
