import assert from 'node:assert/strict';
import { it } from 'node:test';
import { groupName, rangesOf, rulesOf } from './exposed.ts';

const ports = (...all: readonly [number, number][]) => all.map(([protocol, port]) => ({ protocol, port }));

it('ports are few ranges, whatever their order, each once', () => {
  const some = ports([6, 82], [17, 81], [6, 80], [6, 81], [6, 80], [6, 443]);
  assert.deepEqual(rangesOf(some), [
    { protocol: 6, ports: { first: 80, last: 82 } },
    { protocol: 6, ports: { first: 443, last: 443 } },
    { protocol: 17, ports: { first: 81, last: 81 } },
  ]);
  assert.deepEqual(rangesOf(some.toReversed()), rangesOf(some));
});

it('the name of a group is that of its ports, on every host', () => {
  const name = groupName(rangesOf(ports([6, 80], [17, 53])));
  assert.equal(name, groupName(rangesOf(ports([17, 53], [6, 80], [6, 80]))));
  assert.notEqual(name, groupName(rangesOf(ports([17, 80], [6, 53]))));
  assert.match(name, /^berth-ports-[0-9a-f]{16}$/);
});

it('each is let in by both families; ICMP has another name in each, and no ports', () => {
  const told = rulesOf(rangesOf(ports([1, 0], [1, 8], [132, 7], [47, 0]))).map((rule) => Object.values(rule).join(' '));
  assert.deepEqual(told, ['IPv4 icmp', 'IPv6 ipv6-icmp', 'IPv4 47', 'IPv6 47', 'IPv4 sctp 7 7', 'IPv6 sctp 7 7']);
});
