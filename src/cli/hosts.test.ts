/** The hosts of the cluster on the command line. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HostView, StatusView } from '../agent/api.ts';
import { berth, fakeAgent, sendError } from './fake-agent.ts';
import { statusText } from './status.ts';

/** As the clock of `berth` stands in tests. */
const NOW = Date.parse('2026-11-20T12:00:00Z');
const ago = (seconds: number): string => new Date(NOW - seconds * 1000).toISOString();
const hosts: readonly HostView[] = [
  { name: 'h1', here: true, vtep: '10.0.0.1', state: 'heard', since: ago(10_000), version: '1.0.0' },
  {
    name: 'h2',
    here: false,
    vtep: '10.0.0.2',
    state: 'silent',
    since: ago(300),
    version: '1.0.0',
    engine: { id: 'E', version: '28.5.2' },
  },
  { name: 'h3', here: false, state: 'gone', since: ago(90), version: '0.9.0' },
];

const status: StatusView = {
  healthy: true,
  problems: [],
  version: '1.0.0',
  pid: 1,
  startedAt: ago(60),
  stateDir: '/s',
  store: { kind: 'etcd', revision: 7 },
  engine: { address: 'unix:///d', reachable: true, version: '28.5.2' },
  plugins: [],
  counts: { networks: 1, endpoints: 1, attachments: 0, pools: 0, leases: 1 },
  audit: { drifts: 0, repaired: 0, objects: 3 },
  journal: { pending: 0 },
  conflicts: [],
  cluster: {
    host: 'h1',
    vtep: '10.0.0.1',
    store: 'etcd://10.0.0.9:2379/',
    hosts,
    networks: [
      { name: 'default:web', encapsulation: 'vxlan', tag: 10_001, subnets: ['10.1.0.0/24'], here: 1, all: 3 },
      { name: 'default:old', here: 2, all: 2 },
    ],
  },
};

describe('the hosts of the cluster', () => {
  it('are in the status of each, with when they were heard', () => {
    const text = statusText(status, NOW);
    assert.match(text, /^cluster +3 hosts, 1 heard, kept in etcd:\/\/10\.0\.0\.9:2379\/$/m);
    assert.match(text, /^here +h1, VXLAN at 10\.0\.0\.1$/m);
    assert.match(text, /^hosts +h2 at 10\.0\.0\.2, silent for 5 min$/m);
    assert.match(text, /^ +h3, gone: neither it nor the host answers for 90 s$/m);
    assert.match(text, /^networks +default:web \(vxlan 10001, 10\.1\.0\.0\/24\): 1 of 3 containers here$/m);
    assert.match(text, /^ +default:old: 2 of 2 containers here$/m);
    assert.ok(!statusText({ ...status, cluster: undefined } as unknown as StatusView, 0).includes('cluster'));
  });

  it('are listed and inspected', async () => {
    await using agent = await fakeAgent({ 'GET /v1/hosts': hosts, 'GET /v1/hosts/h2': hosts[1] });
    const { stdout, code } = await berth(['host', 'ls', '--run-dir', agent.runDir]);
    assert.equal(code, 0);
    assert.deepEqual(
      stdout.split('\n').map((line) => line.split(/ {2,}/)),
      [
        ['HOST', 'VTEP', 'AGENT', 'BERTH', 'ENGINE'],
        ['h1 (here)', '10.0.0.1', 'runs, heard for 2 h', '1.0.0', '-'],
        ['h2', '10.0.0.2', 'silent for 5 min', '1.0.0', '28.5.2'],
        ['h3', '-', 'gone: neither it nor the host answers for 90 s', '0.9.0', '-'],
        [''],
      ],
    );
    assert.equal((await berth(['host', 'ls', '-q', '--run-dir', agent.runDir])).stdout, 'h1\nh2\nh3\n');
    const shown = await berth(['host', 'inspect', 'h2', '--json', '--run-dir', agent.runDir]);
    assert.deepEqual(JSON.parse(shown.stdout), [hosts[1]]);
    const missing = await berth(['host', 'inspect', 'h', '--run-dir', agent.runDir]);
    assert.equal(missing.code, 4);
    assert.match(missing.stderr, /similar: h1, h2, h3/);
  });

  it('are removed when they are gone', async () => {
    await using agent = await fakeAgent({
      'GET /v1/hosts': hosts,
      'DELETE /v1/hosts/h3': { ...hosts[2], removed: { endpoints: 1, leases: 2 } },
      'DELETE /v1/hosts/h2': (_: unknown, response: Parameters<typeof sendError>[0]) =>
        sendError(response, 409, 'HOST_HEARD', 'the agent of the host h2 runs'),
    });
    const removed = await berth(['host', 'rm', 'h3', '--run-dir', agent.runDir]);
    assert.deepEqual(removed, { code: 0, stdout: 'h3 is removed, with 1 endpoint and 2 leases\n', stderr: '' });
    const heard = await berth(['host', 'rm', 'h2', '--run-dir', agent.runDir]);
    assert.equal(heard.code, 1);
    assert.match(heard.stderr, /^berth: the agent of the host h2 runs\n {2}next: /);
  });
});
