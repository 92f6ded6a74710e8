import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { isolate } from '../isolate.ts';
import { type LinkAddress, type Neighbour, objectKey, type Route, type Rule } from '../objects.ts';
import { openRtnetlinkDriver, type RtnetlinkDriver } from './driver.ts';
import { address, drift, lifecycle, mac, on, prefix, records, run, type Shown } from './testing.ts';

let driver: RtnetlinkDriver;

before(() => {
  isolate();
  driver = openRtnetlinkDriver();
  for (const name of ['br0', 'br1']) {
    driver.make({ kind: 'link', type: 'bridge', name, up: true });
    driver.make({ kind: 'link', type: 'veth', name: `${name}p`, up: true, master: name, peer: { name: `${name}q` } });
    driver.make({ kind: 'link', type: 'adopted', name: `${name}q`, up: true });
  }
  driver.make({ kind: 'address', link: 'br0', address: on('10.1.0.1/24') });
  driver.make({ kind: 'address', link: 'br0', address: on('fd00::1/64') });
});

after(() => driver.close());

function shown(link: string, local: string): Shown | undefined {
  return records(`ip -j addr show dev ${link}`)[0]!.addr_info.find((info: { local: string }) => info.local === local);
}

function routes(selection: string): Shown[] {
  return records(`ip -j -d ${selection}`);
}

test('addresses come and go', () => {
  for (const text of ['10.2.0.5/24', '10.3.0.5/32', '10.4.0.4/31', 'fd02::5/64', 'fd03::5/128']) {
    const object: LinkAddress = { kind: 'address', link: 'br1', address: on(text) };
    lifecycle(driver, object, () => shown('br1', text.split('/')[0]!)?.prefixlen === Number(text.split('/')[1]));
  }
});

test('an IPv6 address can be used at once', () => {
  driver.make({ kind: 'address', link: 'br1', address: on('fd02::6/64') });
  const info = shown('br1', 'fd02::6')!;
  assert.equal(info.nodad, true);
  assert.equal(info.tentative, undefined);
});

test('an address with and without its on-link route', () => {
  for (const [text, family] of [
    ['10.6.0.1/24', ''],
    ['fd06::1/64', '-6 '],
  ] as const) {
    const quiet: LinkAddress = { kind: 'address', link: 'br1', address: on(text), noPrefixRoute: true };
    const network = text.replace('1/', '/').replace('10.6.0./', '10.6.0.0/');
    driver.make(quiet);
    assert.deepEqual(drift(driver, quiet), []);
    assert.equal(routes(`${family}route show dev br1 ${network}`).length, 0, network);
    const loud: LinkAddress = { ...quiet, noPrefixRoute: false };
    driver.make(loud);
    assert.deepEqual(drift(driver, loud), []);
    assert.equal(routes(`${family}route show dev br1 ${network}`).length, 1, network);
    driver.make(quiet);
    assert.deepEqual(drift(driver, quiet), []);
    driver.unmake(quiet);
  }
});

test('a lifetime runs down without being a difference, and is renewed', () => {
  const leased: LinkAddress = {
    kind: 'address',
    link: 'br1',
    address: on('10.7.0.1/24'),
    validSeconds: 3600,
    preferredSeconds: 1800,
  };
  driver.make(leased);
  const { valid_life_time, preferred_life_time } = shown('br1', '10.7.0.1')!;
  assert.ok(valid_life_time <= 3600 && valid_life_time > 3500);
  assert.ok(preferred_life_time <= 1800 && preferred_life_time > 1700);
  run('ip addr change 10.7.0.1/24 dev br1 valid_lft 1000 preferred_lft 500');
  assert.deepEqual(drift(driver, leased), [], 'it would be so an hour later');
  driver.make(leased);
  assert.ok(shown('br1', '10.7.0.1')!.valid_life_time > 3500);
  run('ip addr change 10.7.0.1/24 dev br1 valid_lft 9000 preferred_lft 500');
  assert.deepEqual(drift(driver, leased), [{ name: 'validSeconds', declared: '3600', found: '9000' }]);
});

test('an IPv6 address with another prefix length gives way', () => {
  run('ip addr add fd08::1/48 dev br1 nodad');
  const object: LinkAddress = { kind: 'address', link: 'br1', address: on('fd08::1/64') };
  assert.equal(drift(driver, object), 'missing');
  driver.make(object);
  assert.deepEqual(drift(driver, object), []);
});

test('addresses of many links are found in one go', () => {
  const wanted: LinkAddress[] = [];
  for (let number = 0; number < 12; number++) {
    run(`ip link add ifb${number + 10} type ifb`);
    const object: LinkAddress = { kind: 'address', link: `ifb${number + 10}`, address: on(`10.8.${number}.1/24`) };
    wanted.push(object);
    if (number !== 5) driver.make(object);
  }
  const found = driver.find(wanted, undefined);
  assert.deepEqual(
    wanted.filter((object) => !found.has(objectKey(object))),
    [wanted[5]],
  );
});

