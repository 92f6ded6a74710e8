import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { parseMac } from '../model/mac.ts';
import type { Reservation } from '../model/reservation.ts';
import { createMemoryStore } from '../store/memory.ts';
import type { Store } from '../store/store.ts';
import { type Ipam, openIpam } from './ipam.ts';
import { address, keysIn, leaseAddress, openPool, prefix } from './testing/requests.ts';

const SUBNET = '10.1.0.0/29';
const mac = (text: string) => parseMac(text)!;
const own = mac('0a:00:00:00:00:05');
const other = mac('0a:00:00:00:00:06');

let store: Store;
let ipam: Ipam;
beforeEach(async () => {
  store = createMemoryStore();
  ipam = await openIpam(store, { seed: 'test' });
});

const keep = (text: string, more: Partial<Reservation> = {}) =>
  ipam.reservations.add({ subnet: prefix(SUBNET), address: address(text), createdAt: 0, ...more });

test('a reserved address is never given out by itself, not even as the last one or as a gateway', async () => {
  await keep('10.1.0.1');
  await keep('10.1.0.3');
  const { id } = await openPool(ipam, SUBNET);
  assert.equal(await leaseAddress(ipam, id, undefined, { holder: { kind: 'gateway' } }), '10.1.0.2');
  const given: string[] = [];
  for (let count = 0; count < 3; count++) given.push(await leaseAddress(ipam, id));
  assert.deepEqual(given, ['10.1.0.4', '10.1.0.5', '10.1.0.6']);
  await assert.rejects(leaseAddress(ipam, id), { code: 'POOL_EXHAUSTED' });
});

test('who is not known may ask for it; another than the one that it is for may not', async () => {
  await keep('10.1.0.3', { mac: own });
  await keep('10.1.0.4', { name: 'web' });
  const { id } = await openPool(ipam, SUBNET);
  await assert.rejects(leaseAddress(ipam, id, '10.1.0.3', { mac: other }), {
    code: 'ADDRESS_TAKEN',
    message: 'the address 10.1.0.3 is reserved for the MAC address 0a:00:00:00:00:05',
  });
  await assert.rejects(leaseAddress(ipam, id, '10.1.0.4', { holder: { kind: 'request', name: 'shop' } }), {
    message: 'the address 10.1.0.4 is reserved for the container web',
  });
  assert.equal(await leaseAddress(ipam, id, '10.1.0.3', { mac: own }), '10.1.0.3');
  assert.equal(await leaseAddress(ipam, id, '10.1.0.4'), '10.1.0.4');
});

test('who is told to be the one gets it without asking for it, and the next free one while it is held', async () => {
  await keep('10.1.0.5', { name: 'web', mac: own });
  const { id } = await openPool(ipam, SUBNET);
  const web = { holder: { kind: 'request', name: 'web' } } as const;
  assert.equal(await leaseAddress(ipam, id, undefined, web), '10.1.0.5');
  assert.equal(await leaseAddress(ipam, id, undefined, web), '10.1.0.1');
  await ipam.release(id, address('10.1.0.5'));
  assert.equal(await leaseAddress(ipam, id, undefined, { mac: own }), '10.1.0.5');
  await ipam.release(id, address('10.1.0.5'));
  // Released, it is kept on.
  assert.equal(await leaseAddress(ipam, id), '10.1.0.2');
});

test('it outlives restarts and its pool, until it is given free', async () => {
  await keep('10.1.0.1', { name: 'web' });
  await keep('10.1.0.2');
  const again = await openIpam(store, { seed: 'test' });
  const [first, second] = again.reservations.all();
  assert.deepEqual([first?.name, second?.name, second?.mac], ['web', undefined, undefined]);
  const { id } = await openPool(again, SUBNET);
  await again.releasePool(id);
  await openPool(again, SUBNET);
  assert.equal(await leaseAddress(again, id), '10.1.0.3');
  for (const reservation of again.reservations.all()) await again.reservations.remove(reservation);
  assert.equal(await leaseAddress(again, id), '10.1.0.1');
  assert.ok((await keysIn(store)).every((key) => !key.startsWith('berth/reservation/')));
});

test('addresses that are not for hosts cannot be kept', async () => {
  await assert.rejects(keep('10.1.0.0'), { code: 'ADDRESS_RESERVED' });
  await assert.rejects(keep('10.1.0.7'), { code: 'ADDRESS_RESERVED' });
});

test('of a network of the cluster it is kept there only; one that names no network counts for all with the subnet', async () => {
  await keep('10.1.0.1', { network: 'red:shop' });
  await keep('10.1.0.2');
  await keep('10.1.0.3', { network: 'blue:shop', name: 'web' });
  const again = await openIpam(store, { seed: 'test' });
  for (const one of [ipam, again])
    assert.deepEqual(
      new Set(one.reservations.all().map(({ network }) => network)),
      new Set(['red:shop', undefined, 'blue:shop']),
    );
  const [red, blue] = [
    await openPool(again, SUBNET, { space: 'red:shop' }),
    await openPool(again, SUBNET, { space: 'blue:shop' }),
  ];
  const web = { holder: { kind: 'request', name: 'web' } } as const;
  assert.equal(await leaseAddress(again, blue.id), '10.1.0.1');
  assert.equal(await leaseAddress(again, blue.id, undefined, web), '10.1.0.3');
  assert.equal(await leaseAddress(again, red.id, undefined, web), '10.1.0.3');
  assert.equal(await leaseAddress(again, red.id), '10.1.0.4');
  await again.reservations.remove(again.reservations.all().find(({ network }) => network === 'red:shop')!);
  assert.equal(await leaseAddress(again, red.id), '10.1.0.1');
});
