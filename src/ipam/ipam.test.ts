import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { formatAddress } from '../model/address.ts';
import type { PoolId } from '../model/ids.ts';
import { parseMac } from '../model/mac.ts';
import { formatPrefix } from '../model/prefix.ts';
import { createMemoryStore } from '../store/memory.ts';
import type { Store } from '../store/store.ts';
import { type Ipam, type IpamOptions, openIpam } from './ipam.ts';
import type { LeaseRequest } from './leases.ts';
import { address, endpoint, keysIn, leaseAddress, openPool, prefix } from './testing/requests.ts';

let store: Store;
let ipam: Ipam;
let clock: number;
const options: IpamOptions = { seed: 'test', monotonic: () => clock };
beforeEach(async () => {
  clock = 1_000_000;
  store = createMemoryStore();
  ipam = await openIpam(store, options);
});

const open = (text: string, more = {}, on = ipam) => openPool(on, text, more);
const lease = (pool: PoolId, text?: string, more: Partial<LeaseRequest> = {}) => leaseAddress(ipam, pool, text, more);
const gateway = (pool: PoolId, text?: string) => lease(pool, text, { holder: { kind: 'gateway' } });
const keysInStore = () => keysIn(store);

describe('a pool', () => {
  it('is the same one when it is opened again, here or after a restart', async () => {
    const first = await open('10.1.0.0/24');
    assert.equal(first.id, 'berth/10.1.0.0-24');
    assert.deepEqual(await open('10.1.0.0/24'), first);
    const again = await openIpam(store, options);
    assert.deepEqual(again.pools(), [first]);
    assert.deepEqual(await open('10.1.0.0/24', {}, again), first);
    assert.deepEqual(await keysInStore(), ['berth/pool/berth/10.1.0.0-24']);
  });

  it('may not overlap another one of its address space', async () => {
    await open('10.1.0.0/16');
    await assert.rejects(open('10.1.2.0/24'), {
      code: 'SUBNET_OVERLAP',
      message: 'the subnet 10.1.2.0/24 overlaps 10.1.0.0/16, which is in use',
    });
    await assert.rejects(open('10.0.0.0/8'), { code: 'SUBNET_OVERLAP' });
    await open('10.1.2.0/24', { space: 'other' });
    await open('10.2.0.0/16');
  });

  it('is made with what is in use on it, before anybody can ask for an address', async () => {
    const subnet = prefix('10.1.0.0/24');
    const request = { space: 'berth', subnet, family: 4 as const, options: {}, taken: [] };
    const used = ['10.1.0.1', '10.1.0.2', '10.1.0.4'].map((text) => ({
      address: address(text),
      holder: text === '10.1.0.1' ? ({ kind: 'gateway' } as const) : endpoint(1),
      engine: 'A',
    }));
    const { revision } = await store.list('');
    const [pool, first] = await Promise.all([
      ipam.openPool({ ...request, leases: used }),
      // As early as can be: the pool becomes known with all of its leases.
      (async () => {
        for (;;) {
          const given = await lease('berth/10.1.0.0-24' as PoolId).catch(() => undefined);
          if (given !== undefined) return given;
        }
      })(),
    ]);
    assert.equal((await store.list('')).revision, revision + 2, 'one transaction for all, one for the newcomer');
    assert.equal(first, '10.1.0.3');
    assert.equal(await gateway(pool.id), '10.1.0.1');
    assert.equal(await lease(pool.id), '10.1.0.5');
    await assert.rejects(lease(pool.id, '10.1.0.2'), { code: 'ADDRESS_TAKEN' });
    // Another range of the subnet has what this one knows already.
    await ipam.openPool({ ...request, range: prefix('10.1.0.128/25'), leases: used });
    const again = await openIpam(store, options);
    assert.deepEqual(
      again.leases().map(({ address }) => formatAddress(address)),
      ['10.1.0.1', '10.1.0.2', '10.1.0.3', '10.1.0.4', '10.1.0.5'],
    );
  });

  it('may not be opened where no network can be', async () => {
    for (const text of ['127.0.0.0/24', '0.0.0.0/0', '10.0.0.1/32', 'fe80::/64']) {
      await assert.rejects(open(text), { code: 'BAD_SUBNET' });
    }
    await assert.rejects(open('10.1.0.0/24', { range: '10.2.0.0/25' }), { code: 'BAD_SUBNET' });
    const taken: never[] = [];
    const any = { space: 'berth', family: 4 as const, options: {}, taken };
    await assert.rejects(ipam.openPool({ ...any, range: prefix('10.1.0.0/25') }), { code: 'BAD_SUBNET' });
    await assert.rejects(ipam.openPool({ ...any, length: 32 }), { code: 'BAD_SUBNET' });
    assert.deepEqual(await keysInStore(), []);
  });

  it('is chosen anew each time when no subnet is given, until none is left', async () => {
    const bases = [{ base: prefix('10.9.0.0/22'), length: 24 }];
    ipam = await openIpam(store, { ...options, bases });
    const any = (taken: string[] = [], length?: number) =>
      ipam.openPool({
        space: 'berth',
        family: 4,
        options: {},
        taken: taken.map(prefix),
        ...(length === undefined ? {} : { length }),
      });
    const together = await Promise.all([any(), any(['10.9.1.0/25'])]);
    assert.deepEqual(together.map(({ subnet }) => formatPrefix(subnet)).toSorted(), ['10.9.0.0/24', '10.9.2.0/24']);
    assert.equal(formatPrefix((await any([], 26)).subnet), '10.9.1.0/26');
    assert.equal(formatPrefix((await any()).subnet), '10.9.3.0/24');
    await assert.rejects(any(), { code: 'NO_FREE_SUBNET', message: 'no IPv4 subnet is free in 10.9.0.0/22' });
    assert.equal(formatPrefix((await any([], 25)).subnet), '10.9.1.128/25');
    const six = await ipam.openPool({ space: 'berth', family: 6, options: {}, taken: [] });
    assert.match(formatPrefix(six.subnet), /^fd.*\/64$/);
    await ipam.releasePool(together[0].id);
    assert.equal(formatPrefix((await any()).subnet), '10.9.0.0/24');
  });

  it('keeps clear of pools in other address spaces when it is chosen', async () => {
    ipam = await openIpam(store, { ...options, bases: [{ base: prefix('10.9.0.0/23'), length: 24 }] });
    await open('10.9.0.0/24', { space: 'other' });
    const chosen = await ipam.openPool({ space: 'berth', family: 4, options: {}, taken: [] });
    assert.equal(formatPrefix(chosen.subnet), '10.9.1.0/24');
  });

  it('goes as an engine removes a network: addresses first, then the pool, then the network', async () => {
    const { id } = await open('10.1.0.0/24');
    await gateway(id);
    await lease(id, '10.1.0.9', { holder: { kind: 'auxiliary' } });
    await ipam.release(id, address('10.1.0.1'));
    assert.equal(ipam.find(id, address('10.1.0.1'))?.holder.kind, 'gateway');
    await ipam.release(id, address('10.1.0.9'));
    await ipam.releasePool(id, { inUse: true });
    assert.equal(ipam.pool(id)?.released, true);
    await ipam.releasePool(id, { inUse: false });
    assert.equal(ipam.pool(id), undefined);
    assert.deepEqual(await keysInStore(), []);
    await ipam.releasePool(id);
    await ipam.removePool(id);
  });

  it('stays until the last container has gone', async () => {
    const { id } = await open('10.1.0.0/24');
    await gateway(id);
    await lease(id);
    await ipam.claim(prefix('10.1.0.0/24'), address('10.1.0.2'), endpoint(1));
    await ipam.releasePool(id);
    assert.equal(ipam.pool(id)?.released, true);
    await ipam.releaseEndpoint(endpoint(1).endpoint);
    assert.deepEqual(await keysInStore(), []);
  });

  it('does not go with the last container while a network is on it', async () => {
    const { id } = await open('10.1.0.0/24');
    await lease(id);
    await ipam.releasePool(id, { inUse: true });
    await ipam.release(id, address('10.1.0.1'));
    assert.equal(ipam.pool(id)?.released, true);
    await ipam.releasePool(id, { inUse: false });
    assert.deepEqual(await keysInStore(), []);
  });

  it('is taken back by opening it, and by whoever asks for an address of it', async () => {
    const { id } = await open('10.1.0.0/24');
    await lease(id);
    await ipam.releasePool(id);
    assert.equal((await open('10.1.0.0/24')).released, false);
    clock += 60_000;
    await ipam.releasePool(id);
    assert.equal(ipam.pool(id)?.released, true);
    await lease(id);
    assert.equal(ipam.pool(id)?.released, false);
    const again = await openIpam(store, options);
    assert.deepEqual(again.pools(), ipam.pools());
  });

  it('is not taken from a network that is being made on it while another one goes', async () => {
    const { id } = await open('10.1.0.0/24');
    await gateway(id);
    clock += 3_600_000;
    await open('10.1.0.0/24');
    await gateway(id);
    clock += 2000;
    await ipam.releasePool(id, { inUse: true });
    assert.equal(ipam.pool(id)?.released, false);
    // Nobody made a network.
    await ipam.releasePool(id, { inUse: false });
    assert.deepEqual(await keysInStore(), []);
  });

  it('is what it was before when it is given back because its network was refused', async () => {
    const { id, subnet } = await open('10.1.0.0/24');
    await gateway(id);
    assert.equal(ipam.settlePool(subnet)?.pool, id);
    for (let time = 0; time < 2; time++) {
      await open('10.1.0.0/24');
      assert.equal(await gateway(id), '10.1.0.1');
      clock += 9000;
      await ipam.releasePool(id, { inUse: true });
      assert.equal(ipam.pool(id)?.released, false);
    }
    // Another driver's network: we are not told that it was made.
    const other = await open('10.2.0.0/24');
    await gateway(other.id);
    await open('10.2.0.0/24');
    await ipam.releasePool(other.id);
    assert.equal(ipam.pool(other.id)?.released, false);
    await ipam.releasePool(other.id);
    assert.equal(ipam.pool(other.id), undefined);
    // The network of the first goes.
    await ipam.releasePool(id, { inUse: true });
    assert.equal(ipam.pool(id)?.released, true);
    await ipam.releasePool(id, { inUse: false });
    assert.deepEqual(await keysInStore(), []);
  });

  it('is kept when one of the networks that share it goes', async () => {
    const { id } = await open('10.1.0.0/24');
    ipam.settlePool(prefix('10.1.0.0/24'));
    await ipam.releasePool(id, { inUse: true });
    await ipam.keepPool(id);
    assert.equal(ipam.pool(id)?.released, false);
    await ipam.keepPool('absent' as PoolId);
    await lease(id);
    await ipam.release(id, address('10.1.0.1'));
    assert.notEqual(ipam.pool(id), undefined);
  });

  it('with a range shares the addresses of its subnet with all others on it', async () => {
    const low = await open('10.1.0.0/24', { range: '10.1.0.0/30' });
    const high = await open('10.1.0.0/24', { range: '10.1.0.2/31' });
    assert.equal(high.id, 'berth/10.1.0.0-24/10.1.0.2-31');
    assert.equal(await lease(low.id), '10.1.0.1');
    assert.equal(await lease(high.id), '10.1.0.2');
    assert.equal(await lease(low.id), '10.1.0.3');
    await assert.rejects(lease(high.id), { code: 'POOL_EXHAUSTED', message: 'all addresses of 10.1.0.2/31 are taken' });
    await assert.rejects(lease(high.id, '10.1.0.1'), { code: 'ADDRESS_TAKEN' });
    assert.equal(ipam.leasesOf(low.id).length, 2);
    assert.equal(ipam.leasesOf(high.id).length, 1);
    assert.equal(await gateway(high.id), '10.1.0.4');
    await ipam.release(high.id, address('10.1.0.2'));
    await ipam.removePool(high.id);
    assert.equal(ipam.find(low.id, address('10.1.0.4'))?.pool, low.id, 'the gateway belongs to who is left');
    assert.deepEqual((await openIpam(store, options)).leases(), ipam.leases());
  });
});

