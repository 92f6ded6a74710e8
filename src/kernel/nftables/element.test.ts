import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readElement, spell } from './element.ts';

test('a declared element and its listing are spelled alike', () => {
  for (const [declared, listed] of [
    ['"bt1"', 'bt1'],
    ['"bt1" . "bt2"', { concat: ['bt1', 'bt2'] }],
    ['10.1.0.0/24', { prefix: { addr: '10.1.0.0', len: 24 } }],
    ['10.1.0.5/32', '10.1.0.5'],
    ['FD00:0:0::/64', { prefix: { addr: 'fd00::', len: 64 } }],
    ['fd00::0001', 'fd00::1'],
    ['10.1.0.5 . 0x50', { concat: ['10.1.0.5', 80] }],
    ['10.2.0.0/24 . 100-200', { concat: [{ prefix: { addr: '10.2.0.0', len: 24 } }, { range: [100, 200] }] }],
    ['02:AA:00:00:00:01', '02:aa:00:00:00:01'],
    ['10.4.0.1 - 10.4.0.7', { range: ['10.4.0.1', '10.4.0.7'] }],
    ['"a-b"', 'a-b'],
    ['tcp', 'tcp'],
    ['10.1.0.5', { elem: { val: '10.1.0.5', comment: 'x' } }],
  ] as const) {
    assert.equal(spell(declared), readElement(listed).key, declared);
  }
});

test('map values: verdicts and plain values', () => {
  assert.deepEqual(readElement(['bt1', { jump: { target: 'guard' } }]), { key: 'bt1', value: spell('jump  guard') });
  assert.deepEqual(readElement(['bt1', { accept: null }]), { key: 'bt1', value: 'accept' });
  assert.deepEqual(readElement([{ concat: ['a', 'b'] }, 16]), { key: 'a . b', value: spell('0x10') });
});
