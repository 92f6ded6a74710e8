import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostFiles } from './fixture.ts';
import { addressGeneration, differingSettings, settingSteps } from './settings.ts';

test('settings are told apart from those of a new interface, and said of another', async (t) => {
  const root = hostFiles(t, {
    'proc/sys/net/ipv4/conf/default/rp_filter': '0\n',
    'proc/sys/net/ipv4/conf/default/arp_ignore': '0\n',
    'proc/sys/net/ipv4/conf/default/mc_forwarding': '0\n',
    'proc/sys/net/ipv4/conf/eth0.5/rp_filter': '2\n',
    'proc/sys/net/ipv4/conf/eth0.5/arp_ignore': '0\n',
    'proc/sys/net/ipv4/conf/eth0.5/mc_forwarding': '1\n',
    'proc/sys/net/ipv6/conf/default/accept_ra': '1\n',
    'proc/sys/net/ipv6/conf/default/mtu': '1280\n',
    'proc/sys/net/ipv6/conf/eth0.5/accept_ra': '2\n',
    'proc/sys/net/ipv6/conf/eth0.5/mtu': '1500\n',
    'proc/sys/net/ipv6/conf/eth0.5/addr_gen_mode': '3\n',
    'proc/sys/net/ipv6/conf/eth0.5/only_of_this_one': '3\n',
    'proc/sys/net/ipv4/neigh/default/mcast_solicit': '3\n',
    'proc/sys/net/ipv4/neigh/eth0.5/mcast_solicit': '9\n',
  });
  const found = await differingSettings('eth0.5', root);
  assert.deepEqual(found, {
    'ipv4/conf/NAME/rp_filter': '2',
    'ipv6/conf/NAME/accept_ra': '2',
    'ipv4/neigh/NAME/mcast_solicit': '9',
  });
  assert.deepEqual(
    settingSteps(found, 'br0').map((step) => 'make' in step && step.make.kind === 'sysctl' && step.make.path),
    ['net/ipv4/conf/br0/rp_filter', 'net/ipv4/neigh/br0/mcast_solicit', 'net/ipv6/conf/br0/accept_ra'],
  );
  assert.equal(await addressGeneration('eth0.5', root), '3');
  assert.equal(await addressGeneration('eth1', root), undefined);
  assert.deepEqual(await differingSettings('eth1', root), {});
});
