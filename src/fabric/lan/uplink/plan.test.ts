import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HostLink, HostView } from '../../../kernel/kernel.ts';
import type { Mac } from '../../../model/mac.ts';
import type { FabricContext } from '../../fabric.ts';
import { checkRisks } from './check.ts';
import { connectionsTo } from './connections.ts';
import { hostFiles } from './fixture.ts';
import { joinedGroups } from './multicast.ts';
import { legacyRulesNaming, rulesNaming } from './packet-filter.ts';
import { type PlanFacts, risksOf } from './risks.ts';

const nic: HostLink = {
  index: 2,
  name: 'eth0',
  mac: '02:00:00:00:00:01' as Mac,
  mtu: 1500,
  up: true,
  running: true,
  loopback: false,
};

const host = (...links: Partial<HostLink>[]): HostView => ({
  links: [nic, ...links.map((link, at) => ({ ...nic, index: 10 + at, ...link }))],
  addresses: [],
  routes: [],
});

const facts = (change: Partial<PlanFacts> = {}): PlanFacts => ({
  link: nic,
  bridge: 'br-eth0',
  host: host(),
  managers: [],
  connections: [],
  caller: undefined,
  filterRules: [],
  wireless: false,
  groups: [],
  advertised: false,
  ...change,
});

const levels = (change: Partial<PlanFacts>) =>
  risksOf(facts(change)).map(({ level, message }) => `${level}: ${message}`);

test('a plain card has no risk', () => {
  assert.deepEqual(levels({}), []);
});

test('what cannot be done is refused', () => {
  const refused = (link: Partial<HostLink>, others: HostView, pattern: RegExp) => {
    const [first] = levels({ link: { ...nic, ...link }, host: others });
    assert.match(first!, pattern);
  };
  refused({ loopback: true }, host(), /^refused: the loopback/);
  refused({ type: 'bridge' }, host(), /^refused: eth0 is a bridge itself: use it with -o bridge=eth0/);
  refused(
    { master: 'br0' },
    host({ name: 'br0', type: 'bridge' }),
    /already a port of br0: use that with -o bridge=br0/,
  );
  refused(
    { master: 'bond0' },
    host({ name: 'bond0', type: 'bond' }),
    /a port of bond0, a bond: use that with -o parent=bond0/,
  );
  refused(
    { master: 'ovs-system' },
    host({ name: 'ovs-system', type: 'openvswitch' }),
    /eth0 is a port of Open vSwitch: use its bridge there with -o mode=ovs/,
  );
  refused({ master: 'red' }, host({ name: 'red', type: 'vrf' }), /eth0 is in the VRF red, and a bridge port cannot be/);
  refused({}, host({ name: 'mac0', type: 'macvlan', linkIndex: 2 }), /eth0 carries the macvlan mac0.* -o mode=macvlan/);
  refused({}, host({ name: 'br-eth0', type: 'bridge' }), /there is an interface br-eth0 already/);
  const taken = { ...nic, master: 'br-eth0' };
  const ours: HostView = { ...host({ name: 'br-eth0', type: 'bridge', alias: 'berth uplink eth0' }) };
  const both = { ...ours, links: [taken, ...ours.links.slice(1)] };
  assert.match(
    levels({ link: taken, host: both })[0]!,
    /^refused: eth0 is already a port of br-eth0, which Berth made/,
  );
  const { mac: _none, ...tunnel } = nic;
  assert.match(levels({ link: tunnel })[0]!, /^refused: eth0 has no Ethernet address/);
});

test('what calls for somebody who confirms', () => {
  const manager = {
    name: 'dhcpcd',
    found: 'dhcpcd runs',
    fights: 'at once',
    then: 'it asks again',
    files: [],
  } as const;
  assert.match(levels({ managers: [manager] })[0]!, /^manual: dhcpcd runs: it asks again/);
  assert.match(levels({ wireless: true })[0]!, /^manual: eth0 is wireless/);
  assert.match(levels({ bondMode: 'balance-alb' })[0]!, /^manual: eth0 is a bond in the mode balance-alb/);
  assert.deepEqual(levels({ bondMode: '802.3ad' }), []);
  const caller = { local: 'fe80::1', localPort: 22, remote: 'fe80::2', remotePort: 4000 };
  assert.match(levels({ connections: [caller], caller })[0]!, /^manual: 1 connections to a link-local address/);
});

test('what is worth to know', () => {
  const caller = { local: '192.168.1.2', localPort: 22, remote: '192.168.1.9', remotePort: 4000 };
  assert.match(levels({ caller, connections: [caller] })[0]!, /^warning: your ssh session from 192\.168\.1\.9/);
  const rules = ['a', 'b'].map((text) => ({ text, input: true }));
  assert.deepEqual(levels({ filterRules: [...rules, { text: 'c', input: false }] }), [
    'manual: a rule of the packet filter names eth0 and will not match what comes in on br-eth0, unless it names that, too: a and 1 more',
    'warning: a rule of the packet filter names eth0 and will not match what goes out by br-eth0, unless it names that, too: c',
  ]);
  assert.match(levels({ advertised: true })[0]!, /^manual: what routers advertise on eth0 is read by a program/);
  assert.match(levels({ groups: ['224.0.0.251'] })[0]!, /^warning: programs have joined 224\.0\.0\.251 on eth0/);
  assert.match(levels({ link: { ...nic, running: false } })[0]!, /^warning: eth0 has no carrier/);
});

