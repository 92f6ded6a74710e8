import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { NetworkView, StatusView } from '../../agent/api.ts';
import { checks } from './checks.ts';
import { examine } from './doctor.ts';
import type { Facts } from './facts.ts';
import { contested, healthy, network, status } from './healthy-host.ts';

const withNetworks = (...networks: NetworkView[]): Partial<Facts> => ({ agent: { status, networks } });
const withStatus = (change: Partial<StatusView>): Partial<Facts> => ({
  agent: { status: { ...status, ...change }, networks: [network()] },
});
const withSysctl = (path: string, value: string): Partial<Facts> => ({
  sysctls: { ...healthy.sysctls, [path]: value },
});
const forward4 = { family: 4, policy: 'DROP', hasDockerUser: true, accepts: [] } as const;

const onSwitch = withNetworks(
  network({ name: 'office', fabric: 'lan', plugin: 'berth-lan', settings: { mode: 'ovs', bridge: 'ovsbr0' } }),
);

/** Each fault alone, on a host that is otherwise well: exactly this is said, and this command given. */
const faults: readonly (readonly [
  name: string,
  change: Partial<Facts>,
  check: string,
  level: 'warn' | 'fail',
  message: RegExp,
  fix: string,
])[] = [
  [
    'no bridge in the kernel',
    { kernel: { ...healthy.kernel, lacks: { bridge: 'Unknown device type' } } },
    'kernel',
    'fail',
    /no bridge: Unknown device type/,
    'modprobe bridge',
  ],
  [
    'no libnftables',
    { kernel: { ...healthy.kernel, hasLibnftables: false } },
    'kernel',
    'fail',
    /libnftables/,
    'apt-get install libnftables1',
  ],
  [
    'nothing to try with',
    { kernel: { release: '6.18.0', hasLibnftables: true } },
    'kernel',
    'warn',
    /could not be tried/,
    'apt-get install iproute2 util-linux nftables',
  ],
  [
    'a key that others can read',
    {
      dnsServers: [
        {
          networks: ['lan'],
          server: '192.168.1.53',
          zone: 'home.example',
          keyFile: '/etc/berth/dns.key',
          keyProblem: 'can be read or changed by others (mode 644): chmod 600',
        },
      ],
    },
    'names',
    'fail',
    /key file \/etc\/berth\/dns\.key of network lan can be read or changed by others \(mode 644\)$/,
    'chmod 600 /etc/berth/dns.key',
  ],
  [
    'a DNS server that takes no updates',
    { dnsServers: [{ networks: ['a', 'b'], server: '192.168.1.53', zone: 'home.example', problem: 'it is silent' }] },
    'names',
    'fail',
    /containers of networks a, b cannot be registered in home\.example: it is silent/,
    'dig @192.168.1.53 home.example SOA',
  ],
  [
    'an engine that is away',
    { engine: { error: 'Docker at unix:///x cannot be reached', managedPlugins: [], networks: [] } },
    'engine',
    'fail',
    /cannot be reached/,
    'systemctl start docker',
  ],
  [
    'an engine that crashes on gateways',
    { engine: { ...healthy.engine, version: '29.0.1' } },
    'engine',
    'warn',
    /29\.0\.1 crashes/,
    'apt-get install --only-upgrade docker-ce',
  ],
  [
    'an engine that is too old',
    { engine: { ...healthy.engine, version: '19.03.15' } },
    'engine',
    'warn',
    /older than 20\.10/,
    'apt-get install docker.io',
  ],
  [
    'an agent that is ill',
    withStatus({ healthy: false, problems: ['the store is read-only'] }),
    'agent',
    'fail',
    /read-only/,
    'journalctl -u berth -n 50',
  ],
  [
    'an agent with a problem',
    withStatus({ problems: ['the engine does not answer'] }),
    'agent',
    'warn',
    /does not answer/,
    'journalctl -u berth -n 50',
  ],
  [
    'an agent of another version',
    withStatus({ version: '1.2.2' }),
    'agent',
    'warn',
    /1\.2\.2 and this command 1\.2\.3/,
    'systemctl restart berth',
  ],
  [
    'drift that stayed',
    withStatus({ audit: { drifts: 3, repaired: 1, objects: 4 } }),
    'agent',
    'warn',
    /2 drifts/,
    'berth audit --repair',
  ],
  [
    'a stale socket',
    { sockets: [...healthy.sockets, { name: 'weave', path: '/run/docker/plugins/weave.sock', listening: false }] },
    'plugin files',
    'fail',
    /nothing listens on \/run\/docker\/plugins\/weave\.sock/,
    'rm /run/docker/plugins/weave.sock',
  ],
  [
    'a shadowed spec file',
    { specs: [{ name: 'berth', path: '/etc/docker/plugins/berth.spec', url: 'tcp://10.0.0.1:99' }] },
    'plugin files',
    'warn',
    /berth\.spec \(tcp:\/\/10\.0\.0\.1:99\) is shadowed/,
    'rm /etc/docker/plugins/berth.spec',
  ],
  [
    'a disabled managed plugin',
    { engine: { ...healthy.engine, managedPlugins: [{ name: 'berth:latest', enabled: false, isBerth: false }] } },
    'plugin files',
    'fail',
    /managed plugin berth:latest, disabled/,
    'docker plugin rm --force berth:latest',
  ],
  [
    'a socket that is not there',
    { sockets: healthy.sockets.slice(1) },
    'plugin files',
    'fail',
    /cannot find berth:/,
    'systemctl restart berth',
  ],
  [
    'no forwarding',
    withSysctl('net/ipv4/ip_forward', '0'),
    'forwarding',
    'warn',
    /does not forward IPv4/,
    'sysctl -w net.ipv4.ip_forward=1',
  ],
  [
    'no IPv6 forwarding',
    withNetworks(network({ subnets: [{ subnet: 'fd00::/64', auxiliary: {} }] })),
    'forwarding',
    'warn',
    /does not forward IPv6/,
    'sysctl -w net.ipv6.conf.all.forwarding=1',
  ],
  [
    'a firewall without Docker’s chain',
    { forward: [{ ...forward4, hasDockerUser: false }] },
    'firewall',
    'warn',
    /DOCKER-USER, is missing/,
    'iptables -I FORWARD -i bt+ -j ACCEPT && iptables -I FORWARD -o bt+ -j ACCEPT',
  ],
  [
    'a firewall without our exceptions',
    { forward: [{ ...forward4, accepts: ['-i bt+'] }] },
    'firewall',
    'warn',
    /exceptions in DOCKER-USER are missing/,
    'berth audit --repair',
  ],
  [
    'an nftables chain that drops',
    { droppingChains: [{ family: 'inet', table: 'filter', chain: 'forward', accepts: [] }] },
    'firewall',
    'warn',
    /inet filter forward drops/,
    `nft 'insert rule inet filter forward iifname "bt*" accept; insert rule inet filter forward oifname "bt*" accept'`,
  ],
  [
    'firewalld',
    { firewalld: true },
    'firewall',
    'warn',
    /firewalld/,
    'firewall-cmd --permanent --zone=trusted --add-source=10.201.0.0/24 && firewall-cmd --reload',
  ],
  [
    'a bridge filter that drops',
    {
      ...withNetworks(network({ fabric: 'lan', plugin: 'berth-lan', objects: ['link/br0'] })),
      ...withSysctl('net/bridge/bridge-nf-call-iptables', '1'),
      forward: [forward4],
    },
    'bridge filter',
    'warn',
    /the bridge of shop are dropped/,
    'sysctl -w net.bridge.bridge-nf-call-iptables=0',
  ],
  [
    'strict reverse paths',
    withSysctl('net/ipv4/conf/all/rp_filter', '1'),
    'reverse path',
    'warn',
    /strict/,
    'sysctl -w net.ipv4.conf.all.rp_filter=2',
  ],
  [
    'a network larger than the uplink',
    { links: [{ name: 'eth0', mtu: 1400 }] },
    'MTU',
    'warn',
    /shop has MTU 1500, and the uplink eth0 only 1400/,
    'docker network rm shop && docker network create -d berth -o mtu=1400 shop',
  ],
  [
    'Docker’s bridge larger than the uplink',
    {
      links: [
        { name: 'eth0', mtu: 1500 },
        { name: 'docker0', mtu: 9000, kind: 'bridge' },
      ],
    },
    'MTU',
    'warn',
    /docker0 has MTU 9000/,
    'ip link set docker0 mtu 1500',
  ],
  [
    'a network of Docker in the way',
    {
      engine: {
        ...healthy.engine,
        networks: [{ name: 'old', id: 'c'.repeat(64), driver: 'bridge', subnets: ['10.201.0.0/16'] }],
      },
    },
    'subnets',
    'warn',
    /10\.201\.0\.0\/24 of network shop overlaps 10\.201\.0\.0\/16 of Docker’s network old/,
    'docker network rm old',
  ],
  [
    'a route in the way',
    { routes: [...healthy.routes, { destination: '10.201.0.0/16', link: 'tun0', direct: true }] },
    'subnets',
    'warn',
    /overlaps 10\.201\.0\.0\/16, which this host reaches by tun0/,
    'docker network rm shop',
  ],
  [
    'no service',
    { unit: { ...healthy.unit!, loadState: 'not-found' } },
    'systemd',
    'warn',
    /not a systemd service/,
    'make install && systemctl enable berth',
  ],
  [
    'a masked service',
    { unit: { ...healthy.unit!, loadState: 'masked' } },
    'systemd',
    'fail',
    /masked/,
    'systemctl unmask berth',
  ],
  [
    'a service out of order',
    { unit: { ...healthy.unit!, before: ['shutdown.target'] } },
    'systemd',
    'warn',
    /not ordered before/,
    'make install && systemctl daemon-reload',
  ],
  [
    'a disabled service',
    { unit: { ...healthy.unit!, fileState: 'disabled' } },
    'systemd',
    'warn',
    /does not start with/,
    'systemctl enable berth',
  ],
  [
    'a failed service',
    { unit: { ...healthy.unit!, activeState: 'failed' } },
    'systemd',
    'fail',
    /has failed/,
    'journalctl -u berth -n 50',
  ],
  [
    'a full connection table',
    withSysctl('net/netfilter/nf_conntrack_count', '900'),
    'limits',
    'warn',
    /900 of at most 1000/,
    'sysctl -w net.netfilter.nf_conntrack_max=2000',
  ],
  [
    'a full neighbour table',
    { neighbours: { v4: 1000, v6: 0 } },
    'limits',
    'warn',
    /1000 of at most 1024/,
    'sysctl -w net.ipv4.neigh.default.gc_thresh3=4096',
  ],
  ['a clock of long ago', { now: 0, ...withNetworks() }, 'clock', 'fail', /1970/, 'timedatectl set-ntp true'],
  ['a clock on its own', { clockSynchronised: false }, 'clock', 'warn', /not synchronised/, 'timedatectl set-ntp true'],
  [
    'a clock that went back',
    { now: Date.parse('2026-10-01T00:00:00Z') },
    'clock',
    'warn',
    /went back/,
    'timedatectl set-ntp true',
  ],
  [
    'a read-only disk',
    { disk: { ...healthy.disk!, writable: false } },
    'disk',
    'fail',
    /read-only/,
    'mount -o remount,rw $(findmnt -no TARGET -T /var/lib/berth)',
  ],
  [
    'a full disk',
    { disk: { ...healthy.disk!, freeBytes: 5_000_000 } },
    'disk',
    'fail',
    /only 4 MiB/,
    'du -xhd2 $(findmnt -no TARGET -T /var/lib/berth) | sort -h | tail -20',
  ],
  [
    'a nearly full disk',
    { disk: { ...healthy.disk!, freeBytes: 100_000_000 } },
    'disk',
    'warn',
    /only 95 MiB/,
    'du -xhd2 $(findmnt -no TARGET -T /var/lib/berth) | sort -h | tail -20',
  ],
  [
    'no more files',
    { disk: { ...healthy.disk!, freeFiles: 5 } },
    'disk',
    'warn',
    /only 5 more files/,
    'df -i /var/lib/berth',
  ],
  [
    'an Open vSwitch that is away',
    { ...onSwitch, openVswitch: { error: 'the database of Open vSwitch at unix:/x: nobody listens there' } },
    'Open vSwitch',
    'fail',
    /network office cannot be used: .*nobody listens there/,
    'systemctl start openvswitch-switch',
  ],
  [
    'a bridge that Open vSwitch does not have',
    { ...onSwitch, openVswitch: { bridges: [{ name: 'ovsbr1', datapath: 'system' }], ports: [] } },
    'Open vSwitch',
    'fail',
    /network office is on the bridge ovsbr0, which is not there/,
    'ovs-vsctl add-br ovsbr0',
  ],
  [
    'an Open vSwitch whose switch does not run',
    { ...onSwitch, openVswitch: { bridges: [{ name: 'ovsbr0', datapath: 'system' }], ports: [] } },
    'Open vSwitch',
    'fail',
    /the switch does not run: there is no interface ovsbr0/,
    'systemctl restart openvswitch-switch',
  ],
  [
    'a port that Open vSwitch cannot use',
    {
      ...onSwitch,
      links: [...healthy.links, { name: 'ovsbr0', mtu: 1500, kind: 'openvswitch' }],
      openVswitch: {
        bridges: [{ name: 'ovsbr0', datapath: 'system' }],
        ports: [{ name: 'bv1', bridge: 'ovsbr0', error: 'could not open network device bv1' }],
      },
    },
    'Open vSwitch',
    'warn',
    /cannot use the port bv1: could not open/,
    'berth audit --repair',
  ],
  [
    'a network manager that does not know of the bridge',
    { uplinks: contested },
    'uplinks',
    'warn',
    /manages eth0 by \/etc\/a\.network, but Berth has made it a bridge port: it takes eth0 out of the bridge/,
    'networkctl reload',
  ],
];

describe('one fault alone', () => {
  for (const [name, change, check, level, message, fix] of faults) {
    it(name, () => {
      const found = examine({ ...healthy, ...change }).filter((finding) => finding.level !== 'ok');
      assert.deepEqual(
        found.map((finding) => [finding.check, finding.level, finding.fix]),
        [[check, level, fix]],
      );
      assert.match(found[0]!.message, message);
      assert.doesNotMatch(found[0]!.message, /\.$|undefined|NaN/);
    });
  }

  it('every check has one', () => {
    const shown = new Set(faults.map(([, , check]) => check));
    assert.deepEqual(
      checks.map(({ name }) => name).filter((name) => !shown.has(name)),
      [],
    );
  });
});
