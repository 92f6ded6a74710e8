/** Several masters on one store, and several clients of each, at the same time. */

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { keys } from '../model/keys.ts';
import { gateOpen } from '../objects/gate.ts';
import { createMemoryStore } from '../store/memory.ts';
import { openSqliteStore } from '../store/sqlite/store.ts';
import type { Store } from '../store/store.ts';
import { addEndpoint, startBench } from './testing/bench.ts';
import { group, network, policy, service } from './testing/contiv.ts';
import { masters } from './testing/masters.ts';

describe('masters on one SQLite file', () => {
  masters(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'berth-master-'));
    const store = await openSqliteStore(join(folder, 'cluster.db'));
    return {
      store,
      async close() {
        await store.close();
        await rm(folder, { recursive: true });
      },
    };
  });
});

describe('masters on one store in memory', () => {
  masters(async () => {
    const store = createMemoryStore();
    return { store, close: () => store.close() };
  });
});

describe('a client that knows what it changes', () => {
  it('is refused when somebody else was faster, and told so', async () => {
    await using bench = await startBench();
    const made = await bench.call('POST', ...policy('default', 'p'));
    const etag = made.headers.get('etag')!;
    assert.match(etag, /^"[0-9]+"$/);
    const profile = (bandwidth: string, headers = {}) =>
      bench.call('PUT', 'netprofiles/default:np/', { tenantName: 'default', profileName: 'np', bandwidth }, headers);
    const first = await profile('1 Mbps');
    const second = await profile('2 Mbps', { 'if-match': first.headers.get('etag')! });
    assert.equal(second.status, 200);
    const late = await profile('3 Mbps', { 'if-match': first.headers.get('etag')! });
    assert.deepEqual([late.status, late.headers.get('berth-error')], [412, 'REVISION_CHANGED']);
    const deletion = await bench.call('DELETE', 'netprofiles/default:np/', undefined, {
      'if-match': first.headers.get('etag')!,
    });
    assert.equal(deletion.status, 412);
    assert.equal((await bench.call('GET', 'netprofiles/default:np/')).json.bandwidth, '2 Mbps');
    const right = await bench.call('DELETE', 'netprofiles/default:np/', undefined, {
      'if-match': second.headers.get('etag')!,
    });
    assert.equal(right.status, 200);
  });

  it('makes no revision by a request that changes nothing', async () => {
    await using bench = await startBench();
    await bench.call('POST', ...network('default', 'net', '10.1.1.0/24'));
    const first = await bench.call('POST', ...group('default', 'net', 'web'));
    const second = await bench.call('PUT', ...group('default', 'net', 'web'));
    assert.equal(second.status, 200);
    assert.equal(second.headers.get('etag'), first.headers.get('etag'));
    assert.equal(bench.audit.filter(({ kind }) => kind === 'endpointGroup').length, 1);
  });
});

/** A store in which something happens between the reading and the writing of the next transaction on objects. */
function disturbed(store: Store): Store & { next: (() => Promise<void>) | undefined } {
  return {
    ...store,
    next: undefined,
    async transact(transaction) {
      const work = this.next;
      if (work !== undefined && transaction.then.some(({ key }) => key === keys.objectsHead)) {
        this.next = undefined;
        await work();
      }
      return await store.transact(transaction);
    },
  };
}