test('rules of the packet filter that name an interface and not the bridge', () => {
  const ruleset = `table inet filter {
	set outside {
		type ifname
		elements = { "eth0",
			     "ppp0" }
	}
	flowtable f {
		hook ingress priority filter; devices = { "eth0" };
	}
	chain input {
		type filter hook input priority filter; policy drop;
		iifname "eth0" tcp dport 22 accept
		iifname "eth01" accept
		iifname { "br-eth0", "eth0" } accept
		iifname "eth*" accept
		iif "eth0" udp dport 53 accept comment "eth0"
		comment "eth0" accept
		log prefix "eth0" accept
		oifname "eth0" masquerade
	}
}
table inet berth {
	chain forward {
		iifname "eth0" accept
	}
}
table netdev own {
	chain in {
		type filter hook ingress device "eth0" priority 0; policy accept;
	}
}
`;
  assert.deepEqual(
    rulesNaming(ruleset, 'eth0', 'br-eth0').map(({ text, input }) => `${input} ${text}`),
    [
      'true inet filter: elements = { "eth0",',
      'true inet filter: iifname "eth0" tcp dport 22 accept',
      'true inet filter: iifname "eth*" accept',
      'true inet filter: iif "eth0" udp dport 53 accept comment "eth0"',
      'false inet filter: oifname "eth0" masquerade',
    ],
  );
});

test('rules of the old packet filter that name an interface and not the bridge', () => {
  const rules = `*nat
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -s 10.0.0.0/8 -o eth0 -j MASQUERADE
COMMIT
*filter
:INPUT DROP [0:0]
-A INPUT -i eth0 -p tcp -m tcp --dport 22 -j ACCEPT
-A INPUT -i eth+ -j ACCEPT
-A INPUT -i eth1 -m comment --comment "-i eth0" -j ACCEPT
-A INPUT -i + -j LOG --log-prefix eth0
-A INPUT ! -i eth0 -j DROP
COMMIT
`;
  assert.deepEqual(
    legacyRulesNaming(rules, 'eth0', 'br-eth0').map(({ text, input }) => `${input} ${text}`),
    [
      'false iptables nat: -A POSTROUTING -s 10.0.0.0/8 -o eth0 -j MASQUERADE',
      'true iptables filter: -A INPUT -i eth0 -p tcp -m tcp --dport 22 -j ACCEPT',
      'true iptables filter: -A INPUT -i eth+ -j ACCEPT',
      'true iptables filter: -A INPUT ! -i eth0 -j DROP',
    ],
  );
});

test('established connections to addresses of the card', async (t) => {
  // 192.168.1.2:22 from 192.168.1.9:40000; one that listens; one to 127.0.0.1; IPv6, and IPv4 on a socket of both.
  const root = hostFiles(t, {
    'proc/self/net/tcp': `  sl  local_address rem_address   st tx_queue
   0: 0201A8C0:0016 0901A8C0:9C40 01 00000000:00000000
   1: 00000000:0016 00000000:0000 0A 00000000:00000000
   2: 0100007F:0016 0100007F:9C40 01 00000000:00000000
`,
    'proc/self/net/tcp6': `  sl  local_address                         remote_address                        st
   0: 000000FD000000000000000002000000:0016 000000FD000000000000000009000000:9C41 01
   1: 0000000000000000FFFF00000201A8C0:0016 0000000000000000FFFF00000901A8C0:9C42 01
`,
  });
  assert.deepEqual(await connectionsTo(new Set(['192.168.1.2', 'fd00::2']), root), [
    { local: '192.168.1.2', localPort: 22, remote: '192.168.1.9', remotePort: 40000 },
    { local: 'fd00::2', localPort: 22, remote: 'fd00::9', remotePort: 40001 },
    { local: '192.168.1.2', localPort: 22, remote: '192.168.1.9', remotePort: 40002 },
  ]);
});

test('multicast groups that programs have joined', async (t) => {
  const root = hostFiles(t, {
    'proc/self/net/igmp': `Idx	Device    : Count Querier	Group    Users Timer	Reporter
1	lo        :     1      V3
				010000E0     1 0:00000000		0
2	eth0      :     2      V3
				FB0000E0     1 0:00000000		0
				010000E0     1 0:00000000		0
3	eth01     :     1      V3
				FC0000E0     1 0:00000000		0
`,
    'proc/self/net/igmp6': `1    lo              ff020000000000000000000000000001     1 0000000C 0
2    eth0            ff0200000000000000000000000000fb     1 00000004 0
2    eth0            ff0200000000000000000001ff000002     2 00000004 0
2    eth0            ff020000000000000000000000000001     1 0000000C 0
2    eth0            ff010000000000000000000000000001     1 00000008 0
`,
  });
  assert.deepEqual(await joinedGroups('eth0', root), ['224.0.0.251', 'ff02::fb']);
  assert.deepEqual(await joinedGroups('eth5', root), []);
});

test('what may cut the host off is refused, with the way to prevent it', async (t) => {
  const context = {
    kernel: { view: () => Promise.resolve(host()), belongings: () => Promise.resolve([]) },
  } as unknown as FabricContext;
  const check = (files: Record<string, string>) => checkRisks('eth0', 'br-eth0', context, hostFiles(t, files));
  await check({ 'sys/class/net/eth0/bonding/mode': '802.3ad 4\n' });
  const manager = { 'proc/400/comm': 'NetworkManager\n', 'proc/400/cmdline': 'NetworkManager\0' };
  for (const [files, message] of [
    [
      manager,
      /NetworkManager runs and manages eth0.*; prevent that with `.*unmanaged.*`, or try it all the same with -o confirm=manual/,
    ],
    [{ 'sys/class/net/eth0/bonding/mode': 'balance-alb 6\n' }, /a bond in the mode balance-alb/],
    [
      { 'sys/class/net/eth0/phy80211/name': 'phy0\n' },
      /eth0 is wireless: .*-o mode=ipvlan needs neither; try it all the same/,
    ],
  ] as const) {
    await assert.rejects(check(files), { code: 'INTERFACE_UNSUITABLE', message });
  }
});