describe('an address', () => {
  it('is the lowest free one, from the beginning each time', async () => {
    const { id } = await open('10.1.0.0/29');
    const given = [];
    for (let n = 0; n < 6; n++) given.push(await lease(id));
    assert.deepEqual(given, ['10.1.0.1', '10.1.0.2', '10.1.0.3', '10.1.0.4', '10.1.0.5', '10.1.0.6']);
    await assert.rejects(lease(id), { code: 'POOL_EXHAUSTED', message: 'all addresses of 10.1.0.0/29 are taken' });
    await ipam.release(id, address('10.1.0.5'));
    await ipam.release(id, address('10.1.0.2'));
    assert.equal(await lease(id), '10.1.0.2');
    assert.equal(await lease(id), '10.1.0.5');
  });

  it('is given to one only, however many ask at once', async () => {
    const { id } = await open('10.1.0.0/24');
    const given = await Promise.all(Array.from({ length: 100 }, () => lease(id)));
    assert.deepEqual(given.toSorted(), Array.from({ length: 100 }, (_, n) => `10.1.0.${n + 1}`).toSorted());
    const same = await Promise.allSettled(Array.from({ length: 20 }, () => lease(id, '10.1.0.200')));
    assert.equal(same.filter(({ status }) => status === 'fulfilled').length, 1);
  });

  it('of IPv6 is treated like one of IPv4', async () => {
    const { id } = await open('fd00::/64');
    assert.equal(await gateway(id), 'fd00::1');
    assert.equal(await lease(id), 'fd00::2');
    assert.equal(await lease(id, 'fd00::ffff:ffff:ffff:ffff'), 'fd00::ffff:ffff:ffff:ffff');
    await assert.rejects(lease(id, 'fd00::'), { code: 'ADDRESS_RESERVED' });
    await assert.rejects(lease(id, '10.1.0.1'), { code: 'ADDRESS_OUTSIDE' });
  });

  it('may be any of the subnet when it is asked for, but only of hosts', async () => {
    const { id } = await open('10.1.0.0/24', { range: '10.1.0.128/25' });
    assert.equal(await lease(id), '10.1.0.128');
    assert.equal(await lease(id, '10.1.0.7'), '10.1.0.7');
    for (const text of ['10.1.0.0', '10.1.0.255']) {
      await assert.rejects(lease(id, text), { code: 'ADDRESS_RESERVED' });
    }
    await assert.rejects(lease(id, '10.1.1.7'), {
      code: 'ADDRESS_OUTSIDE',
      message: 'the address 10.1.1.7 is not within 10.1.0.0/24',
    });
    await assert.rejects(lease('berth/10.7.0.0-24' as PoolId), { code: 'POOL_UNKNOWN' });
    const { id: tiny } = await open('10.2.0.0/31');
    assert.deepEqual([await lease(tiny), await lease(tiny)], ['10.2.0.0', '10.2.0.1']);
  });

  it('that is taken is refused with who holds it', async () => {
    const { id, subnet } = await open('10.1.0.0/24');
    await gateway(id, '10.1.0.1');
    await lease(id, '10.1.0.2', { holder: { kind: 'auxiliary' } });
    await lease(id, '10.1.0.3', { holder: { kind: 'request', name: 'web' } });
    await lease(id, '10.1.0.4');
    await lease(id, '10.1.0.5', { holder: { kind: 'request', name: 'db' } });
    await ipam.claim(subnet, address('10.1.0.5'), endpoint(7));
    await lease(id, '10.1.0.6');
    await ipam.claim(subnet, address('10.1.0.6'), endpoint(8));
    const says = async (text: string) => {
      const error = await lease(id, text, { engine: 'B' }).catch((thrown: Error & { code: string }) => thrown);
      assert.ok(typeof error !== 'string' && error.code === 'ADDRESS_TAKEN');
      return error.message.replace(`the address ${text} is held by `, '');
    };
    assert.deepEqual(await Promise.all([1, 2, 3, 4, 5, 6].map((n) => says(`10.1.0.${n}`))), [
      'the gateway of the network',
      'nobody: it is reserved as an auxiliary address',
      'container web',
      'a container that engine A is starting',
      'container db',
      'endpoint 888888888888',
    ]);
    await assert.rejects(gateway(id, '10.1.0.3'), { code: 'ADDRESS_TAKEN' });
  });

  it('of a gateway is the first of the subnet, whatever the range, and stays the same', async () => {
    const { id } = await open('10.1.0.0/24', { range: '10.1.0.128/25' });
    assert.deepEqual(await Promise.all([gateway(id), gateway(id)]), ['10.1.0.1', '10.1.0.1']);
    assert.equal(await gateway(id, '10.1.0.1'), '10.1.0.1');
    assert.equal(await gateway(id, '10.1.0.254'), '10.1.0.254');
    assert.equal(ipam.count(), 2);
  });

  it('is granted again only to an engine that repeats what it knew', async () => {
    const { id, subnet } = await open('10.1.0.0/24');
    await lease(id, '10.1.0.5');
    await ipam.claim(subnet, address('10.1.0.5'), endpoint(1));
    await lease(id, '10.1.0.9', { holder: { kind: 'auxiliary' } });
    ipam = await openIpam(store, options);
    const before = ipam.leases();
    await assert.rejects(lease(id, '10.1.0.5'), { code: 'ADDRESS_TAKEN' });
    await assert.rejects(lease(id, '10.1.0.5', { replay: true, engine: 'B' }), { code: 'ADDRESS_TAKEN' });
    assert.equal(await lease(id, '10.1.0.5', { replay: true }), '10.1.0.5');
    assert.equal(await lease(id, '10.1.0.9', { replay: true }), '10.1.0.9');
    assert.equal(await lease(id, '10.1.0.9', { holder: { kind: 'auxiliary' } }), '10.1.0.9');
    assert.deepEqual(ipam.leases(), before);
    assert.equal(await lease(id, '10.1.0.77', { replay: true }), '10.1.0.77');
  });

  it('is the same when the same container asks again because the answer was lost', async () => {
    const { id } = await open('10.1.0.0/24');
    const mac = parseMac('02:42:00:00:00:01')!;
    const web = { holder: { kind: 'request', name: 'web' } } as const;
    await lease(id, '10.1.0.5', web);
    assert.equal(await lease(id, '10.1.0.5', web), '10.1.0.5');
    await assert.rejects(lease(id, '10.1.0.5', { holder: { kind: 'request', name: 'db' } }), { code: 'ADDRESS_TAKEN' });
    await lease(id, '10.1.0.6', { mac });
    assert.equal(await lease(id, '10.1.0.6', { mac }), '10.1.0.6');
    await assert.rejects(lease(id, '10.1.0.6'), { code: 'ADDRESS_TAKEN' });
    await lease(id, '10.1.0.7');
    await assert.rejects(lease(id, '10.1.0.7'), { code: 'ADDRESS_TAKEN' });
  });
});

