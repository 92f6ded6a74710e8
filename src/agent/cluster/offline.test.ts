import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { type Ipam, openIpam } from '../../ipam/ipam.ts';
import { type Address, formatAddress, parseAddress } from '../../model/address.ts';
import { BerthError } from '../../model/errors.ts';
import type { EndpointId, NetworkId } from '../../model/ids.ts';
import { macFromAddress } from '../../model/mac.ts';
import type { LeaseHolder, Pool } from '../../model/pool.ts';
import { parsePrefix } from '../../model/prefix.ts';
import { createMemoryStore } from '../../store/memory.ts';
import { type Store, StoreNotReached } from '../../store/store.ts';
import { storeNotes } from '../state.ts';
import { type OfflineIpam, withoutStore } from './offline.ts';

const subnet = parsePrefix('10.9.0.0/24')!;
const endpoint = (name: string): LeaseHolder => ({
  kind: 'endpoint',
  endpoint: name.padEnd(64, '0') as EndpointId,
  network: 'n'.padEnd(64, '0') as NetworkId,
});

let shared: Store;
let local: Store;
let pool: Pool;
let plain: Ipam;
let ipam: OfflineIpam;
let said: string[];
/** What the store does: it answers; it does and does not answer; it does not know us. */
let store: 'there' | 'silent' | 'away';
/** Whether the agent has noticed. */
let noticed: boolean;

async function start(): Promise<void> {
  const cut = Object.create(shared, {
    transact: {
      async value(...given: Parameters<Store['transact']>) {
        if (store === 'away') throw new StoreNotReached('away');
        const result = await shared.transact(...given);
        if (store === 'silent') throw new BerthError('STORE_UNAVAILABLE', 'no answer');
        return result;
      },
    },
    get: {
      value: (key: string) =>
        store === 'there' ? shared.get(key) : Promise.reject(new BerthError('STORE_UNAVAILABLE', 'away')),
    },
  }) as Store;
  plain = await openIpam(cut);
  ipam = await withoutStore({
    ipam: plain,
    away: () => noticed,
    notes: storeNotes(local, 'h'),
    events: { emit: (event) => void said.push(event) },
  });
}

beforeEach(async () => {
  [shared, local, said, store, noticed] = [createMemoryStore(), createMemoryStore(), [], 'there', false];
  await start();
  pool = await ipam.openPool({ space: 'berth', subnet, family: 4, options: {}, taken: [] });
});

const ask = async (more: { address?: Address; name?: string; engine?: string } = {}): Promise<string> => {
  const { address, name, engine = 'e' } = more;
  const holder: LeaseHolder = { kind: 'request', ...(name === undefined ? {} : { name }) };
  const mac = address === undefined ? {} : { address };
  return formatAddress((await ipam.lease({ pool: pool.id, holder, engine, ...mac })).address);
};
const run = async (name: string): Promise<Address> => {
  const address = parseAddress(await ask({ name }))!;
  await ipam.claim(subnet, address, endpoint(name), macFromAddress(address));
  return address;
};
const stored = async (): Promise<string[]> =>
  (await shared.list('berth/lease/')).entries.map(({ key, value }) => {
    const { holder } = JSON.parse(value) as { holder: { endpoint?: string; kind: string } };
    return `${key.slice(key.indexOf('=') + 1)} ${holder.endpoint?.replace(/0+$/, '') ?? holder.kind}`;
  });
const returns = async (): Promise<void> => {
  [store, noticed] = ['there', false];
  await ipam.settle();
};

for (const [how, known] of [
  ['silent', true],
  ['away', true],
  ['away', false],
] as const) {
  test(`a container is restarted while the store is ${how}${known ? ', which is known' : ''}: it has its address again`, async () => {
    const [one, two] = [await run('one'), await run('two')];
    [store, noticed] = [how, known];
    await ipam.release(pool.id, two);
    await ipam.release(pool.id, one);
    assert.equal(await ask({ name: 'two' }), formatAddress(two));
    assert.equal(await ask({ name: 'other' }), formatAddress(one));
    await ipam.claim(subnet, two, endpoint('b2'));
    await ipam.claim(subnet, one, endpoint('b1'));
    assert.equal(ipam.leases().length, 2);
    await returns();
    assert.deepEqual(await stored(), ['10.9.0.1 b1', '10.9.0.2 b2']);
    assert.deepEqual(said, []);
    assert.equal(await ask(), '10.9.0.3');
  });
}

