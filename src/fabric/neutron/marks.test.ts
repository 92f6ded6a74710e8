import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseAddress } from '../../model/address.ts';
import type { NetworkId, PoolId } from '../../model/ids.ts';
import { parsePrefix } from '../../model/prefix.ts';
import {
  existingMark,
  factMarks,
  isKuryrs,
  isUsedByOthers,
  kuryrMarks,
  kuryrPoolOn,
  marksOf,
  networkOfPool,
  onlyNetwork,
  poolMark,
  poolOn,
  readFacts,
  type SharedFacts,
  subnetMarks,
} from './marks.ts';

const id = `${'0123456789abcdef'.repeat(3)}fedcba9876543210` as NetworkId;
const other = 'b'.repeat(64) as NetworkId;
const swarm = 'k1q2w3e4r5t6z7u8i9o0p1a2s' as NetworkId;
const uuid = '5b9a4b6e-0b0a-4a39-8a5c-0d9b8f6f0f11';
const v6 = 'ffff:1111:2222:3333:4444:5555:6666:7777';
const pool = 'neutron-00112233445566ff/10.0.0.0-16/10.0.1.0-24' as PoolId;
const range = parsePrefix('10.0.1.0/24')!;

const facts: SharedFacts = {
  internal: true,
  mtu: 1400,
  interfacePrefix: 'abcdefghijkl',
  securityGroups: [uuid, uuid.replace('5', '6')],
  portSecurity: false,
  qosPolicy: uuid,
  router: uuid,
  floatingNetwork: uuid,
  publish: 'floating-ip',
  floatingIp: { id: uuid, address: '203.0.113.254' },
  gateways: [parseAddress('255.255.255.254')!, parseAddress(v6)!],
  auxiliary: [parseAddress('10.0.1.9')!],
};

describe('marks', () => {
  it('say of a network what the other hosts must know, and fit into what older Neutrons take', () => {
    for (const one of [facts, { internal: false, gateways: [], auxiliary: [], securityGroups: [] }]) {
      const tags = [...kuryrMarks(other), ...factMarks(other, { ...facts, mtu: 9000 }), ...factMarks(id, one)];
      assert.deepEqual(readFacts(id, tags), one);
      assert.deepEqual(
        [...tags, ...kuryrMarks(id), existingMark(id)].filter((tag) => tag.length > 60),
        [],
      );
    }
  });

  it('lead from a pool to the network, of several on the same', () => {
    const second = 'neutron-ffffffffffffffff/10.0.0.0-16' as PoolId;
    const subnet = [...subnetMarks(other, { id: second }), ...subnetMarks(id, { id: pool, range })];
    const network = [other, id].flatMap((one) => [...kuryrMarks(one), ...factMarks(one, facts)]);
    assert.ok(subnet.includes(poolMark(pool)!));
    assert.equal(networkOfPool(pool, subnet, network), id);
    assert.equal(networkOfPool(second, subnet, network), other);
    assert.equal(networkOfPool('neutron-0000000000000000/10.0.0.0-16' as PoolId, subnet, network), undefined);
    assert.deepEqual(poolOn(id, { cidr: '10.0.0.0/16', tags: subnet }), { id: pool, range });
    assert.deepEqual(poolOn(other, { cidr: '10.0.0.0/16', tags: subnet }), { id: second });
    assert.equal(networkOfPool(pool, subnetMarks(swarm, { id: pool }), kuryrMarks(swarm)), swarm);
  });

  it('of kuryr are read, too', () => {
    const [tags, kuryr] = [[...kuryrMarks(id), 'mine'], uuid as PoolId];
    assert.equal(onlyNetwork(tags), id);
    assert.equal(onlyNetwork([...tags, ...kuryrMarks(other)]), undefined);
    assert.equal(networkOfPool(kuryr, [uuid], tags), id);
    assert.deepEqual([poolMark(kuryr), poolMark('berth/10.0.0.0-16' as PoolId)], [uuid, undefined]);
    const another = uuid.replace('5', '6');
    assert.equal(kuryrPoolOn({ tags: ['x', another], subnetpool_id: uuid }), another);
    assert.equal(kuryrPoolOn({ tags: [another, uuid], subnetpool_id: uuid }), uuid);
    assert.deepEqual([kuryrPoolOn({ subnetpool_id: uuid }), kuryrPoolOn({ tags: ['x'] })], [uuid, undefined]);
    assert.equal(poolOn(id, { cidr: '10.0.0.0/16', tags: [uuid] }), undefined);
    const [name, nameless] = ['n', kuryrMarks(id)];
    assert.deepEqual(
      [{ name: id }, { name, tags: nameless }, { name, tags: [...nameless, ...factMarks(id, facts)] }, { name }].map(
        (network) => isKuryrs(id, network),
      ),
      [true, true, false, false],
    );
  });

  it('are all found again, and nobody else’s', () => {
    const mine = [...kuryrMarks(id), existingMark(id), ...factMarks(id, facts), `berth:h1:${id.slice(0, 12)}`];
    const others = [...kuryrMarks(other), existingMark(other), ...factMarks(other, facts), 'mine', 'berth-pool:1'];
    const found = marksOf(id, [...mine, ...others]);
    assert.deepEqual(found.toSorted(), mine.toSorted());
    const subnet = subnetMarks(id, { id: pool, range });
    assert.deepEqual(marksOf(id, [...subnet, ...others]), subnet);
  });

  it('tell whether others use a network', () => {
    const mine = [...kuryrMarks(id), existingMark(id), ...factMarks(id, facts), `berth:h1:${id.slice(0, 12)}`];
    assert.equal(isUsedByOthers([...mine, 'production'], id), false);
    for (const one of [`berth:h2:${other.slice(0, 12)}`, existingMark(other), kuryrMarks(other)[0]!])
      assert.equal(isUsedByOthers([...mine, one], id), true, one);
  });
});
