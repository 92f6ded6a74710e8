import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatAddress } from '../model/address.ts';
import { BerthError } from '../model/errors.ts';
import { readAttachRequest } from './attach-request.ts';

const refuses = (body: unknown, code: string, words: RegExp) =>
  assert.throws(
    () => readAttachRequest(body),
    (error) => error instanceof BerthError && error.code === code && words.test(error.message),
  );

test('addresses with lengths, as pipework writes them with a gateway, and without a length', () => {
  const { addresses, gateways, mac } = readAttachRequest({
    container: 'web',
    addresses: ['192.168.4.25/20@192.168.4.1', 'fd00::5'],
    mac: '0A-00-27-00-00-05',
  });
  assert.deepEqual(
    addresses.map(({ address, length }) => [formatAddress(address), length]),
    [
      ['192.168.4.25', 20],
      ['fd00::5', undefined],
    ],
  );
  assert.deepEqual(gateways.map(formatAddress), ['192.168.4.1']);
  assert.equal(mac, '0a:00:27:00:00:05');
});

test('the same request has the same text, however it is written', () => {
  const one = { container: 'web', addresses: ['10.0.0.5/24'], options: { bridge: 'br0', mtu: '1400' } };
  const other = { options: { mtu: '1400', bridge: 'br0' }, addresses: ['10.0.0.5/24'], container: '0123', keep: false };
  const different = { ...one, addresses: ['10.0.0.5/25'] };
  assert.equal(readAttachRequest(one).canonical, readAttachRequest(other).canonical);
  assert.notEqual(readAttachRequest(one).canonical, readAttachRequest(different).canonical);
});

test('what cannot be understood is refused', () => {
  refuses({}, 'BAD_REQUEST', /container/);
  refuses({ container: 'web', adress: [] }, 'BAD_REQUEST', /adress/);
  refuses({ container: 'web', addresses: ['10.0.0.5/33'] }, 'BAD_ADDRESS', /'10\.0\.0\.5\/33' is not an address/);
  refuses({ container: 'web', addresses: ['10.0.0.5/24@x'] }, 'BAD_ADDRESS', /is not an address/);
  refuses({ container: 'web', addresses: ['10.0.0.5/24', '10.0.1.5/24'] }, 'BAD_ADDRESS', /two IPv4 addresses/);
  refuses({ container: 'web', gateways: ['10.0.0.1', '10.0.0.2'] }, 'BAD_ADDRESS', /two IPv4 gateways/);
  refuses({ container: 'web', gateways: ['nowhere\n'] }, 'BAD_ADDRESS', /the gateway 'nowhere\?'/);
  refuses({ container: 'web', addresses: ['10.0.0.5/24'], noAddress: true }, 'BAD_OPTION', /none is wanted/);
  refuses({ container: 'web', mac: 'ff:ff:ff:ff:ff:ff' }, 'BAD_ADDRESS', /MAC address of an interface/);
  refuses({ container: 'web', interface: '../x' }, 'BAD_OPTION', /'\.\.\/x' cannot be the name/);
});
