import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ClientRequest, clientOf } from './identity.ts';

const request: ClientRequest = { identity: 'container web', hostKey: 'this host', link: 'eth0', clientId: 'mac' };
const bytes = (more: Partial<ClientRequest>) => Buffer.from(clientOf({ ...request, ...more }).clientId).toString('hex');

test('the same container is the same client, on each host and link another one', () => {
  assert.deepEqual(clientOf(request), clientOf({ ...request }));
  const others = [{ hostKey: 'another' }, { link: 'eth1' }, { identity: 'container db' }] as const;
  const all = [request, ...others.map((other) => ({ ...request, ...other }))].map((one) => clientOf(one).mac);
  assert.equal(new Set(all).size, 4);
  for (const mac of all) assert.match(mac, /^02:/);
});

test('the client id: of the MAC, of the identity, or what the user gave', () => {
  const mac = clientOf(request).mac.replaceAll(':', '');
  assert.equal(bytes({}), `01${mac}`);
  assert.match(bytes({ clientId: 'identity' }), /^ff[0-9a-f]{8}0004[0-9a-f]{32}$/);
  assert.equal(bytes({ ownClientId: Uint8Array.of(0, 1, 2) }), '000102');
});

test('a name in a domain is a whole name; without a name there is none', () => {
  assert.equal(clientOf({ ...request, hostName: '/shop_web.1', domain: 'lan.example' }).fqdn, 'shop-web-1.lan.example');
  assert.equal(clientOf({ ...request, domain: 'lan.example' }).fqdn, undefined);
  assert.equal(clientOf({ ...request, hostName: 'web' }).fqdn, undefined);
});
