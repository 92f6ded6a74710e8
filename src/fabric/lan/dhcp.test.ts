import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatAddress } from '../../model/address.ts';
import type { NetworkId } from '../../model/ids.ts';
import type { Network } from '../../model/network.ts';
import type { NetworkRequest } from '../fabric.ts';
import { checkDhcp, checkDhcpEndpoint, readDhcp } from './dhcp.ts';

const request = { subnets: [] } as unknown as NetworkRequest;
const refused = (given: Record<string, string>, says: RegExp) =>
  assert.throws(() => checkDhcp(new Map(Object.entries(given)), request), { code: 'BAD_OPTION', message: says });
const wish = (options: Record<string, string>, own: Record<string, string> = {}) =>
  readDhcp({ id: 'n' as NetworkId, options: { dhcp: 'true', ...options } } as unknown as Network, { options: own })!;

test('what is not told is left to the server', () => {
  assert.deepEqual(wish({}), { clientId: 'mac', ipv4: 'dhcp', ipv6: 'none' });
});

test('a domain and a time for all containers of a network', () => {
  assert.equal(wish({ dhcp_domain: 'lan.example.' }).domain, 'lan.example');
  assert.equal(wish({ dhcp_lease_time: '600' }).leaseTime, 600);
  for (const domain of ['', '.', '-a', 'a..b', 'a_b', `${'a'.repeat(64)}.b`])
    refused({ dhcp: 'true', dhcp_domain: domain }, /'dhcp_domain' is the name of a domain/);
  refused({ dhcp: 'true', dhcp_lease_time: '59' }, /dhcp_lease_time/);
  refused({ dhcp_domain: 'lan' }, /goes with 'dhcp'/);
});

test('an address and a client id for one container', () => {
  assert.equal(formatAddress(wish({}, { ip: '192.168.7.9' }).address!), '192.168.7.9');
  const id = (text: string) => Buffer.from(wish({}, { client_id: text }).ownClientId!).toString('hex');
  assert.equal(id('db'), '006462', 'type 0: no hardware address');
  assert.equal(id('01:52:54:00:12:34:56'), '01525400123456');
  for (const own of [{ ip: 'fd00::1' }, { ip: '1.2.3' }, { client_id: 'a b' }])
    assert.throws(() => checkDhcpEndpoint(own), { code: 'BAD_OPTION' });
  assert.deepEqual(checkDhcpEndpoint({ ip: '192.168.7.9', mtu: '1400' }), { mtu: '1400' });
});
