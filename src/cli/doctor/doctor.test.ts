import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { NetworkView } from '../../agent/api.ts';
import { checks } from './checks.ts';
import { doctorText, examine } from './doctor.ts';
import type { Facts } from './facts.ts';
import { healthy, network, status } from './healthy-host.ts';

const withNetworks = (...networks: NetworkView[]): Partial<Facts> => ({ agent: { status, networks } });
const withSysctl = (path: string, value: string): Partial<Facts> => ({
  sysctls: { ...healthy.sysctls, [path]: value },
});
const forward4 = { family: 4, policy: 'DROP', hasDockerUser: true, accepts: [] } as const;

describe('a healthy host', () => {
  it('is ok by every check, and has nothing to mend', () => {
    const findings = examine(healthy);
    assert.deepEqual(
      findings.filter(({ level }) => level !== 'ok'),
      [],
    );
    const looked = new Set(findings.map(({ check }) => check));
    // Without a LAN network there is no LAN bridge to look at.
    assert.deepEqual(
      checks.map(({ name }) => name).filter((name) => !looked.has(name)),
      ['bridge filter'],
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
      { engine: { ...healthy.engine, managedPlugins: [{ name: 'rclone:latest', enabled: false }] } },
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
