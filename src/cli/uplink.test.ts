import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { UplinkPlanView, UplinkView } from '../agent/api.ts';
import { berth, fakeAgent, now } from './fake-agent.ts';

const plan: UplinkPlanView = {
  nic: 'eth0',
  bridge: 'br-eth0',
  mac: '02:00:00:00:00:01',
  mtu: 1500,
  addresses: [{ address: '192.168.1.2/24', validSeconds: 3600, preferredSeconds: 1800 }, { address: 'fd00::2/64' }],
  routes: ['default via 192.168.1.1'],
  rules: ['1000: from all iif eth0 lookup 100'],
  neighbours: [],
  settings: ['ipv4/conf/NAME/rp_filter=2'],
  vlans: ['eth0.120'],
  resolver: { servers: ['192.168.1.1'], domains: ['lan'], how: 'systemd-resolved asks them' },
  managers: [
    {
      name: 'systemd-networkd',
      found: 'it runs',
      fights: 'later',
      then: 'it takes eth0 out',
      fix: 'networkctl reload',
      files: [{ path: '/etc/a', content: '[Match]\nName=eth0\n' }],
      apply: 'networkctl reload',
    },
  ],
  leased: true,
  connections: {
    count: 3,
    ssh: [{ local: '192.168.1.2', localPort: 22, remote: '192.168.1.9', remotePort: 4000 }],
  },
  risks: [{ level: 'warning', message: 'your ssh session comes in through eth0' }],
  confirm: 'manual',
  commands: ['docker network create -d berth-lan -o parent=eth0 lan', 'berth network confirm lan'],
};

const uplink: UplinkView = {
  nic: 'eth0',
  bridge: 'br-eth0',
  state: 'trial',
  deadline: new Date(now + 42_000).toISOString(),
  mac: '02:00:00:00:00:01',
  mtu: 1500,
  networks: ['lan'],
  addresses: ['192.168.1.2/24 valid 3600 s', 'fd00::2/64'],
  routes: [],
  rules: [],
  neighbours: [],
  seenAt: new Date(now).toISOString(),
};

describe('uplink plan', () => {
  it('says everything that changes, what to mind, and what to run', async () => {
    delete process.env.SSH_CONNECTION;
    process.env.SSH_CONNECTION = '192.168.1.9 4000 192.168.1.2 22';
    const asked = '/v1/uplinks/eth0/plan?bridge=lan0&session=192.168.1.9+4000+192.168.1.2+22';
    await using agent = await fakeAgent({ [`GET ${asked}`]: plan });
    const { code, stdout } = await berth(['uplink', 'plan', 'eth0', '--bridge', 'lan0', '--run-dir', agent.runDir]);
    delete process.env.SSH_CONNECTION;
    assert.equal(code, 0);
    assert.equal(
      stdout,
      `eth0 becomes a port of the new bridge br-eth0, which has its MAC address 02:00:00:00:00:01 and its MTU 1500.
To br-eth0 move, in one step:
  addresses
    192.168.1.2/24, valid for 3600 s, preferred for 1800 s
    fd00::2/64
  routes
    default via 192.168.1.1
  rules
    1000: from all iif eth0 lookup 100
  settings
    ipv4/conf/NAME/rp_filter=2
  name servers
    192.168.1.1
    lan
On eth0 stay, and work on: eth0.120
The DHCP client of eth0 goes on there: what its server says to it is kept from the bridge, by nftables.
Names: systemd-resolved asks them.
Connections through eth0: 3; ssh from 192.168.1.9 port 4000
note: your ssh session comes in through eth0

systemd-networkd: it runs
  it takes eth0 out
  to keep it off while Berth makes the bridge:
    networkctl reload
  to have it make the bridge itself, at boot too (then use -o bridge= instead of -o parent=):
    /etc/a:
      [Match]
      Name=eth0
    and run: networkctl reload

Run (choose a range that nobody else gives out, with --ip-range):
  docker network create -d berth-lan -o parent=eth0 lan
  berth network confirm lan
`,
    );
  });

  it('exits 1 when it cannot be done', async () => {
    process.env.SSH_CONNECTION = '';
    const refused = { ...plan, risks: [{ level: 'refused', message: 'it is a bridge' }], commands: [] };
    await using agent = await fakeAgent({ 'GET /v1/uplinks/br0/plan?session=': refused });
    const { code, stdout } = await berth(['uplink', 'plan', 'br0', '--run-dir', agent.runDir]);
    delete process.env.SSH_CONNECTION;
    assert.equal(code, 1);
    assert.match(stdout, /REFUSED: it is a bridge/);
    assert.doesNotMatch(stdout, /Run/);
  });
});

it('uplink ls and inspect', async () => {
  await using agent = await fakeAgent({ 'GET /v1/uplinks': [uplink], 'GET /v1/uplinks/br-eth0': uplink });
  const listed = await berth(['uplink', 'ls', '--run-dir', agent.runDir]);
  assert.equal(
    listed.stdout,
    'NIC   BRIDGE   STATE             NETWORKS  ADDRESSES\neth0  br-eth0  trial, 42 s left  lan       192.168.1.2/24, fd00::2/64\n',
  );
  const shown = await berth(['uplink', 'inspect', 'br-eth0', '--json', '--run-dir', agent.runDir]);
  assert.deepEqual(JSON.parse(shown.stdout), [uplink]);
  const near = await berth(['uplink', 'inspect', 'br-eth1', '--run-dir', agent.runDir]);
  assert.match(near.stderr, /similar: .*br-eth0/);
});
