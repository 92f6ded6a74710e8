import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClusterEndpoint } from '../../objects/codec.ts';
import { withoutPast } from './remotes.ts';

const endpoint = (host: string, last: number, more: Partial<ClusterEndpoint> = {}): ClusterEndpoint => ({
  id: `${host} ${last}`,
  network: 'default:web',
  host,
  addresses: [`10.1.1.${last}`],
  mac: `02:02:0a:01:01:0${last}`,
  ...more,
});

test('of two hosts that say that they have an address, the one that said it last has it', () => {
  const [old, other, fresh] = [endpoint('h1', 1), endpoint('h2', 2), endpoint('h3', 1)];
  assert.deepEqual(withoutPast([old, other, fresh]), [other, fresh]);
  assert.deepEqual(withoutPast([fresh, other, old]), [other, old]);
  const chosen = endpoint('h3', 1, { mac: '02:00:00:00:00:77' });
  assert.deepEqual(withoutPast([old, other, chosen]), [other, chosen]);
});

test('without such a case it is what it was', () => {
  const all = [endpoint('h1', 1), endpoint('h2', 2)];
  assert.equal(withoutPast(all), all);
});
