/** What must hold of masters that run side by side, whatever the store. */

import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import type { Store } from '../../store/store.ts';
import { type Bench, startBench } from './bench.ts';
import { group, network, service } from './contiv.ts';

/** Declares the tests, on a store of their own. */
export function masters(open: () => Promise<{ readonly store: Store; close(): Promise<void> }>): void {
  let store: Awaited<ReturnType<typeof open>>;
  let benches: Bench[];
  before(async () => {
    store = await open();
    benches = await Promise.all([startBench({}, store.store), startBench({}, store.store)]);
  });
  after(async () => {
    for (const bench of benches) await bench[Symbol.asyncDispose]();
    await store.close();
  });
  const at = (index: number) => benches[index % benches.length]!;

  it('start at once, and there is one default tenant with one set of settings', async () => {
    assert.equal((await at(0).call('GET', 'tenants/')).json.length, 1);
    assert.equal((await at(1).call('GET', 'globals/')).json.length, 1);
  });

  it('what one has answered the other shows at once', async () => {
    for (let index = 0; index < 20; index++) {
      const made = await at(index).call('POST', ...network('default', `seen${index}`, `10.9.${index}.0/24`));
      assert.equal(made.status, 200, made.text);
      const path = `networks/default:seen${index}/`;
      assert.equal((await at(index + 1).call('GET', path)).status, 200);
      assert.equal((await at(index + 1).call('DELETE', path)).status, 200);
      assert.equal((await at(index).call('GET', path)).status, 404);
    }
  });

  it('forty networks at once have forty VNIs', async () => {
    const made = await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        at(index).call('POST', ...network('default', `n${index}`, `10.1.${index}.0/24`)),
      ),
    );
    assert.deepEqual(
      new Set(made.map(({ status, text }) => `${status} ${status === 200 ? '' : text}`)),
      new Set(['200 ']),
    );
    const networks = (await at(0).call('GET', 'inspect/tenants/default/')).json.Oper.networks as { pktTag: number }[];
    assert.deepEqual(
      networks.map(({ pktTag }) => pktTag).sort((a, b) => a - b),
      Array.from({ length: 40 }, (_, index) => index + 1),
    );
  });

  it('of twenty that want the same subnet, tag, range or address one gets it', async () => {
    const wins = async (make: (index: number) => readonly [string, unknown], refusals: RegExp) => {
      const replies = await Promise.all(
        Array.from({ length: 20 }, (_, index) => at(index).call('POST', ...make(index))),
      );
      assert.equal(replies.filter(({ status }) => status === 200).length, 1);
      for (const { status, text } of replies) if (status !== 200) assert.match(`${status} ${text}`, refusals);
    };
    await wins(
      (index) => network('default', `s${index}`, '10.20.0.0/24'),
      /^409 network s[0-9]+ conflicts with subnet/,
    );
    await wins(
      (index) => network('default', `t${index}`, `10.21.${index}.0/24`, { pktTag: 777 }),
      /^409 requested vxlan not available$/,
    );
    await wins(
      (index) => group('default', 'n0', `g${index}`, { ipPool: '10.1.0.10-10.1.0.20' }),
      /^409 ip address 10.1.0.10 is not available$/,
    );
    await wins(
      (index) => service(`v${index}`, 'n0', { ipAddress: '10.1.0.99' }),
      /^409 ip address 10.1.0.99 is not available$/,
    );
  });

  it('a network and a group of one name never exist side by side', async () => {
    for (let round = 0; round < 10; round++) {
      const replies = await Promise.all([
        at(0).call('POST', ...network('default', `both${round}`, `10.30.${round}.0/24`)),
        at(1).call('POST', ...group('default', 'n1', `both${round}`)),
      ]);
      assert.deepEqual(
        replies.map(({ status }) => status).sort((a, b) => a - b),
        [200, 409],
      );
    }
  });

  it('a network is not deleted while a group of it is made', async () => {
    for (let round = 0; round < 10; round++) {
      await at(0).call('POST', ...network('default', 'short', '10.31.0.0/24'));
      const [deleted, made] = await Promise.all([
        at(0).call('DELETE', 'networks/default:short/'),
        at(1).call('POST', ...group('default', 'short', 'late')),
      ]);
      if (deleted.status === 200) {
        assert.deepEqual([made.status, made.text], [400, 'Network short not found']);
      } else {
        assert.deepEqual([deleted.status, made.status], [409, 200]);
        await at(1).call('DELETE', 'endpointGroups/default:late/');
        await at(0).call('DELETE', 'networks/default:short/');
      }
    }
  });

  it('of two that change one object by its revision one is told to read it again', async () => {
    const profile = (bandwidth: string) =>
      ['netprofiles/default:np/', { tenantName: 'default', profileName: 'np', bandwidth }] as const;
    for (let round = 1; round <= 10; round++) {
      const etag = (await at(0).call('POST', ...profile(`${round}00 Mbps`))).headers.get('etag')!;
      const replies = await Promise.all(
        [0, 1].map((index) => at(index).call('PUT', ...profile(`${round}0${index + 1} Mbps`), { 'if-match': etag })),
      );
      assert.deepEqual(
        replies.map(({ status }) => status).sort((a, b) => a - b),
        [200, 412],
      );
    }
  });
}
