import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostFiles } from '../fixture.ts';
import { globMatches, type ManagedNic } from './manager.ts';
import { findManagers } from './managers.ts';

const nic: ManagedNic = { name: 'eth0', index: 2, mac: '02:00:00:00:00:01' };
const process = (id: number, name: string, ...words: string[]): Record<string, string> => ({
  [`proc/${id}/comm`]: `${name.slice(0, 15)}\n`,
  [`proc/${id}/cmdline`]: `${[`/usr/sbin/${name}`, ...words].join('\0')}\0`,
});
const networkd = process(300, 'systemd-networkd');
const networkFile = '[Match]\nName=eth*\n\n# the office\n[Network]\nDHCP=yes\nDNS=10.0.0.1\n\n[DHCPv4]\nUseMTU=yes\n';

test('a host on which nothing manages the card', async (t) => {
  const root = hostFiles(t, { ...process(1, 'init'), 'proc/2/comm': 'kthreadd\n', 'proc/2/cmdline': '' });
  assert.deepEqual(await findManagers(nic, 'br-eth0', root), []);
});

test('systemd-networkd by its state file, with the files that make the bridge permanent', async (t) => {
  const root = hostFiles(t, {
    ...networkd,
    'run/systemd/netif/links/2': 'ADMIN_STATE=configured\nNETWORK_FILE=/etc/systemd/network/10-office.network\n',
    'etc/systemd/network/10-office.network': networkFile,
  });
  const [manager, ...others] = await findManagers(nic, 'br-eth0', root);
  assert.deepEqual(others, []);
  assert.equal(manager!.found, 'systemd-networkd runs and manages eth0 by /etc/systemd/network/10-office.network');
  assert.equal(manager!.fights, 'later');
  assert.equal(
    manager!.fix,
    "mkdir -p /etc/systemd/network/10-office.network.d && printf '[Network]\\nKeepMaster=yes\\n' > /etc/systemd/network/10-office.network.d/berth.conf && networkctl reload",
  );
  assert.deepEqual(manager!.files, [
    {
      path: '/etc/systemd/network/05-br-eth0.netdev',
      content:
        '[NetDev]\nName=br-eth0\nKind=bridge\nMACAddress=02:00:00:00:00:01\n\n[Bridge]\nSTP=no\nForwardDelaySec=0\n',
    },
    {
      path: '/etc/systemd/network/05-eth0.network',
      content: '[Match]\nName=eth0\n\n[Network]\nBridge=br-eth0\nLinkLocalAddressing=no\n',
    },
    {
      path: '/etc/systemd/network/05-br-eth0.network',
      content: '[Match]\nName=br-eth0\n\n[Network]\nDHCP=yes\nDNS=10.0.0.1\n\n[DHCPv4]\nUseMTU=yes\n',
    },
  ]);
});

test('systemd-networkd by the first file that matches, and what it is told in drop-ins', async (t) => {
  const files = {
    ...networkd,
    'etc/systemd/network/20-other.network': '[Match]\nName=wlan0\n',
    'usr/lib/systemd/network/30-all.network': networkFile,
    'usr/lib/systemd/network/99-default.network': '[Match]\nName=*\n',
  };
  const [fights] = await findManagers(nic, 'br-eth0', hostFiles(t, files));
  assert.equal(fights!.found, 'systemd-networkd runs and manages eth0 by /usr/lib/systemd/network/30-all.network');
  assert.equal(fights!.fights, 'later');
  const [told] = await findManagers(
    nic,
    'br-eth0',
    hostFiles(t, { ...files, 'etc/systemd/network/30-all.network.d/berth.conf': '[Network]\nKeepMaster=yes\n' }),
  );
  assert.equal(told!.fights, 'never');
  const [bridged] = await findManagers(
    nic,
    'br-eth0',
    hostFiles(t, { ...files, 'etc/systemd/network/10-a.network': '[Match]\nName=eth0\n[Network]\nBridge=br-eth0\n' }),
  );
  assert.match(bridged!.then, /use -o bridge=br-eth0/);
  const off = { 'run/systemd/netif/links/2': 'ADMIN_STATE=unmanaged\n' };
  assert.deepEqual(await findManagers(nic, 'br-eth0', hostFiles(t, { ...files, ...off })), []);
});

