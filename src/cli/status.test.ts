import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { NeutronStatusView } from '../agent/neutron/status-view.ts';
import { status } from './doctor/healthy-host.ts';
import { statusText } from './status.ts';

const now = Date.parse('2026-11-20T12:00:00Z');
const neutron: NeutronStatusView = {
  host: 'h1',
  files: ['/etc/kuryr/kuryr.conf'],
  services: [],
  ports: 1,
  networks: 2,
  waiting: { count: 0 },
};
const linesOf = (change: Partial<NeutronStatusView>) =>
  statusText({ ...status, neutron: { ...neutron, ...change } }, now).split('\n');

describe('what a host has to do with Neutron', () => {
  it('stands only where a plugin is for it', () => {
    assert.ok(!statusText(status, now).includes('neutron'));
    const lines = linesOf({});
    const at = lines.indexOf('neutron  1 port and 2 networks of the host h1');
    assert.ok(at > 0);
    assert.equal(lines[at + 1], '         not asked yet');
  });

  it('says since when a server is away, and what waits for it', () => {
    const lines = linesOf({
      services: [
        { name: 'Keystone', state: 'answers', since: '2026-11-20T10:00:00Z', asked: '2026-11-20T11:59:00Z' },
        {
          name: 'Neutron',
          state: 'away',
          since: '2026-11-20T11:50:00Z',
          asked: '2026-11-20T11:59:30Z',
          problem: 'connection refused',
        },
      ],
      waiting: { count: 3, problem: 'Neutron is away' },
    });
    const at = lines.findIndex((line) => line.startsWith('neutron'));
    assert.deepEqual(lines.slice(at + 1, at + 4), [
      '         Keystone answers, last asked 60 s ago',
      '         Neutron does not answer for 10 min, last asked 30 s ago: connection refused',
      '         3 to be removed still: Neutron is away',
    ]);
  });
});