describe('a claim', () => {
  it('ties an address to an endpoint, once and again', async () => {
    const { id, subnet } = await open('10.1.0.0/24');
    const mac = parseMac('02:42:00:00:00:01')!;
    await lease(id, '10.1.0.5', { holder: { kind: 'request', name: 'web' } });
    const claimed = await ipam.claim(subnet, address('10.1.0.5'), endpoint(1), mac);
    assert.deepEqual(claimed?.holder, { ...endpoint(1), name: 'web' });
    assert.equal(claimed?.mac, mac);
    assert.deepEqual(await ipam.claim(subnet, address('10.1.0.5'), endpoint(1), mac), claimed);
    await assert.rejects(ipam.claim(subnet, address('10.1.0.5'), endpoint(2)), {
      code: 'ADDRESS_TAKEN',
      message: 'the address 10.1.0.5 is held by container web',
    });
    assert.deepEqual((await openIpam(store, options)).leases(), [claimed]);
  });

  it('passes over what another IPAM has given out', async () => {
    const { id, subnet } = await open('10.1.0.0/24');
    assert.equal(await ipam.claim(subnet, address('10.1.0.5'), endpoint(1)), undefined);
    assert.equal(await ipam.claim(prefix('10.2.0.0/24'), address('10.2.0.5'), endpoint(1)), undefined);
    assert.deepEqual(ipam.leasesOf(id), []);
  });

  it('marks an address as auxiliary', async () => {
    const { id, subnet } = await open('10.1.0.0/24');
    await gateway(id);
    await lease(id, '10.1.0.5');
    await lease(id, '10.1.0.6');
    await ipam.claim(subnet, address('10.1.0.6'), endpoint(1));
    const auxiliary = { kind: 'auxiliary' } as const;
    assert.equal((await ipam.claim(subnet, address('10.1.0.5'), auxiliary))?.holder.kind, 'auxiliary');
    assert.equal((await ipam.claim(subnet, address('10.1.0.1'), auxiliary))?.holder.kind, 'gateway');
    await assert.rejects(ipam.claim(subnet, address('10.1.0.6'), auxiliary), { code: 'ADDRESS_TAKEN' });
  });

  it('takes the address that was requested, in whichever address space', async () => {
    const other = await open('10.1.0.0/24', { space: 'other' });
    const own = await open('10.1.0.0/24');
    await lease(other.id, '10.1.0.5');
    await ipam.claim(own.subnet, address('10.1.0.5'), endpoint(1));
    await lease(own.id, '10.1.0.5');
    await ipam.claim(own.subnet, address('10.1.0.5'), endpoint(2));
    const holders = [other, own].map(({ id }) => ipam.find(id, address('10.1.0.5'))?.holder);
    assert.deepEqual(holders, [endpoint(1), endpoint(2)]);
  });
});

describe('a release', () => {
  it('of the unknown succeeds', async () => {
    const { id } = await open('10.1.0.0/24');
    await ipam.release(id, address('10.1.0.5'));
    await ipam.release(id, address('10.9.9.9'));
    await ipam.release('berth/10.7.0.0-24' as PoolId, address('10.7.0.1'));
    await ipam.releaseEndpoint(endpoint(1).endpoint);
  });

  it('of an endpoint frees all its addresses and no other', async () => {
    const four = await open('10.1.0.0/24');
    const six = await open('fd00::/64');
    for (const [n, { id, subnet }] of [four, six, four].entries()) {
      const given = address(await lease(id));
      await ipam.claim(subnet, given, endpoint(n < 2 ? 1 : 2));
    }
    assert.equal(ipam.count(), 3);
    await ipam.releaseEndpoint(endpoint(1).endpoint);
    assert.deepEqual(
      ipam.leases().map((one) => formatAddress(one.address)),
      ['10.1.0.2'],
    );
    assert.equal(await lease(four.id), '10.1.0.1');
  });
});
