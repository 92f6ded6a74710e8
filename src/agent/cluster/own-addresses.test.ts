import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodePool } from '../../ipam/codec.ts';
import { openIpam } from '../../ipam/ipam.ts';
import type { NetworkId } from '../../model/ids.ts';
import { keys } from '../../model/keys.ts';
import type { Network } from '../../model/network.ts';
import { poolId } from '../../model/pool.ts';
import { formatPrefix, parsePrefix } from '../../model/prefix.ts';
import { createMemoryStore } from '../../store/memory.ts';
import { keepOwnAddresses } from './own-addresses.ts';

const KEY = 'red:hosts';
const prefixes = ['10.23.0.0/24', 'fd00:23::/64'].map((text) => parsePrefix(text)!);

function network(kind: 'infra' | 'data'): Network {
  const cluster = { tenant: 'red', network: 'hosts', encapsulation: 'vxlan', tag: 1, kind, forwarding: 'bridge' };
  return {
    id: 'n'.padEnd(64, '0') as NetworkId,
    fabric: 'cluster',
    subnets: prefixes.map((prefix) => ({ prefix, auxiliary: {} })),
    settings: { bridge: 'bt1', masquerade: true, interfacePrefix: 'eth', cluster: { ...cluster, gateways: [] } },
  } as unknown as Network;
}

async function openCluster() {
  const store = createMemoryStore();
  await store.transact({
    then: [
      { do: 'put', key: keys.object('network', KEY), value: '{}' },
      ...prefixes.map((subnet) => {
        const id = poolId(KEY, subnet);
        const pool = { id, space: KEY, subnet, released: false, options: {}, createdAt: 0 };
        return { do: 'put', key: keys.pool(id), value: encodePool(pool) } as const;
      }),
    ],
  });
  /** An agent, as it is started there. */
  async function start(host: string, of: Network | undefined = network('infra')) {
    const networks = new Map(of === undefined ? [] : [[of.id, of]]);
    const told: string[] = [];
    let changed = () => {};
    const update = keepOwnAddresses({
      host,
      state: {
        networks,
        onChange(listener) {
          changed = listener;
        },
      },
      ipam: await openIpam(store),
      events: { emit: (_event, message) => assert.fail(message) },
      tell: (key, addresses) => void told.push(`${key} ${addresses.map(formatPrefix).join(' ')}`.trim()),
    });
    const before = [...told];
    await update();
    return { before, told, networks, changed: () => changed(), update };
  }
  return { store, start };
}

test('each host has an address of each family, and has it again', async () => {
  const { start } = await openCluster();
  const one = await start('one');
  assert.deepEqual([one.before, one.told], [[], [`${KEY} 10.23.0.1/24 fd00:23::1/64`]]);
  assert.deepEqual((await start('two')).told, [`${KEY} 10.23.0.2/24 fd00:23::2/64`]);
  // Before anything is asked of the store: what is in the kernel stays.
  assert.deepEqual((await start('one')).before, [`${KEY} 10.23.0.1/24 fd00:23::1/64`]);
});

test('only in networks for hosts, and as long as they are here', async () => {
  const { start, store } = await openCluster();
  assert.deepEqual((await start('one', network('data'))).told, []);
  assert.deepEqual((await store.list(keys.leases)).entries, []);
  const host = await start('one');
  host.networks.clear();
  host.changed();
  await host.update();
  assert.deepEqual(host.told.slice(1), [KEY]);
});