test('an address on a link that is not there', () => {
  const object: LinkAddress = { kind: 'address', link: 'nolink', address: on('10.9.9.9/24') };
  assert.equal(drift(driver, object), 'missing');
  assert.throws(() => driver.make(object), {
    code: 'INTERFACE_UNKNOWN',
    message: 'cannot make the address 10.9.9.9/24 on nolink: there is no interface nolink',
  });
  driver.unmake(object);
});

const viaGateway: Route = {
  kind: 'route',
  destination: prefix('10.9.0.0/16'),
  via: address('10.1.0.9'),
  link: 'br0',
};

test('routes come and go', () => {
  const all: readonly (readonly [Route, string])[] = [
    [viaGateway, 'route show 10.9.0.0/16 via 10.1.0.9 dev br0 proto 186'],
    [{ ...viaGateway, table: 1000, metric: 7 }, 'route show table 1000 10.9.0.0/16 metric 7'],
    [
      { kind: 'route', destination: prefix('10.10.0.0/16'), link: 'br0', source: address('10.1.0.1') },
      'route show 10.10.0.0/16 scope link src 10.1.0.1',
    ],
    [
      { kind: 'route', destination: prefix('10.11.0.0/16'), type: 'unreachable', protocol: 99 },
      'route show type unreachable proto 99 10.11.0.0/16',
    ],
    [{ kind: 'route', destination: prefix('0.0.0.0/0'), via: address('10.1.0.9'), link: 'br0' }, 'route show default'],
    [{ ...viaGateway, via: address('192.168.9.9'), onlink: true }, 'route show 10.9.0.0/16 via 192.168.9.9'],
    [{ ...viaGateway, destination: prefix('10.12.0.0/16'), via: address('fd00::9') }, 'route show 10.12.0.0/16'],
    [
      { kind: 'route', destination: prefix('fd09::/64'), via: address('fd00::9'), link: 'br0', scope: 'universe' },
      '-6 route show fd09::/64 metric 1024',
    ],
    [
      { kind: 'route', destination: prefix('fd0a::/64'), link: 'br0', metric: 5, table: 1000 },
      '-6 route show fd0a::/64 metric 5 table 1000',
    ],
    [{ kind: 'route', destination: prefix('fd0b::/64'), type: 'blackhole' }, '-6 route show type blackhole fd0b::/64'],
    [{ kind: 'route', destination: prefix('::/0'), via: address('fd00::9'), link: 'br0' }, '-6 route show default'],
  ];
  for (const [route, selection] of all) lifecycle(driver, route, () => routes(selection).length === 1);
});

test('a route that leads elsewhere is led back', () => {
  driver.make(viaGateway);
  run('ip route replace 10.9.0.0/16 via 10.1.0.77 dev br0 proto 186');
  assert.deepEqual(drift(driver, viaGateway), [{ name: 'via', declared: '10.1.0.9', found: '10.1.0.77' }]);
  driver.make(viaGateway);
  assert.deepEqual(drift(driver, viaGateway), []);
  assert.equal(routes('route show 10.9.0.0/16').length, 1);

  const six: Route = { kind: 'route', destination: prefix('fd09::/64'), via: address('fd00::9'), link: 'br0' };
  driver.make(six);
  run('ip -6 route replace fd09::/64 via fd00::77 dev br0 proto 186');
  assert.deepEqual(drift(driver, six), [{ name: 'via', declared: 'fd00::9', found: 'fd00::77' }]);
  driver.make(six);
  assert.deepEqual(drift(driver, six), []);
  assert.equal(routes('-6 route show fd09::/64').length, 1);
  driver.unmake(viaGateway);
  driver.unmake(six);
});

test("somebody else's route is not removed for ours", () => {
  const ours: Route = {
    kind: 'route',
    destination: prefix('0.0.0.0/0'),
    via: address('10.1.0.9'),
    link: 'br0',
    protocol: 4,
  };
  // To the kernel, a deletion with metric 0 would fit this one too.
  run('ip route add default via 10.1.0.9 dev br0 metric 100 proto static');
  driver.unmake(ours);
  assert.equal(routes('route show default').length, 1);
  run('ip route add 10.9.0.0/16 via 10.1.0.9 dev br0 proto static');
  driver.unmake(viaGateway);
  assert.equal(routes('route show 10.9.0.0/16').length, 1);
  run('ip route del 10.9.0.0/16');
  run('ip route del default');
});

test('a route that the kernel refuses says why', () => {
  assert.throws(() => driver.make({ ...viaGateway, via: address('172.31.0.1') }), {
    code: 'KERNEL_REFUSED',
    message:
      "cannot make the route to 10.9.0.0/16 via 172.31.0.1 on br0: the kernel says 'Nexthop has invalid gateway' (ENETUNREACH)",
  });
  driver.unmake({ ...viaGateway, link: 'nolink' });
});

const rule: Rule = { kind: 'rule', family: 4, priority: 100, table: 1000, from: prefix('10.1.0.0/24') };