test('NetworkManager that manages the card is refused unless somebody is there to confirm', async (t) => {
  const root = hostFiles(t, {
    ...process(400, 'NetworkManager', '--no-daemon'),
    'run/NetworkManager/devices/2': '[device]\nmanaged=true\nconnection-uuid=7-7\n',
    'etc/NetworkManager/system-connections/a.nmconnection': '[connection]\nid=a\nuuid=1-1\n',
    'etc/NetworkManager/system-connections/office.nmconnection':
      '[connection]\nid=office\nuuid=7-7\n\n[ipv4]\nmethod=manual\naddress1=192.168.1.2/24,192.168.1.1\n\n[ipv6]\nmethod=ignore\n',
  });
  const [manager] = await findManagers(nic, 'br-eth0', root);
  assert.equal(manager!.fights, 'at once');
  assert.match(manager!.found, /manages eth0 by \/etc\/NetworkManager\/system-connections\/office\.nmconnection$/);
  assert.deepEqual(manager!.files, [
    {
      path: '/etc/NetworkManager/system-connections/br-eth0.nmconnection',
      content:
        '[connection]\nid=br-eth0\ntype=bridge\ninterface-name=br-eth0\n\n[bridge]\nmac-address=02:00:00:00:00:01\nstp=false\n\n[ipv4]\nmethod=manual\naddress1=192.168.1.2/24,192.168.1.1\n\n[ipv6]\nmethod=ignore\n',
    },
    {
      path: '/etc/NetworkManager/system-connections/br-eth0-eth0.nmconnection',
      content:
        '[connection]\nid=br-eth0-eth0\ntype=ethernet\ninterface-name=eth0\nmaster=br-eth0\nslave-type=bridge\nautoconnect-priority=100\n',
    },
  ]);
});

test('NetworkManager that leaves the card alone', async (t) => {
  const running = process(400, 'NetworkManager');
  for (const [file, text] of [
    ['etc/NetworkManager/conf.d/berth.conf', '[keyfile]\nunmanaged-devices+=interface-name:eth*\n'],
    ['etc/NetworkManager/NetworkManager.conf', '[keyfile]\nunmanaged-devices=mac:02:00:00:00:00:01;interface-name:x\n'],
    ['usr/lib/NetworkManager/conf.d/10.conf', '[device-x]\nmatch-device=interface-name:eth0\nmanaged=0\n'],
    ['run/NetworkManager/devices/2', '[device]\nmanaged=false\n'],
  ] as const) {
    const [manager] = await findManagers(nic, 'br-eth0', hostFiles(t, { ...running, [file]: text }));
    assert.equal(manager!.fights, 'never', file);
  }
  const except = { 'etc/NetworkManager/conf.d/a.conf': '[keyfile]\nunmanaged-devices=*,except:interface-name:eth0\n' };
  const [manager] = await findManagers(nic, 'br-eth0', hostFiles(t, { ...running, ...except }));
  assert.equal(manager!.fights, 'at once');
});

test('ifupdown, in a file that is included', async (t) => {
  const root = hostFiles(t, {
    'etc/network/interfaces': 'auto lo\niface lo inet loopback\nsource interfaces.d/*\n',
    'etc/network/interfaces.d/office':
      'auto eth0\nallow-hotplug eth0\niface eth0 inet static\n    address 192.168.1.2/24\n    gateway 192.168.1.1\niface eth0 inet6 auto\n',
  });
  const [manager] = await findManagers(nic, 'br-eth0', root);
  assert.equal(manager!.found, '/etc/network/interfaces.d/office configures eth0');
  assert.equal(manager!.fights, 'at boot');
  assert.deepEqual(manager!.files, [
    {
      path: '/etc/network/interfaces.d/office',
      content: `auto br-eth0
allow-hotplug br-eth0
iface eth0 inet manual

iface br-eth0 inet static
    bridge_ports eth0
    bridge_stp off
    bridge_fd 0
    bridge_hw 02:00:00:00:00:01
    address 192.168.1.2/24
    gateway 192.168.1.1
iface br-eth0 inet6 auto
`,
    },
  ]);
  const manual = hostFiles(t, { 'etc/network/interfaces': 'iface eth0 inet manual\niface eth01 inet dhcp\n' });
  assert.deepEqual(await findManagers(nic, 'br-eth0', manual), []);
});

