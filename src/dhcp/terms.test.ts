import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatAddress, parseAddress } from '../model/address.ts';
import { macFromBytes } from '../model/mac.ts';
import { formatPrefix } from '../model/prefix.ts';
import { code, type Message } from './message.ts';
import { readTerms } from './terms.ts';
import { answer, bytesOf, seconds } from './testing/server.ts';

const asked: Message = {
  op: 'request',
  transaction: 1,
  seconds: 0,
  broadcast: true,
  mac: macFromBytes(Uint8Array.of(2, 0, 0, 0, 0, 7)),
  options: new Map(),
};
type Options = Readonly<Record<number, Uint8Array | undefined>>;
const granted = (options: Options = {}, yours = '192.168.7.20') => readTerms(answer(asked, 'ack', { yours, options }));
const text = (value: string) => Buffer.from(value, 'latin1');

test('all that a host needs', () => {
  const terms = granted({
    [code.dns]: Uint8Array.of(...bytesOf('192.168.7.1'), ...bytesOf('9.9.9.9')),
    [code.domain]: text('lan.example\0'),
    [code.hostName]: text('web'),
    [code.mtu]: Uint8Array.of(5, 220),
    [code.searchList]: Uint8Array.of(3, ...text('lan'), 7, ...text('example'), 0, 4, ...text('shop'), 0xc0, 4),
  })!;
  assert.equal(formatPrefix(terms.address), '192.168.7.20/24');
  assert.equal(formatAddress(terms.gateway!), '192.168.7.1');
  assert.deepEqual(terms.dns.map(formatAddress), ['192.168.7.1', '9.9.9.9']);
  assert.deepEqual([terms.domain, terms.hostName, terms.mtu], ['lan.example', 'web', 1500]);
  assert.deepEqual(terms.search, ['lan.example', 'shop.example']);
  assert.deepEqual([terms.lease, terms.renew, terms.rebind], [3600, 1800, 3150]);
});

test('times that make no sense are replaced', () => {
  const times = (lease: number, renew?: number, rebind?: number) => {
    const terms = granted({
      [code.leaseTime]: seconds(lease),
      [code.renewalTime]: renew === undefined ? undefined : seconds(renew),
      [code.rebindingTime]: rebind === undefined ? undefined : seconds(rebind),
    })!;
    return [terms.lease, terms.renew, terms.rebind];
  };
  assert.deepEqual(times(1000, 10, 20), [1000, 10, 20]);
  assert.deepEqual(times(1000, 2000, 3000), [1000, 500, 875]);
  assert.deepEqual(times(1000, 900), [1000, 500, 875]);
  assert.deepEqual(times(1000, 0, 0), [1000, 500, 875]);
  assert.deepEqual(times(1000, 100, 50), [1000, 50, 50]);
  assert.deepEqual(times(0xffffffff), [Infinity, Infinity, Infinity]);
  assert.deepEqual(times(1), [10, 5, 8.75]);
});

test('classless routes stand in the place of the router', () => {
  const routes = Uint8Array.of(
    0,
    ...bytesOf('192.168.7.254'),
    24,
    10,
    1,
    2,
    ...bytesOf('192.168.7.2'),
    16,
    172,
    16,
    ...bytesOf('0.0.0.0'),
  );
  const terms = granted({ [code.classlessRoutes]: routes })!;
  assert.equal(formatAddress(terms.gateway!), '192.168.7.254');
  const shown = terms.routes.map(
    ({ destination, via }) => `${formatPrefix(destination)} ${via ? formatAddress(via) : 'link'}`,
  );
  assert.deepEqual(shown, ['10.1.2.0/24 192.168.7.2', '172.16.0.0/16 link']);
  assert.equal(
    granted({ [code.classlessRoutes]: Uint8Array.of(24, 10, 1, 2, ...bytesOf('192.168.7.2')) })!.gateway,
    undefined,
  );
  assert.equal(formatAddress(granted({ [code.classlessRoutesMicrosoft]: routes })!.gateway!), '192.168.7.254');
  // What cannot be read to its end is as if it were not there.
  assert.ok(granted({ [code.classlessRoutes]: routes.subarray(0, -1) })!.gateway);
  assert.ok(granted({ [code.classlessRoutes]: Uint8Array.of(33, 1, 2, 3, 4, 5, 1, 2, 3, 4) })!.gateway);
});

test('an address that no host may have is no offer', () => {
  for (const yours of ['127.0.0.1', '224.0.0.1', '255.255.255.255', '192.168.7.0', '192.168.7.255', '0.1.2.3'])
    assert.equal(granted({}, yours), undefined, yours);
  for (const missing of [code.server, code.leaseTime]) assert.equal(granted({ [missing]: undefined }), undefined);
});

test('a mask that is missing or has holes is the one of before CIDR', () => {
  for (const mask of [undefined, Uint8Array.of(255, 0, 255, 0), Uint8Array.of(0, 0, 0, 0), Uint8Array.of(255)]) {
    assert.equal(granted({ [code.subnetMask]: mask })?.address.length, 24);
    assert.equal(granted({ [code.subnetMask]: mask }, '10.1.2.3')?.address.length, 8);
    assert.equal(granted({ [code.subnetMask]: mask }, '172.16.0.1')?.address.length, 16);
  }
  assert.equal(granted({ [code.subnetMask]: Uint8Array.of(255, 255, 255, 255) })?.address.length, 32);
});

test('names and sizes that are none are left out', () => {
  assert.equal(granted({ [code.domain]: text('a b') })!.domain, undefined);
  assert.equal(granted({ [code.domain]: text('$(reboot)') })!.domain, undefined);
  assert.equal(granted({ [code.mtu]: Uint8Array.of(2, 64) })!.mtu, undefined);
  // A pointer forwards, or to itself, would never end.
  assert.deepEqual(granted({ [code.searchList]: Uint8Array.of(0xc0, 0) })!.search, []);
  assert.deepEqual(granted({ [code.searchList]: Uint8Array.of(0xc0, 2, 0xc0, 0) })!.search, []);
  assert.deepEqual(granted({ [code.dns]: Uint8Array.of(1, 2, 3) })!.dns, []);
  assert.deepEqual(parseAddress('0.0.0.0') && granted({ [code.router]: bytesOf('0.0.0.0') })!.gateway, undefined);
});