test('rules come and go', () => {
  const all: readonly (readonly [Rule, string])[] = [
    [rule, 'rule show priority 100 from 10.1.0.0/24 table 1000'],
    [{ ...rule, to: prefix('10.2.0.0/16'), mark: 7, inputLink: 'br0' }, 'rule show fwmark 7 iif br0'],
    [{ kind: 'rule', family: 4, priority: 101, table: 70, from: prefix('0.0.0.0/0') }, 'rule show priority 101'],
    [{ kind: 'rule', family: 6, priority: 100, table: 70000, to: prefix('fd00::/8') }, '-6 rule show table 70000'],
  ];
  for (const [object, selection] of all) lifecycle(driver, object, () => records(`ip -j ${selection}`).length === 1);
});

test("a rule that changed is replaced, and somebody else's of the same priority stays", () => {
  run('ip rule add priority 100 from 10.77.0.0/16 table 5');
  driver.make(rule);
  const changed: Rule = { ...rule, table: 1001 };
  const fields = drift(driver, changed) as { name: string }[];
  assert.deepEqual(fields, [{ name: 'table', declared: '1001', found: '1000' }]);
  driver.make(changed);
  assert.deepEqual(drift(driver, changed), []);
  const there = () => records('ip -j rule show priority 100').map((record) => record.table);
  assert.deepEqual(
    there().toSorted((a, b) => a.localeCompare(b)),
    ['1001', '5'],
  );
  driver.unmake(changed);
  assert.deepEqual(there(), ['5']);
  run('ip rule del priority 100');
});

test('rules of one priority that select other interfaces or marks stand side by side', () => {
  const three: readonly Rule[] = [
    { kind: 'rule', family: 4, priority: 100, table: 1000, inputLink: 'br0' },
    { kind: 'rule', family: 4, priority: 100, table: 1000, inputLink: 'br1' },
    { kind: 'rule', family: 4, priority: 100, table: 1001, mark: 0xbe700001 },
  ];
  const there = () => records('ip -j rule show priority 100').length;
  for (const one of three) driver.make(one);
  assert.equal(there(), 3);
  for (const one of three) assert.deepEqual(drift(driver, one), []);
  driver.make({ ...three[0]!, table: 1002 });
  assert.deepEqual(drift(driver, three[0]!), [{ name: 'table', declared: '1000', found: '1002' }]);
  assert.equal(there(), 3);
  driver.unmake(three[1]!);
  assert.equal(drift(driver, three[1]!), 'missing');
  assert.deepEqual(drift(driver, three[2]!), []);
  for (const one of three) driver.unmake(one);
  assert.equal(there(), 0);
});

test('neighbours come and go', () => {
  const all: readonly (readonly [Neighbour, string])[] = [
    [
      { kind: 'neighbour', link: 'br0', address: address('10.1.0.7'), mac: mac('02:42:0a:01:00:07') },
      'neigh show 10.1.0.7 nud permanent',
    ],
    [
      { kind: 'neighbour', link: 'br0', address: address('fd00::7'), mac: mac('02:42:0a:01:00:07') },
      '-6 neigh show fd00::7 nud permanent',
    ],
    [{ kind: 'neighbour', link: 'br0', address: address('10.1.0.8'), proxy: true }, 'neigh show proxy 10.1.0.8'],
    [{ kind: 'neighbour', link: 'br0', address: address('fd00::8'), proxy: true }, '-6 neigh show proxy fd00::8'],
  ];
  for (const [object, selection] of all) lifecycle(driver, object, () => records(`ip -j ${selection}`).length === 1);
});

test('a neighbour that the kernel learnt is not the declared one, and one with another MAC is put right', () => {
  const neighbour: Neighbour = {
    kind: 'neighbour',
    link: 'br0',
    address: address('10.1.0.7'),
    mac: mac('02:42:0a:01:00:07'),
  };
  run('ip neigh add 10.1.0.7 lladdr 02:42:0a:01:00:07 dev br0 nud reachable');
  assert.equal(drift(driver, neighbour), 'missing');
  driver.make(neighbour);
  assert.deepEqual(drift(driver, neighbour), []);
  run('ip neigh replace 10.1.0.7 lladdr 02:42:0a:01:00:99 dev br0 nud permanent');
  assert.deepEqual(drift(driver, neighbour), [
    { name: 'mac', declared: '02:42:0a:01:00:07', found: '02:42:0a:01:00:99' },
  ]);
  driver.make(neighbour);
  assert.deepEqual(drift(driver, neighbour), []);
});

test('lines of one kind are found among others', () => {
  const two: Neighbour[] = ['10.1.0.21', '10.1.0.22'].map((text) => ({
    kind: 'neighbour',
    link: 'br0',
    address: address(text),
    mac: mac('02:42:0a:01:00:21'),
  }));
  driver.makeAll(two);
  assert.equal(driver.find([...two, rule, viaGateway], undefined).size, 2);
});