test('netplan, whose file is the one to change though systemd-networkd does the work', async (t) => {
  const root = hostFiles(t, {
    ...networkd,
    'run/systemd/netif/links/2': 'ADMIN_STATE=configured\nNETWORK_FILE=/run/systemd/network/10-netplan-eth0.network\n',
    'run/systemd/network/10-netplan-eth0.network': '[Match]\nName=eth0\n[Network]\nDHCP=ipv4\n',
    'etc/netplan/50-cloud-init.yaml': `network:
  version: 2
  ethernets:
    eth0:
      match:
        macaddress: 02:00:00:00:00:01
      set-name: eth0
      addresses:
        - 192.168.1.2/24
      routes:
        - to: default
          via: 192.168.1.1
    eth1:
      dhcp4: true
`,
  });
  const managers = await findManagers(nic, 'br-eth0', root);
  assert.deepEqual(
    managers.map(({ name, fights, files }) => [name, fights, files.length]),
    [
      ['systemd-networkd', 'later', 0],
      ['netplan', 'at boot', 2],
    ],
  );
  assert.equal(
    managers[1]!.files[0]!.content,
    `network:
  version: 2
  ethernets:
    eth0:
      match:
        macaddress: 02:00:00:00:00:01
      set-name: eth0
    eth1:
      dhcp4: true
  bridges:
    br-eth0:
      interfaces: [eth0]
      macaddress: 02:00:00:00:00:01
      parameters:
        stp: false
        forward-delay: 0
      addresses:
        - 192.168.1.2/24
      routes:
        - to: default
          via: 192.168.1.1
`,
  );
});

test('cloud-init, which would write its file anew, is told not to', async (t) => {
  const file = '/etc/cloud/cloud.cfg.d/99-disable-network-config.cfg';
  const of = async (files: Record<string, string>) =>
    (await findManagers(nic, 'br-eth0', hostFiles(t, files)))
      .flatMap((manager) => manager.files)
      .map(({ path }) => path);
  const netplan = 'network:\n  ethernets:\n    eth0:\n      dhcp4: true\n';
  assert.deepEqual(await of({ 'etc/netplan/01-own.yaml': netplan }), ['/etc/netplan/01-own.yaml']);
  const [own, off] = await of({ 'etc/netplan/50-cloud-init.yaml': netplan });
  assert.deepEqual([own, off], ['/etc/netplan/50-cloud-init.yaml', file]);
  assert.deepEqual(await of({ 'etc/netplan/50-cloud-init.yaml': netplan, [file.slice(1)]: '' }), [own]);
  const header = '# This file is generated from information provided by the datasource, by cloud-init\n';
  const interfaces = { 'etc/network/interfaces': `${header}auto eth0\niface eth0 inet dhcp\n` };
  assert.deepEqual(await of(interfaces), ['/etc/network/interfaces', file]);
});

test('DHCP clients: those that look on, and those that would ask again at once', async (t) => {
  const found = async (...program: [string, ...string[]]) =>
    (await findManagers(nic, 'br-eth0', hostFiles(t, process(500, ...program)))).map(({ fights }) => fights);
  assert.deepEqual(await found('dhclient', '-4', '-v', '-pf', '/run/dhclient.eth0.pid', 'eth0'), ['never']);
  assert.deepEqual(await found('dhclient', 'eth1'), []);
  assert.deepEqual(await found('udhcpc', '-i', 'eth0'), ['never']);
  assert.deepEqual(await found('dhcpcd', '-q', '-b'), ['at once']);
  assert.deepEqual(await found('dhcpcd', 'eth1'), []);
  assert.deepEqual(await found('dhcpcd', 'eth0'), ['at once']);
  assert.deepEqual(await found('connmand', '-n'), ['at once']);
});

test('patterns of names', () => {
  assert.ok(globMatches('en*', 'enp3s0'));
  assert.ok(globMatches('eth[0-3]', 'eth2') && !globMatches('eth[0-3]', 'eth4') && globMatches('eth[!0]', 'eth4'));
  assert.ok(!globMatches('eth', 'eth0') && globMatches('eth?', 'eth0') && !globMatches('e.h0', 'eth0'));
});
