import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatAddress } from '../model/address.ts';
import { parsePrefix } from '../model/prefix.ts';
import { allocatable, checkRange, checkSubnet } from './subnet-rules.ts';

const prefix = (text: string) => parsePrefix(text)!;
const bad = { code: 'BAD_SUBNET' };

describe('a subnet', () => {
  it('is refused when nothing can be numbered from it', () => {
    const refused = [
      '0.0.0.0/0',
      '0.0.0.0/8',
      '0.0.1.0/24',
      '10.0.0.0/7',
      '127.0.0.0/8',
      '127.1.2.0/24',
      '224.0.0.0/24',
      '239.255.0.0/16',
      '255.255.255.0/24',
      '10.0.0.1/32',
      '64.0.0.0/2',
      '::/0',
      '::/64',
      '::/96',
      '::/127',
      'fe80::/64',
      'fe80::/10',
      'febf::/16',
      'ff02::/64',
      'fd00::1/128',
      'fc00::/7',
      '2000::/3',
      'fe00::/15',
    ];
    for (const text of refused) assert.throws(() => checkSubnet(prefix(text)), bad, text);
    const mapped = { address: { family: 6 as const, value: 0xffff_0a00_0000n }, length: 112 };
    assert.throws(() => checkSubnet(mapped), bad);
  });

  it('is accepted otherwise', () => {
    const accepted = ['10.0.0.0/8', '10.1.2.0/24', '10.1.2.0/31', '169.254.1.0/24', '100.64.0.0/10', '240.0.0.0/24'];
    accepted.push('fd00::/16', 'fd00::/64', 'fd00::/127', '2001:db8::/32', '::1:0:0:0/80');
    for (const text of accepted) checkSubnet(prefix(text));
  });

  it('says what is wrong in one sentence that names it', () => {
    assert.throws(
      () => checkSubnet(prefix('127.1.2.0/24')),
      /^BerthError: the subnet 127\.1\.2\.0\/24 contains loopback addresses$/,
    );
    assert.throws(() => checkSubnet(prefix('0.0.0.0/0')), /the subnet 0\.0\.0\.0\/0 is too large/);
    assert.throws(() => checkSubnet(prefix('fd00::1/128')), /the subnet fd00::1\/128 is too small/);
  });
});

describe('a range', () => {
  const hosts = (subnet: string, range?: string) => {
    const of = prefix(subnet);
    const { first, last } = allocatable(of, range === undefined ? undefined : prefix(range));
    return [first, last].map((value) => formatAddress({ family: of.address.family, value })).join(' ');
  };

  it('leaves out what is not for hosts of the subnet', () => {
    assert.equal(hosts('10.0.0.0/24'), '10.0.0.1 10.0.0.254');
    assert.equal(hosts('10.0.0.0/24', '10.0.0.0/25'), '10.0.0.1 10.0.0.127');
    assert.equal(hosts('10.0.0.0/24', '10.0.0.128/25'), '10.0.0.128 10.0.0.254');
    assert.equal(hosts('10.0.0.0/24', '10.0.0.64/26'), '10.0.0.64 10.0.0.127');
    assert.equal(hosts('10.0.0.0/31'), '10.0.0.0 10.0.0.1');
    assert.equal(hosts('fd00::/64'), 'fd00::1 fd00::ffff:ffff:ffff:ffff');
    assert.equal(hosts('fd00::/64', 'fd00::ff00/120'), 'fd00::ff00 fd00::ffff');
  });

  it('must lie in the subnet and have an address for a host', () => {
    const subnet = prefix('10.0.0.0/24');
    for (const text of ['10.0.1.0/25', '10.0.0.0/23', 'fd00::/120', '10.0.0.0/32', '10.0.0.255/32']) {
      assert.throws(() => checkRange(subnet, prefix(text)), bad, text);
    }
    for (const text of ['10.0.0.0/24', '10.0.0.7/32', '10.0.0.128/25']) checkRange(subnet, prefix(text));
  });
});
