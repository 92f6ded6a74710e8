import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { covers, formatPrefix, lastAddress, overlaps, type Prefix, parsePrefix } from '../model/prefix.ts';
import { chooseSubnet, defaultBases, type PoolBase, uniqueLocalBase } from './auto-pool.ts';

const prefix = (text: string) => parsePrefix(text)!;
const base = (text: string, length: number): PoolBase => ({ base: prefix(text), length });
const shown = (found: Prefix | undefined) => found && formatPrefix(found);

describe('an automatic subnet', () => {
  it('is the lowest that is free', () => {
    const bases = [base('10.1.0.0/16', 24)];
    assert.equal(shown(chooseSubnet(4, undefined, bases, [])), '10.1.0.0/24');
    assert.equal(shown(chooseSubnet(4, undefined, bases, [prefix('10.1.0.0/24')])), '10.1.1.0/24');
    assert.equal(shown(chooseSubnet(4, undefined, bases, [prefix('10.1.0.77/32')])), '10.1.1.0/24');
    assert.equal(shown(chooseSubnet(4, undefined, bases, [prefix('10.1.1.0/24')])), '10.1.0.0/24');
    assert.equal(shown(chooseSubnet(4, undefined, bases, [prefix('10.0.0.0/15')])), undefined);
  });

  it('goes on to the next base when one is full', () => {
    const bases = [base('10.1.0.0/24', 24), base('fd00::/64', 64), base('10.9.0.0/24', 24)];
    assert.equal(shown(chooseSubnet(4, undefined, bases, [prefix('10.1.0.0/16')])), '10.9.0.0/24');
    assert.equal(shown(chooseSubnet(6, undefined, bases, [])), 'fd00::/64');
    assert.equal(shown(chooseSubnet(4, undefined, bases, [prefix('10.0.0.0/8')])), undefined);
  });

  it('has the length that is wished for', () => {
    const bases = [base('10.1.0.0/16', 24)];
    assert.equal(shown(chooseSubnet(4, 26, bases, [prefix('10.1.0.0/26')])), '10.1.0.64/26');
    assert.equal(shown(chooseSubnet(4, 18, bases, [prefix('10.1.0.0/26')])), '10.1.64.0/18');
    assert.equal(shown(chooseSubnet(4, 12, bases, [])), undefined);
  });

  it('minds no default route, and every other', () => {
    const bases = [base('10.1.0.0/16', 24)];
    assert.equal(shown(chooseSubnet(4, undefined, bases, [prefix('0.0.0.0/0'), prefix('::/0')])), '10.1.0.0/24');
    assert.equal(shown(chooseSubnet(4, undefined, bases, [prefix('0.0.0.0/1')])), undefined);
    assert.equal(shown(chooseSubnet(4, undefined, bases, [prefix('128.0.0.0/1')])), '10.1.0.0/24');
  });

  it('works to the very end of the address space', () => {
    assert.equal(
      shown(chooseSubnet(4, undefined, [base('255.255.255.0/24', 25)], [prefix('255.255.255.0/25')])),
      '255.255.255.128/25',
    );
    const last = prefix('ffff:ffff:ffff:ffff::/64');
    assert.equal(chooseSubnet(6, undefined, [base('ffff:ffff:ffff:ffff::/64', 64)], [last]), undefined);
  });

  it('overlaps nothing, is never given twice, and is there as long as one is free', () => {
    const some = fc.tuple(fc.nat(0xffff), fc.integer({ min: 18, max: 32 })).map(([low, length]) =>
      prefix(
        formatPrefix({
          address: { family: 4, value: ((10n << 24n) | BigInt(low)) & ~((1n << BigInt(32 - length)) - 1n) },
          length,
        }),
      ),
    );
    fc.assert(
      fc.property(fc.array(some, { maxLength: 12 }), fc.integer({ min: 18, max: 24 }), (taken, length) => {
        const bases = [base('10.0.0.0/17', 24), base('10.0.192.0/18', 24)];
        const held = [...taken];
        const got: Prefix[] = [];
        for (;;) {
          const found = chooseSubnet(4, length, bases, held);
          if (found === undefined) break;
          assert.equal(found.length, length);
          assert.ok(bases.some((one) => covers(one.base, found)));
          for (const other of held) assert.ok(!overlaps(other, found));
          held.push(found);
          got.push(found);
        }
        // By going through all there are: none was missed.
        for (const one of bases) {
          for (
            let value = one.base.address.value;
            value <= lastAddress(one.base).value;
            value += 1n << BigInt(32 - length)
          ) {
            const candidate = { address: { family: 4 as const, value }, length };
            assert.ok(
              held.some((other) => overlaps(other, candidate)),
              formatPrefix(candidate),
            );
          }
        }
        assert.deepEqual(
          got,
          got.toSorted((a, b) => (a.address.value < b.address.value ? -1 : 1)),
        );
      }),
    );
  });
});

describe('the default bases', () => {
  it('stay clear of what Docker takes', () => {
    const docker = ['172.17.0.0/16', '172.18.0.0/15', '172.20.0.0/14', '172.24.0.0/13', '192.168.0.0/16', '10.0.0.0/9'];
    for (const one of defaultBases) for (const other of docker) assert.ok(!overlaps(one.base, prefix(other)), other);
  });

  it('have a unique local prefix that is always the same for a seed', () => {
    const one = uniqueLocalBase('machine');
    assert.deepEqual(one, uniqueLocalBase('machine'));
    assert.notDeepEqual(one, uniqueLocalBase('another'));
    assert.ok(covers(prefix('fd00::/8'), one.base));
    assert.deepEqual([one.base.length, one.length], [48, 64]);
    assert.deepEqual(parsePrefix(formatPrefix(one.base)), one.base);
  });
});
