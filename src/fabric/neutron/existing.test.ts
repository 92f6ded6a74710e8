import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BerthError } from '../../model/errors.ts';
import { parsePrefix } from '../../model/prefix.ts';
import { existingSubnets } from './existing.ts';

const subnet = (id: string, cidr: string) => ({
  id,
  name: `name of ${id}`,
  network_id: 'n',
  cidr,
  ip_version: 4 as const,
});
const there = [subnet('s1', '10.0.1.0/24'), subnet('s2', '10.0.2.0/24')];
const pools = (...cidrs: string[]) => cidrs.map((cidr) => ({ subnet: parsePrefix(cidr)! }));
const ids = (...args: Parameters<typeof existingSubnets>) => existingSubnets(...args).map((found) => found?.id);
const refusal = (...args: Parameters<typeof existingSubnets>) => {
  try {
    existingSubnets(...args);
  } catch (error) {
    return error instanceof BerthError ? `${error.code} ${error.message}` : error;
  }
  return undefined;
};

describe('the subnets of a network that is there', () => {
  it('are those of the same CIDR, whatever is named', () => {
    assert.deepEqual(ids(pools('10.0.2.0/24', '10.0.3.0/24', '10.0.1.0/24'), there, { subnets: {} }), [
      's2',
      undefined,
      's1',
    ]);
    assert.deepEqual(ids(pools('10.0.3.0/24', '10.0.2.0/24'), there, { subnets: { 4: { uuid: 's2' } } }), [
      undefined,
      's2',
    ]);
  });

  it('must have the one that is named, and Docker its CIDR', () => {
    const other = pools('10.0.3.0/24');
    assert.match(String(refusal(other, there, { subnets: { 4: { uuid: 's9' } } })), /NEUTRON_NOT_FOUND .*s9/);
    assert.match(
      String(refusal(other, there, { subnets: { 4: { name: 'name of s1' } } })),
      /BAD_OPTION .*'name of s1' of Neutron is 10\.0\.1\.0\/24/,
    );
  });
});
