/** For tests: what the doctor would gather on a host on which all is well. */

import type { NetworkView, StatusView } from '../../agent/api.ts';
import type { Facts } from './facts.ts';

export const status: StatusView = {
  healthy: true,
  problems: [],
  version: '1.2.3',
  pid: 7,
  startedAt: '2026-11-20T00:00:00Z',
  stateDir: '/var/lib/berth',
  store: { kind: 'sqlite', revision: 1 },
  engine: { address: 'unix:///run/docker.sock', reachable: true, version: '28.5.2' },
  plugins: ['berth', 'berth-lan', 'local'].map((name) => ({
    name,
    fabric: name === 'berth' ? 'cluster' : 'lan',
    scope: 'local',
    address: `unix:///run/docker/plugins/${name}.sock`,
  })),
  counts: { networks: 1, endpoints: 1, attachments: 0, pools: 1, leases: 1 },
  audit: { drifts: 0, repaired: 0, objects: 4 },
  journal: { pending: 0 },
  conflicts: [],
};

/** A virtual network with one container, changed as a test wants it. */
export function network(change: Partial<NetworkView> = {}): NetworkView {
  return {
    id: 'a'.repeat(64),
    name: 'shop',
    fabric: 'cluster',
    plugin: 'berth',
    subnets: [{ subnet: '10.201.0.0/24', gateway: '10.201.0.1', auxiliary: {} }],
    internal: false,
    mtu: 1500,
    options: {},
    settings: {},
    endpoints: 1,
    objects: ['link/bt0123456789abc'],
    createdAt: '2026-11-20T00:00:00Z',
    ...change,
  };
}

/** A host on which all is well. */
export const healthy: Facts = {
  now: Date.parse('2026-11-20T12:00:00Z'),
  isRoot: true,
  version: '1.2.3',
  options: {
    runDir: '/run/berth',
    stateDir: '/var/lib/berth',
    pluginDir: '/run/docker/plugins',
    specDirs: [],
    docker: 'unix:///run/docker.sock',
    ovsDatabase: 'unix:/run/openvswitch/db.sock',
  },
  agent: { status, networks: [network()] },
  engine: {
    version: '28.5.2',
    managedPlugins: [],
    networks: [
      { name: 'bridge', id: 'b'.repeat(64), driver: 'bridge', subnets: ['172.17.0.0/16'] },
      { name: 'shop', id: 'a'.repeat(64), driver: 'berth', subnets: ['10.201.0.0/24'] },
    ],
  },
  kernel: { release: '6.18.0', lacks: { ipvlan: 'Operation not supported' }, hasLibnftables: true },
  sockets: ['berth', 'berth-lan', 'local'].map((name) => ({
    name,
    path: `/run/docker/plugins/${name}.sock`,
    listening: true,
  })),
  specs: [],
  sysctls: {
    'net/ipv4/ip_forward': '1',
    'net/ipv6/conf/all/forwarding': '0',
    'net/ipv4/conf/all/rp_filter': '0',
    'net/ipv4/conf/default/rp_filter': '0',
    'net/netfilter/nf_conntrack_max': '1000',
    'net/netfilter/nf_conntrack_count': '10',
    'net/ipv4/neigh/default/gc_thresh3': '1024',
    'net/ipv6/neigh/default/gc_thresh3': '1024',
  },
  forward: [{ family: 4, policy: 'DROP', hasDockerUser: true, accepts: ['-i bt+', '-o bt+'] }],
  droppingChains: [],
  firewalld: false,
  ufw: false,
  links: [
    { name: 'eth0', mtu: 1500 },
    { name: 'docker0', mtu: 1500, kind: 'bridge' },
  ],
  routes: [
    { destination: 'default', link: 'eth0', direct: false },
    { destination: '192.168.1.0/24', link: 'eth0', direct: true },
    { destination: '10.201.0.0/24', link: 'bt0123456789abc', direct: true },
  ],
  unit: {
    loadState: 'loaded',
    fileState: 'enabled',
    activeState: 'active',
    before: ['docker.service', 'shutdown.target'],
  },
  neighbours: { v4: 3, v6: 1 },
  dnsServers: [{ networks: ['lan'], server: '192.168.1.53', zone: 'home.example' }],
  clockSynchronised: true,
  uplinks: [],
  openVswitch: { error: 'there is no such socket' },
  disk: { freeBytes: 10_000_000_000, freeFiles: 1_000_000, writable: true },
};

/** A host on which Berth is not installed as a service. */
export const noService: NonNullable<Facts['unit']> = {
  loadState: 'not-found',
  fileState: '',
  activeState: 'inactive',
  before: [],
};

/** With Berth as a managed plugin, with a tag that its user has chosen. */
export const withManaged = (enabled: boolean): Pick<Facts, 'engine'> => ({
  engine: { ...healthy.engine, managedPlugins: [{ name: 'berth:v1', enabled, isBerth: true }] },
});

/** A NIC of a bridge that two others configure as well, of which one works against it. */
export const contested: Facts['uplinks'] = [
  {
    nic: 'eth0',
    bridge: 'br-eth0',
    managers: [
      { name: 'ifupdown', found: 'a file configures eth0', fights: 'at boot', then: 'it does so', files: [] },
      {
        name: 'systemd-networkd',
        found: 'systemd-networkd runs and manages eth0 by /etc/a.network',
        fights: 'later',
        then: 'it takes eth0 out of the bridge',
        fix: 'networkctl reload',
        files: [],
      },
    ],
  },
];
