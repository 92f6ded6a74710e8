/** Masters on a real etcd. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openEtcdStore } from '../store/etcd/store.ts';
import { startEtcd } from '../store/etcd/testing/etcd.ts';
import { network } from './testing/contiv.ts';
import { masters } from './testing/masters.ts';
import { startProcess } from './testing/processes.ts';

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

describe('three masters of which one after the other is killed', () => {
  it('lose nothing that was answered, and give nothing out twice', async () => {
    await using etcd = await startEtcd();
    const location = `etcd://${etcd.members[0]!.address}`;
    const start = (words: readonly string[]) => startProcess([...words, '--log-level', 'info']);
    // One of them under its old name.
    await using first = await start(['master', '--store', location, '--listen', '127.0.0.1:0']);
    const old = ['--etcd-endpoints', `http://${etcd.members[0]!.address}`, '--listen-url', '127.0.0.1:0'];
    await using second = await start([
      '__netmaster',
      ...old,
      '--mode',
      'docker',
      '--netmode',
      'vlan',
      '--fwdmode',
      'routing',
    ]);
    await using third = await start(['master', '--store', location, '--listen', '127.0.0.1:0']);
    const all = [first, second, third];

    const call = async (method: string, path: string, body: unknown, at: number) => {
      // Whoever does not answer is left for the next.
      for (let attempt = 0; attempt < all.length; attempt++) {
        const { url } = all[(at + attempt) % all.length]!;
        const request = { method, body: body === undefined ? null : JSON.stringify(body) };
        const reply = await fetch(`${url}/api/v1/${path}`, request).catch(() => undefined);
        if (reply !== undefined) return { status: reply.status, text: await reply.text(), again: attempt > 0 };
      }
      throw new Error('no master answers');
    };

    const wanted = new Set<string>();
    let done = 0;
    const client = async (id: number) => {
      for (let index = 0; index < 40; index++) {
        const name = `c${id}n${index}`;
        const [path, body] = network('default', name, `10.${id}.${index}.0/24`);
        const made = await call('POST', path, body, id + index);
        // What was done by one that died before it could say so is refused when it is asked for again.
        const before = made.again && made.text.startsWith('Cant change network parameters');
        assert.ok(made.status === 200 || before, `${name}: ${made.status} ${made.text}`);
        wanted.add(`default:${name}`);
        if (index % 2 === 1) {
          const gone = await call('DELETE', path, undefined, id + index + 1);
          assert.ok(gone.status === 200 || (gone.again && gone.status === 404), `${name}: ${gone.status} ${gone.text}`);
          wanted.delete(`default:${name}`);
        }
        done++;
        if (done === 40) await first.kill();
        if (done === 100) await second.kill();
      }
    };
    await Promise.all([1, 2, 3, 4].map(client));

    const listed = JSON.parse((await call('GET', 'networks/', undefined, 2)).text) as { key: string }[];
    assert.deepEqual(new Set(listed.map(({ key }) => key)), wanted);
    const { Oper } = JSON.parse((await call('GET', 'inspect/tenants/default/', undefined, 2)).text);
    const tags = Oper.networks.map(({ pktTag }: { pktTag: number }) => pktTag);
    assert.equal(new Set(tags).size, wanted.size);
    // The one that is left ends in order.
    assert.equal(await third.stop(), 0);
  });
});
