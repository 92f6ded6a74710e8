import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress } from './address.ts';
import { macBytes, macFromAddress, macFromBytes, parseMac } from './mac.ts';

test('a MAC has one form, whatever it came as', () => {
  assert.equal(parseMac('02:42:AC:11:00:0a'), '02:42:ac:11:00:0a');
  assert.equal(parseMac('02-42-ac-11-00-0A'), '02:42:ac:11:00:0a');
  const mac = parseMac('02:42:ac:11:00:0a')!;
  assert.equal(macFromBytes(macBytes(mac)), mac);
});

test('what the kernel would refuse on a link is refused', () => {
  for (const text of [
    '',
    '02:42',
    '00:00:00:00:00:00',
    'ff:ff:ff:ff:ff:ff',
    '01:00:5e:00:00:01',
    '02:42:ac:11:00:0g',
    '02:42-ac:11:00:0a',
    '0242.ac11.000a',
  ]) {
    assert.equal(parseMac(text), undefined, text);
  }
});

test('the MAC follows from the address', () => {
  assert.equal(macFromAddress(parseAddress('172.17.0.10')!), '02:42:ac:11:00:0a');
  assert.equal(macFromAddress(parseAddress('fd00::ac11:a')!), '02:42:ac:11:00:0a');
});
