import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IpamDriver, RequestPool } from '../../docker/driver.ts';
import { formatAddress, parseAddress } from '../../model/address.ts';
import type { PoolId } from '../../model/ids.ts';
import { formatPrefix, parsePrefix } from '../../model/prefix.ts';
import { withDhcpPools } from './pools.ts';
import { container, id, network, openStage } from './testing/stage.ts';

const call = { plugin: 'berth-lan', signal: new AbortController().signal };
const other = new Proxy({} as IpamDriver, {
  get: (_, name) => () => Promise.reject(new Error(`handed on: ${String(name)}`)),
});
const pool = (more: Partial<RequestPool> = {}): RequestPool => ({
  space: 'berth',
  family: 4,
  options: { dhcp: 'true', bridge: 'br0' },
  ...more,
});

async function openPools() {
  const stage = await openStage();
  await stage.state.putNetwork({ ...network, options: {} });
  return { ...stage, driver: withDhcpPools(other, { state: stage.state, dhcp: stage.dhcp, bridge: 'br0' }) };
}

test('a pool is what it is for, and has no subnet unless the user gives one', async () => {
  const { driver } = await openPools();
  const bare = await driver.requestPool(pool(), call);
  assert.deepEqual([bare.id, formatPrefix(bare.subnet)], ['dhcp/br0', '0.0.0.0/0']);
  const given = await driver.requestPool(pool({ subnet: parsePrefix('192.168.7.0/24')! }), call);
  assert.deepEqual([given.id, formatPrefix(given.subnet)], ['dhcp/br0/192.168.7.0-24', '192.168.7.0/24']);
  const gateway = { pool: bare.id, purpose: 'gateway' } as const;
  assert.equal(formatPrefix(await driver.requestAddress(gateway, call)), '0.0.0.0/0');
  await driver.releasePool(bare.id, call);
});

test('what is not for a DHCP server is handed on', async () => {
  const { driver } = await openPools();
  const local = 'berth/10.1.0.0-24' as PoolId;
  await assert.rejects(driver.requestPool(pool({ options: {} }), call), /handed on: requestPool/);
  await assert.rejects(driver.requestAddress({ pool: local, purpose: 'endpoint' }, call), /handed on: requestAddress/);
  await assert.rejects(driver.releaseAddress(local, parseAddress('10.1.0.2')!, call), /handed on: releaseAddress/);
  await assert.rejects(driver.releasePool(local, call), /handed on: releasePool/);
});

test('options that mean nothing here are refused', async () => {
  const { driver } = await openPools();
  const refused = async (more: Partial<RequestPool>) => driver.requestPool(pool(more), call);
  await assert.rejects(refused({ options: { dhcp: 'true', brigde: 'br0' } }), /'brigde' is not known/);
  await assert.rejects(refused({ range: parsePrefix('192.168.7.0/25')! }), /--ip-range/);
  await assert.rejects(refused({ family: 6 }), /IPv4/);
  await assert.rejects(refused({ options: { dhcp: 'true', bridge: 'br 0' } }), /not the name of an interface/);
});

test('the container that the engine names gets its address, and its endpoint has it', async () => {
  const stage = await openPools();
  await stage.engineHas(container('web'), container('db'));
  const asked = { pool: 'dhcp/br0' as PoolId, purpose: 'endpoint', name: 'db' } as const;
  const on = await stage.driver.requestAddress(asked, call);
  assert.equal(on.length, 24);
  assert.equal(stage.dhcp.leases()[0]!.identity, 'container db');
  // Nobody takes it away in between.
  await stage.learn();
  const request = { network: network.id, endpoint: id('e1'), addresses: [on], options: {}, publishes: false };
  const claimed = await stage.dhcp.claim({ ...network, options: {} }, request);
  assert.deepEqual(claimed!.addresses, [on]);
  assert.ok(stage.server.leased.has(claimed!.mac));
  stage.dhcp.settled(id('e1'));

  // A restarted engine asks again, and gets the same.
  assert.deepEqual(await stage.driver.requestAddress({ ...asked, address: on.address }, call), on);
});

test('an address that the user wants is asked for, and another one is not taken for it', async () => {
  const stage = await openPools();
  const wanted = parseAddress('192.168.7.99')!;
  const asked = { pool: 'dhcp/br0' as PoolId, purpose: 'endpoint', address: wanted, name: 'web' } as const;
  await assert.rejects(stage.driver.requestAddress(asked, call), { code: 'ADDRESS_TAKEN' });
  await stage.learn();
  await stage.heard();
  assert.equal(stage.server.leased.size, 0, 'it was given back');
  stage.server.next = 99;
  assert.equal(formatAddress((await stage.driver.requestAddress(asked, call)).address), '192.168.7.99');
});

test('an address that is released before it had an endpoint is given back', async () => {
  const stage = await openPools();
  const asked = { pool: 'dhcp/br0' as PoolId, purpose: 'endpoint' } as const;
  const { address } = await stage.driver.requestAddress(asked, call);
  await stage.driver.releaseAddress(asked.pool, address, call);
  await stage.learn();
  await stage.heard();
  assert.equal(stage.server.leased.size, 0);
});

test('a pool whose network is not there gives nothing', async () => {
  const { driver } = await openPools();
  const asked = { pool: 'dhcp/br7' as PoolId, purpose: 'endpoint' } as const;
  await assert.rejects(driver.requestAddress(asked, call), { code: 'NETWORK_UNKNOWN' });
});
