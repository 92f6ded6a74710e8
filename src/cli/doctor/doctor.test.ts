import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { NetworkView } from '../../agent/api.ts';
import { berth } from '../fake-agent.ts';
import { checks } from './checks.ts';
import { doctorText, examine, type NamedFinding, verdict } from './doctor.ts';
import type { Facts } from './facts.ts';
import { healthy, network, noService, status, withManaged } from './healthy-host.ts';

const withNetworks = (...networks: NetworkView[]): Partial<Facts> => ({ agent: { status, networks } });
const withSysctl = (path: string, value: string): Partial<Facts> => ({
  sysctls: { ...healthy.sysctls, [path]: value },
});
const noForwarding = withSysctl('net/ipv4/ip_forward', '0');
const forward4 = { family: 4, policy: 'DROP', hasDockerUser: true, accepts: [] } as const;

describe('a healthy host', () => {
  it('is ok by every check, and has nothing to mend', () => {
    const findings = examine(healthy);
    assert.deepEqual(
      findings.filter(({ level }) => level !== 'ok'),
      [],
    );
    const looked = new Set(findings.map(({ check }) => check));
    // Without a LAN network there is no LAN bridge to look at, and most hosts have no Open vSwitch.
    assert.deepEqual(
      checks.map(({ name }) => name).filter((name) => !looked.has(name)),
      ['bridge filter', 'Open vSwitch', 'uplinks'],
    );
  });
});

describe('what is no fault', () => {
  const fine: readonly (readonly [name: string, change: Partial<Facts>])[] = [
    ['no forwarding, while no network needs it', { ...withNetworks(), ...withSysctl('net/ipv4/ip_forward', '0') }],
    ['no exceptions, while no container runs', { ...withNetworks(network({ endpoints: 0 })), forward: [forward4] }],
    [
      'a spec file that leads to the socket',
      {
        specs: [
          { name: 'berth', path: '/usr/lib/docker/plugins/berth.spec', url: 'unix:///run/docker/plugins/berth.sock' },
        ],
      },
    ],
    [
      'a managed plugin of another name',
      { engine: { ...healthy.engine, managedPlugins: [{ name: 'rclone:latest', enabled: false, isBerth: false }] } },
    ],
    [
      'our own managed plugin, which has neither a socket here nor a service',
      {
        ...withManaged(true),
        sockets: [],
        unit: noService,
        agent: { status: { ...status, plugins: status.plugins.slice(0, 1) }, networks: [network()] },
      },
    ],
    [
      'a LAN network on the LAN of the host',
      withNetworks(
        network({ fabric: 'lan', plugin: 'berth-lan', subnets: [{ subnet: '192.168.1.0/24', auxiliary: {} }] }),
      ),
    ],
    [
      'a bridge filter with an exception',
      {
        ...withNetworks(network({ fabric: 'lan', plugin: 'berth-lan', objects: ['forward-accept/4/br0/br0'] })),
        ...withSysctl('net/bridge/bridge-nf-call-iptables', '1'),
        forward: [{ ...forward4, accepts: ['-i br0 -o br0'] }],
      },
    ],
    [
      'a strict default under a loose all',
      { sysctls: { ...healthy.sysctls, 'net/ipv4/conf/all/rp_filter': '2', 'net/ipv4/conf/default/rp_filter': '1' } },
    ],
    ['no forwarding, while no container runs', { ...withNetworks(network({ endpoints: 0 })), ...noForwarding }],
    ['no forwarding, while the network is internal', { ...withNetworks(network({ internal: true })), ...noForwarding }],
    ['no exceptions for an internal network', { ...withNetworks(network({ internal: true })), forward: [forward4] }],
    ['a firewall that accepts anyway', { forward: [{ ...forward4, policy: 'ACCEPT', hasDockerUser: false }] }],
    [
      'a bridge filter, while no container runs',
      {
        ...withNetworks(network({ fabric: 'lan', plugin: 'berth-lan', objects: ['link/br0'], endpoints: 0 })),
        ...withSysctl('net/bridge/bridge-nf-call-iptables', '1'),
        forward: [forward4],
      },
    ],
    ['large packets on the LAN', withNetworks(network({ fabric: 'lan', plugin: 'berth-lan', mtu: 9000 }))],
    ['large packets on an internal network', withNetworks(network({ internal: true, mtu: 9000 }))],
    [
      'a wider route by a gateway',
      { routes: [...healthy.routes, { destination: '10.0.0.0/8', link: 'tun0', direct: false }] },
    ],
    [
      'two files of another plugin',
      {
        sockets: [...healthy.sockets, { name: 'weave', path: '/run/docker/plugins/weave.sock', listening: true }],
        specs: [{ name: 'weave', path: '/etc/docker/plugins/weave.spec', url: 'tcp://10.0.0.1:99' }],
      },
    ],
  ];
  for (const [name, change] of fine) {
    it(name, () => {
      const found = examine({ ...healthy, ...change }).filter(({ level }) => level !== 'ok');
      assert.deepEqual(found, []);
    });
  }
});

it('without an agent the networks are those that the engine names', () => {
  const facts: Facts = {
    ...healthy,
    agent: { error: 'no answer from the agent' },
    // It takes its sockets away when it ends.
    sockets: [],
    engine: {
      ...healthy.engine,
      networks: [
        ...healthy.engine.networks,
        { name: 'old', id: 'c'.repeat(64), driver: 'bridge', subnets: ['10.201.0.0/16'] },
      ],
    },
  };
  const found = examine(facts).filter(({ level }) => level !== 'ok');
  assert.deepEqual(
    found.map(({ check, level }) => [check, level]),
    [
      ['agent', 'fail'],
      ['subnets', 'warn'],
    ],
  );
});

it('the text names the fault, then its command, then the sum', () => {
  const text = doctorText(
    [
      { check: 'clock', level: 'ok', message: 'fine' },
      { check: 'disk', level: 'warn', message: 'low', fix: 'df' },
    ],
    false,
  );
  assert.equal(text, 'warn  disk   low\n             fix: df\n1 ok, 1 warnings, 0 failures\n');
});

it('nothing is said of a firewall that could not be read', () => {
  const { forward: _unread, ...facts } = healthy;
  assert.deepEqual(
    examine(facts).filter(({ check }) => check === 'firewall'),
    [],
  );
});

it('only a failure makes the exit code 1', () => {
  assert.equal(verdict([{ check: 'disk', level: 'warn', message: 'low', fix: 'df' }]), 0);
  assert.equal(verdict([{ check: 'disk', level: 'fail', message: 'full', fix: 'df' }]), 1);
});

it('berth doctor looks at this very host, and ends', async () => {
  const words = [
    'doctor',
    '--json',
    '--run-dir',
    '/nonexistent',
    '--docker',
    'unix:///nonexistent',
    '--state-dir',
    '/',
  ];
  const { code, stdout, stderr } = await berth(words);
  assert.equal(stderr, '');
  assert.equal(code, 1);
  const findings = JSON.parse(stdout) as readonly NamedFinding[];
  const levels = new Map(findings.map(({ check, level }) => [check, level]));
  assert.deepEqual([levels.get('agent'), levels.get('engine')], ['fail', 'fail']);
  assert.ok(levels.has('kernel') && levels.has('disk'));
});
