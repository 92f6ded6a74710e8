import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { parseAddress } from '../../model/address.ts';
import { parsePrefix } from '../../model/prefix.ts';
import { describeObject, Refusal, refusalAsError } from './errors.ts';

const { EBUSY, EEXIST, EINVAL, ENODEV, ENOENT, ENOBUFS, EOPNOTSUPP } = constants.errno;

test('a refusal is one sentence: what, and what the kernel says', () => {
  const error = refusalAsError(new Refusal(EINVAL, 'Invalid master device'), 'make', 'the veth bv1234');
  assert.equal(error.message, "cannot make the veth bv1234: the kernel says 'Invalid master device' (EINVAL)");
  assert.equal(error.code, 'KERNEL_REFUSED');
});

test('without a sentence of the kernel, the number is put in words', () => {
  assert.equal(
    refusalAsError(new Refusal(EBUSY), 'remove', 'the bridge br0').message,
    "cannot remove the bridge br0: the kernel says 'busy' (EBUSY)",
  );
  assert.equal(
    refusalAsError(new Refusal(EOPNOTSUPP), 'make', 'the vlan eth0.5').message,
    "cannot make the vlan eth0.5: the kernel says 'not supported' (EOPNOTSUPP)",
  );
});

test('a full bridge is named as such', () => {
  assert.equal(
    refusalAsError(new Refusal(54), 'make', 'the veth bv1').message,
    "cannot make the veth bv1: the kernel says 'a bridge has at most 1023 ports' (EXFULL)",
  );
});

test('the code says what a user can do about it', () => {
  const code = (errno: number, reason?: string) => refusalAsError(new Refusal(errno, reason), 'make', 'it').code;
  assert.equal(code(ENODEV), 'INTERFACE_UNKNOWN');
  assert.equal(code(EOPNOTSUPP, 'Unknown device type'), 'KERNEL_LACKS');
  assert.equal(code(ENOENT, 'Specified qdisc kind is unknown'), 'KERNEL_LACKS');
  assert.equal(code(ENOENT, 'Parent Qdisc does not exist'), 'KERNEL_REFUSED');
  assert.equal(code(ENOBUFS), 'KERNEL_BUSY');
  assert.equal(code(EEXIST), 'KERNEL_REFUSED');
});

test('objects are named as a user would', () => {
  const via = parseAddress('10.1.0.9')!;
  assert.equal(
    describeObject({ kind: 'route', destination: parsePrefix('10.9.0.0/16')!, link: 'br0', via }),
    'the route to 10.9.0.0/16 via 10.1.0.9 on br0',
  );
  assert.equal(
    describeObject({ kind: 'link', type: 'adopted', name: 'eth0', netns: '/run/netns/x' }),
    'the interface eth0 in the network namespace /run/netns/x',
  );
  assert.equal(describeObject({ kind: 'rule', family: 6, priority: 7, table: 1 }), 'the IPv6 routing rule 7');
});
