import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Exchange } from '../../openstack/api.ts';
import { createReachability } from './reachability.ts';

const exchange = (more: Partial<Exchange>): Exchange => ({
  service: 'Neutron',
  method: 'GET',
  template: '/v2.0/ports',
  status: 200,
  isAway: false,
  seconds: 0.1,
  ...more,
});
const away = exchange({ status: undefined, failure: 'connection refused', isAway: true });

function stage() {
  const told: string[] = [];
  const clock = { now: 0 };
  const reachability = createReachability({
    events: { emit: (event, text) => void told.push(`${event}: ${text}`) },
    back: (service) => void told.push(`back: ${service}`),
    now: () => clock.now,
  });
  return { told, clock, ...reachability };
}

test('what was never asked is not known to be anything', () => {
  const { view, problems } = stage();
  assert.deepEqual([view(), problems()], [[], []]);
});

test('that a server is away is told once, with when it began, and that it is back', () => {
  const { told, clock, observe, view, problems } = stage();
  observe(exchange({}));
  clock.now = 60_000;
  observe(away);
  clock.now = 90_000;
  observe(away);
  assert.deepEqual(told, ['neutron.unreachable: Neutron does not answer: connection refused']);
  assert.deepEqual(view(), [
    {
      name: 'Neutron',
      state: 'away',
      since: '1970-01-01T00:01:00.000Z',
      asked: '1970-01-01T00:01:30.000Z',
      problem: 'connection refused',
    },
  ]);
  assert.deepEqual(problems(), ['Neutron does not answer since 1970-01-01T00:01:00Z: connection refused']);
  clock.now = 120_000;
  observe(exchange({ status: 404 }));
  assert.deepEqual(told.slice(1), ['neutron.reachable: Neutron answers again', 'back: Neutron']);
  assert.deepEqual([view()[0]!.since, problems()], ['1970-01-01T00:02:00.000Z', []]);
});

test('a proxy with nobody behind it is nobody', () => {
  const { observe, problems } = stage();
  observe(exchange({ status: 503, isAway: true }));
  assert.match(problems()[0]!, /Neutron does not answer since .*: it answers 503/);
});

test('our own hurry says nothing of a server', () => {
  const { observe, view } = stage();
  observe(exchange({ status: undefined, failure: 'no answer within 0.1 s', isAway: false }));
  assert.deepEqual(view(), []);
});

test('a password that is wrong is told of, a token that has ended is not', () => {
  const { observe, problems } = stage();
  observe(exchange({ status: 401 }));
  assert.deepEqual(problems(), []);
  observe(exchange({ service: 'Keystone', template: '/v3/auth/tokens', status: 401 }));
  assert.match(problems()[0]!, /^Keystone refuses who we are since .*: \/v3\/auth\/tokens answers 401$/);
});