describe('what comes between', () => {
  it('an object that refers to one that is being deleted keeps it', async () => {
    const store = disturbed(createMemoryStore());
    await using bench = await startBench({}, store);
    await using other = await startBench({}, store);
    await bench.call('POST', ...network('default', 'net', '10.1.1.0/24'));
    await bench.call('POST', ...policy('default', 'p'));
    store.next = async () => {
      assert.equal((await other.call('POST', ...group('default', 'net', 'web', { policies: ['p'] }))).status, 200);
    };
    const deletion = await bench.call('DELETE', 'policys/default:p/');
    assert.deepEqual([deletion.status, deletion.text], [409, 'Policy is being used']);
    await store.close();
  });

  it('two networks that take the lowest free VNI take different ones', async () => {
    const store = disturbed(createMemoryStore());
    await using bench = await startBench({}, store);
    await using other = await startBench({}, store);
    store.next = async () => {
      assert.equal((await other.call('POST', ...network('default', 'b', '10.2.0.0/24'))).status, 200);
    };
    assert.equal((await bench.call('POST', ...network('default', 'a', '10.1.0.0/24'))).status, 200);
    const tag = async (name: string) => (await bench.call('GET', `inspect/networks/default:${name}/`)).json.Oper.pktTag;
    assert.deepEqual([await tag('a'), await tag('b')], [2, 1]);
    await store.close();
  });

  it('an agent finds the gate of a network closed while it is deleted, and open when that is refused', async () => {
    const store = disturbed(createMemoryStore());
    await using bench = await startBench({}, store);
    await bench.call('POST', ...network('default', 'net', '10.1.1.0/24'));
    const join = () =>
      store.transact({
        if: gateOpen('default:net'),
        then: [{ do: 'put', key: keys.clusterEndpoint('default:net', 'late'), value: '{}' }],
      });
    store.next = async () => assert.equal((await join()).committed, false);
    assert.equal((await bench.call('DELETE', 'networks/default:net/')).status, 200);
    assert.equal((await join()).committed, false);

    await bench.call('POST', ...network('default', 'net', '10.1.1.0/24'));
    await addEndpoint(store, 'default:net', 'ep1');
    assert.equal((await bench.call('DELETE', 'networks/default:net/')).status, 409);
    assert.equal((await join()).committed, true);
    await store.close();
  });

  it('a gate that a master left closed when it died is waited for, longer than a lease of ours lasts', async () => {
    const memory = createMemoryStore();
    const granted: string[] = [];
    const store: Store = {
      ...memory,
      async grantLease(ttl) {
        granted.push(await memory.grantLease(ttl));
        return granted.at(-1)!;
      },
      async *watch(prefix, from, signal) {
        // What was granted before the waiting began has ended when it is over.
        if (prefix === keys.gate('default:net')) for (const lease of granted) await memory.revokeLease(lease);
        yield* memory.watch(prefix, from, signal);
      },
    };
    await using bench = await startBench({}, store);
    await bench.call('POST', ...network('default', 'net', '10.1.1.0/24'));
    const lease = await memory.grantLease(0.3);
    await memory.transact({ then: [{ do: 'put', key: keys.gate('default:net'), value: '{}', lease }] });
    assert.equal((await bench.call('DELETE', 'networks/default:net/')).status, 200);
  });

  it('a gate that opens too early is closed again', async () => {
    const store = disturbed(createMemoryStore());
    await using bench = await startBench({}, store);
    await bench.call('POST', ...network('default', 'net', '10.1.1.0/24'));
    store.next = async () => {
      await store.transact({ then: [{ do: 'delete', key: keys.gate('default:net') }] });
      // Somebody comes in while it is open.
      await addEndpoint(store, 'default:net', 'ep1');
    };
    const reply = await bench.call('DELETE', 'networks/default:net/');
    assert.deepEqual([reply.status, reply.text], [409, 'Error: Network has active endpoints']);
    await store.close();
  });

  it('an address that an agent leases is not given to a service as well', async () => {
    const store = disturbed(createMemoryStore());
    await using bench = await startBench({}, store);
    await bench.call('POST', ...network('default', 'net', '10.1.1.0/24'));
    const lease = `${keys.leases}default:net/10.1.1.0-24/=10.1.1.1`;
    store.next = async () => {
      await store.transact({ if: [{ key: lease, is: 'absent' }], then: [{ do: 'put', key: lease, value: '{}' }] });
    };
    await bench.call('POST', ...service('svc', 'net'));
    const { serviceVip } = (await bench.call('GET', 'inspect/serviceLBs/default:svc/')).json.Oper;
    assert.equal(serviceVip, '10.1.1.2');
    await store.close();
  });

  it('a change whose answer was lost is found out, and neither repeated nor denied', async () => {
    const memory = createMemoryStore();
    let lose = false;
    const store: Store = {
      ...memory,
      async transact(transaction) {
        const result = await memory.transact(transaction);
        if (!lose || !transaction.then.some(({ key }) => key === keys.objectsHead)) return result;
        lose = false;
        const { BerthError } = await import('../model/errors.ts');
        throw new BerthError('STORE_UNAVAILABLE', 'the answer was lost');
      },
    };
    await using bench = await startBench({}, store);
    lose = true;
    const made = await bench.call('POST', ...network('default', 'net', '10.1.1.0/24'));
    assert.deepEqual([made.status, lose], [200, false]);
    lose = true;
    assert.equal((await bench.call('DELETE', 'networks/default:net/')).status, 200);
    assert.equal((await bench.call('GET', 'networks/default:net/')).status, 404);
    await memory.close();
  });
});