test('an address whose release may have been done is not given out again: it may be another host’s', async () => {
  const one = await run('one');
  store = 'silent';
  await assert.rejects(ipam.release(pool.id, one), { code: 'STORE_UNAVAILABLE' });
  await assert.rejects(ask({ name: 'one' }), { code: 'STORE_UNAVAILABLE' });
  await returns();
  assert.equal(await ask(), '10.9.0.1');
});

test('nor when it is given back once more, by the collector, while the store is away', async () => {
  const one = await run('one');
  store = 'silent';
  await assert.rejects(ipam.release(pool.id, one), { code: 'STORE_UNAVAILABLE' });
  [store, noticed] = ['away', true];
  await ipam.release(pool.id, one);
  await assert.rejects(ask({ name: 'one' }), { code: 'STORE_UNAVAILABLE' });
  await returns();
  assert.equal(await ask(), '10.9.0.1');
});

test('nor when the store goes away again while it is told of it', async () => {
  const one = await run('one');
  [store, noticed] = ['away', true];
  await ipam.release(pool.id, one);
  [store, noticed] = ['silent', false];
  await ipam.settle();
  [store, noticed] = ['away', true];
  await assert.rejects(ask({ name: 'one' }), { code: 'STORE_UNAVAILABLE' });
  await returns();
  assert.equal(await ask(), '10.9.0.1');
});

test('what was let go of is free when the store is back, and only then for others', async () => {
  const one = await run('one');
  [store, noticed] = ['away', true];
  await ipam.release(pool.id, one);
  assert.deepEqual(ipam.leases(), []);
  assert.deepEqual(await stored(), ['10.9.0.1 one']);
  await returns();
  assert.deepEqual(await stored(), []);
});

test('more addresses than this host has let go of there are none', async () => {
  const one = await run('one');
  [store, noticed] = ['away', true];
  await ipam.release(pool.id, one);
  await ask();
  await assert.rejects(ask(), { code: 'STORE_UNAVAILABLE' });
  await assert.rejects(ask({ address: parseAddress('10.9.0.7')! }), { code: 'STORE_UNAVAILABLE' });
});

test('an agent that is started in the meantime knows it all', async () => {
  const [one, two] = [await run('one'), await run('two')];
  [store, noticed] = ['away', true];
  await ipam.release(pool.id, two);
  await ipam.release(pool.id, one);
  await ask({ name: 'one' });
  await ipam.claim(subnet, one, endpoint('c'));
  await start();
  assert.equal(await ask({ name: 'two' }), formatAddress(two));
  await ipam.release(pool.id, two);
  await returns();
  assert.deepEqual(await stored(), ['10.9.0.1 c']);
});

test('an address that another host has in the meantime, against all rules, stays with that host, and is told', async () => {
  const one = await run('one');
  [store, noticed] = ['away', true];
  await ipam.release(pool.id, one);
  await ask();
  const [entry] = (await shared.list('berth/lease/')).entries;
  const value = entry!.value.replace('"engine":"e"', '"engine":"other"');
  await shared.transact({ then: [{ do: 'put', key: entry!.key, value }] });
  await plain.claim(subnet, one, { kind: 'auxiliary' }).catch(() => undefined);
  await start();
  await returns();
  assert.deepEqual(said, ['lease.lost']);
  assert.equal((await shared.get(entry!.key))!.value, value);
});

test('what was let go of while another host was given it stays with that host', async () => {
  const one = await run('one');
  [store, noticed] = ['away', true];
  await ipam.release(pool.id, one);
  const [entry] = (await shared.list('berth/lease/')).entries;
  const value = entry!.value.replace('"engine":"e"', '"engine":"other"');
  await shared.transact({ then: [{ do: 'put', key: entry!.key, value }] });
  await start();
  await returns();
  assert.equal((await shared.get(entry!.key))?.value, value);
});
