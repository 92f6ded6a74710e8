import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostFiles } from './fixture.ts';
import { linkResolver, resolverCommands } from './resolver.ts';

const running = { 'run/systemd/resolve/resolv.conf': '# This is …\nnameserver 192.168.1.1\n' };

test('servers of an interface as resolvectl or NetworkManager set them', async (t) => {
  const root = hostFiles(t, {
    ...running,
    'run/systemd/resolve/netif/3':
      '# This is private data. Do not parse.\nLLMNR=yes\nSERVERS=192.168.1.1 fd00::53\nDOMAINS=lan ~corp.example\n',
    'run/systemd/netif/links/3': 'DNS=10.0.0.1\nDOMAINS=other\n',
  });
  const found = await linkResolver(3, root);
  assert.deepEqual(found, { servers: ['192.168.1.1', 'fd00::53'], domains: ['lan', '~corp.example'] });
  assert.deepEqual(resolverCommands('br-eth0', found!), [
    ['dns', 'br-eth0', '192.168.1.1', 'fd00::53'],
    ['domain', 'br-eth0', 'lan', '~corp.example'],
  ]);
});

test('servers of an interface as systemd-networkd has them', async (t) => {
  const root = hostFiles(t, {
    ...running,
    'run/systemd/netif/links/3': 'ADMIN_STATE=configured\nDNS=10.0.0.1 10.0.0.2\nDOMAINS=\nROUTE_DOMAINS=corp\n',
  });
  assert.deepEqual(await linkResolver(3, root), { servers: ['10.0.0.1', '10.0.0.2'], domains: ['~corp'] });
  assert.equal(await linkResolver(4, root), undefined);
});

test('where systemd-resolved does not run, nothing belongs to an interface', async (t) => {
  const root = hostFiles(t, { 'run/systemd/netif/links/3': 'DNS=10.0.0.1\n' });
  assert.equal(await linkResolver(3, root), undefined);
  assert.deepEqual(resolverCommands('br0', { servers: [], domains: [] }), []);
});
