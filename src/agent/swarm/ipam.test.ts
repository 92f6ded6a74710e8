import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { Call, IpamDriver, RequestPool } from '../../docker/driver.ts';
import { type Ipam, openIpam } from '../../ipam/ipam.ts';
import { formatAddress, parseAddress } from '../../model/address.ts';
import type { PoolId } from '../../model/ids.ts';
import { parsePrefix } from '../../model/prefix.ts';
import { openSqliteStore } from '../../store/sqlite/store.ts';
import type { Store } from '../../store/store.ts';
import { holderOf } from '../granting.ts';
import { withSwarm } from './ipam.ts';
import { isSwarmPool, swarmSpaces } from './spaces.ts';

const subnet = parsePrefix('10.66.0.0/24')!;
const call: Call = { plugin: 'berth', signal: new AbortController().signal };
const asked: RequestPool[] = [];

describe('the IPAM of a swarm', () => {
  let store: Store;
  let ipam: Ipam;
  let folder: string;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-swarm-'));
    store = await openSqliteStore(join(folder, 'berth.db'));
    ipam = await openIpam(store);
    asked.length = 0;
  });
  afterEach(async () => {
    await store.close();
    rmSync(folder, { recursive: true });
  });

  const other = (): IpamDriver => ({
    addressSpaces: () => ({ local: 'berth', global: 'berth-global' }),
    async requestPool(request) {
      asked.push(request);
      const pool = await ipam.openPool({ ...request, taken: [], replay: false });
      return { id: pool.id, subnet: pool.subnet };
    },
    releasePool: (id) => ipam.releasePool(id),
    async requestAddress(request) {
      const { pool, address } = request;
      const wanted = address === undefined ? {} : { address };
      const lease = await ipam.lease({ pool, engine: 'any', ...holderOf(request), ...wanted });
      return { address: lease.address, length: 24 };
    },
    releaseAddress: (id, address) => ipam.release(id, address),
  });

  const plugins = new Map([['berth', { name: 'berth', fabric: 'cluster', scope: 'global' } as const]]);
  const node = (managed = true) => withSwarm(other(), { ipam, plugins, managed });
  const lead = async (driver: IpamDriver): Promise<PoolId> => {
    const { global } = driver.addressSpaces(call);
    return (await driver.requestPool({ space: global, subnet, family: 4, options: {} }, call)).id;
  };
  const request = async (driver: IpamDriver, pool: PoolId, address?: string): Promise<string> => {
    const wanted = address === undefined ? {} : { address: parseAddress(address)! };
    const { address: given } = await driver.requestAddress({ pool, purpose: 'endpoint', swarm: true, ...wanted }, call);
    return formatAddress(given);
  };
  const held = (pool: PoolId) =>
    ipam.leasesOf(pool).map(({ address, holder }) => `${formatAddress(address)} ${holder.kind}`);

  it('has spaces of its own, for managed plugins only', () => {
    assert.deepEqual(node().addressSpaces(call), swarmSpaces);
    assert.deepEqual(node(false).addressSpaces(call), { local: 'berth', global: 'berth-global' });
    assert.deepEqual([isSwarmPool({ space: swarmSpaces.global }), isSwarmPool({ space: 'berth' })], [true, false]);
  });

  it('gives addresses that no engine accounts for, and refuses a second container the same one', async () => {
    const leader = node();
    const pool = await lead(leader);
    assert.equal(await request(leader, pool), '10.66.0.1');
    assert.equal(await request(leader, pool, '10.66.0.9'), '10.66.0.9');
    await assert.rejects(request(leader, pool, '10.66.0.9'), { code: 'ADDRESS_TAKEN' });
    assert.deepEqual(held(pool), ['10.66.0.1 swarm', '10.66.0.9 swarm']);
  });

  it('grants a new leader what the one before was given, once, and frees what it does not ask for', async () => {
    const first = node();
    const pool = await lead(first);
    for (let n = 0; n < 3; n++) await request(first, pool);
    const second = node();
    assert.equal(await lead(second), pool);
    assert.equal(await request(second, pool, '10.66.0.1'), '10.66.0.1');
    await assert.rejects(request(second, pool, '10.66.0.1'), { code: 'ADDRESS_TAKEN' });
    assert.equal(await request(second, pool, '10.66.0.3'), '10.66.0.3');
    assert.equal(await request(second, pool), '10.66.0.2');
    assert.deepEqual(held(pool), ['10.66.0.1 swarm', '10.66.0.2 swarm', '10.66.0.3 swarm']);
    // From now on, the same address once more is somebody's second `--ip`.
    await assert.rejects(request(second, pool, '10.66.0.3'), { code: 'ADDRESS_TAKEN' });
    for (const n of [1, 2, 3]) await second.releaseAddress(pool, parseAddress(`10.66.0.${n}`)!, call);
    await second.releasePool(pool, call);
    assert.deepEqual([ipam.pools(), ipam.leases()], [[], []]);
  });

  it('keeps nothing of what a node asks for, and chooses nothing for it', async () => {
    const driver = node();
    const space = driver.addressSpaces(call).local;
    const { id } = await driver.requestPool({ space, subnet, family: 4, options: { network: 'web' } }, call);
    const given = await driver.requestAddress(
      { pool: id, purpose: 'endpoint', address: parseAddress('10.66.0.7')! },
      call,
    );
    assert.equal(`${formatAddress(given.address)}/${given.length}`, '10.66.0.7/24');
    await assert.rejects(driver.requestAddress({ pool: id, purpose: 'endpoint' }, call), { code: 'BAD_REQUEST' });
    await assert.rejects(
      driver.requestAddress({ pool: id, purpose: 'endpoint', address: parseAddress('10.67.0.7')! }, call),
      { code: 'ADDRESS_OUTSIDE' },
    );
    await assert.rejects(driver.requestPool({ space, family: 4, options: {} }, call), { code: 'BAD_REQUEST' });
    await driver.releaseAddress(id, parseAddress('10.66.0.7')!, call);
    await driver.releasePool(id, call);
    assert.deepEqual([asked, ipam.pools(), ipam.leases()], [[], [], []]);
  });
});
