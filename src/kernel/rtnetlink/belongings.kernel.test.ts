import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { isolate } from '../isolate.ts';
import type { Found } from '../kernel.ts';
import type { Belonging } from '../objects.ts';
import { openRtnetlinkDriver, type RtnetlinkDriver } from './driver.ts';
import { records, run, type Shown } from './testing.ts';

let driver: RtnetlinkDriver;

const setUp = `
link add eth0 address 02:00:00:00:00:01 type veth peer name far
link add eth9 type veth peer name far9
link add br0 type bridge
link set eth0 up
link set far up
link set eth9 up
link set far9 up
link set br0 up
addr add 10.1.0.2/24 brd 10.1.0.255 dev eth0
addr add 10.1.0.3/24 dev eth0 label eth0:1
addr add 10.2.0.2/24 dev eth0 valid_lft 3600 preferred_lft 1800 metric 77
addr add 10.3.0.2/32 peer 10.3.0.1 dev eth0
addr add 10.9.0.2/24 dev eth9
-6 addr add fd01::2/64 dev eth0 nodad
-6 addr add fd01::3/64 dev eth0 nodad valid_lft 600 preferred_lft 300
-6 addr add fd02::2/64 dev eth0 nodad noprefixroute
route add default via 10.1.0.1 dev eth0 metric 50 proto dhcp src 10.1.0.2
route add default via 10.1.0.1 dev eth0 table 100
route add 198.51.100.0/24 via 10.77.0.1 dev eth0 onlink mtu 1400
route add 192.0.2.0/24 metric 4 nexthop via 10.1.0.9 dev eth0 weight 2 nexthop via 10.9.0.9 dev eth9
route add 203.0.113.0/24 dev eth9
-6 route add default via fd01::1 dev eth0 proto ra metric 1024 expires 900 pref high
-6 route add 2001:db8:1::/48 via fd01::1 dev eth0
rule add iif eth0 lookup 100 priority 1000
rule add from 10.1.0.0/24 oif eth0 fwmark 0x10/0xff lookup 100 priority 1001
rule add not from 10.5.0.0/16 iif eth0 ipproto tcp dport 22 suppress_prefixlength 0 lookup main priority 1002
rule add from 10.5.0.0/16 lookup 100 priority 1003
-6 rule add iif eth0 lookup 100 priority 1004
neigh add 10.1.0.77 lladdr 02:00:00:00:00:77 nud permanent dev eth0
neigh add 10.1.0.78 lladdr 02:00:00:00:00:78 nud reachable dev eth0
neigh add proxy 10.1.0.79 dev eth0
-6 neigh add fd01::77 lladdr 02:00:00:00:00:77 nud permanent dev eth0`;

before(() => {
  isolate();
  for (const line of setUp.trim().split('\n')) run(`ip ${line}`);
  driver = openRtnetlinkDriver();
});
after(() => driver.close());

const steps = (found: readonly Found[], of: string, link: string, age = 0): Belonging[] =>
  found.map(({ what, message, index }) => ({ kind: 'belonging', link, what, of, message, index, age }));
const put = (found: readonly Found[], of: string, link: string, age = 0): void => {
  for (const object of steps(
    found.filter(({ implied }) => implied === undefined),
    of,
    link,
    age,
  )) {
    driver.make(object);
  }
};
const take = (found: readonly Found[], link: string): void => {
  for (const object of steps(found, link, link)) driver.unmake(object);
};

/** What iproute2 says of a link, without its name, and without what counts down. */
function shown(link: string): unknown {
  const text = (thing: unknown) =>
    JSON.parse(JSON.stringify(thing).replaceAll(`"${link}"`, '"LINK"').replaceAll(`"${link}:`, '"LINK:')) as unknown;
  const without = (names: readonly string[]) => (record: Shown) =>
    Object.fromEntries(Object.entries(record).filter(([name]) => !names.includes(name)));
  const linked = (record: Shown) =>
    record.dev === link || record.nexthops?.some((hop: { dev: string }) => hop.dev === link) === true;
  const named = ({ iif, oif }: Shown) => iif === link || oif === link;
  return text({
    addresses: records(`ip -j -d addr show dev ${link}`)[0]!
      .addr_info.filter(({ scope }: { scope: string }) => scope === 'global')
      .map((info: Shown) => ({ ...without(['dynamic', 'nodad'])(info), ...rounded(info) })),
    routes: ['-4', '-6'].map((family) =>
      records(`ip -j ${family} route show table all`)
        .filter((route) => linked(route) && !['local', 'multicast', 'anycast', 'broadcast'].includes(route.type))
        .map((route) => (route.expires === undefined ? route : { ...route, expires: Math.ceil(route.expires / 10) }))
        .toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)),
    ),
    rules: ['-4', '-6'].map((family) => records(`ip -j ${family} rule`).filter(named)),
    neighbours: ['-4', '-6'].map((family) => records(`ip -j ${family} neigh show nud permanent dev ${link}`)),
    proxies: records('ip -j neigh show proxy').filter(({ dev }) => dev === link),
  });
}

const rounded = (info: Shown) => ({
  valid_life_time: Math.round(info.valid_life_time / 10),
  preferred_life_time: Math.round(info.preferred_life_time / 10),
});

test('all that hangs on a link moves to another, and back, with all that it has', () => {
  const original = shown('eth0');
  const found = driver.belongings('eth0');
  assert.deepEqual(
    found.filter(({ what }) => what === 'rule').map(({ text }) => text),
    [
      '1000: from all iif eth0 lookup 100',
      '1001: from 10.1.0.0/24 oif eth0 fwmark 0x10 lookup 100',
      '1002: from 10.5.0.0/16 iif eth0 lookup 254',
      '1004: from all iif eth0 lookup 100',
    ],
  );
  assert.ok(found.some(({ text }) => text === 'default via 10.1.0.1 src 10.1.0.2 metric 50'));
  assert.ok(found.some(({ text }) => text === '10.1.0.77 lladdr 02:00:00:00:00:77 permanent'));

  put(found, 'eth0', 'br0');
  take(found, 'eth0');
  // A second time changes nothing, on either side.
  put(found, 'eth0', 'br0');
  take(found, 'eth0');
  assert.deepEqual(shown('br0'), original);
  assert.equal(
    records('ip -j neigh show 10.1.0.78 dev br0')[0]!.lladdr,
    '02:00:00:00:00:78',
    'what was learnt is known',
  );
  assert.deepEqual(
    driver.belongings('eth0').map(({ text }) => text),
    [],
  );

  const back = driver.belongings('br0');
  put(back, 'br0', 'eth0');
  take(back, 'br0');
  assert.deepEqual(shown('eth0'), original);
  assert.equal(records('ip -j route show 203.0.113.0/24')[0]!.dev, 'eth9', 'what is of others stays');
  assert.equal(records('ip -j rule').filter(({ priority }) => priority === 1003).length, 1);
});

test('a lifetime goes on running while it is in no place at all', () => {
  const found = driver.belongings('eth0').filter(({ text }) => text.startsWith('10.2.0.2/24'));
  assert.equal(found.length, 1);
  put(found, 'eth0', 'br0', 1000);
  const [info] = records('ip -j addr show dev br0')[0]!.addr_info.filter(
    ({ local }: { local: string }) => local === '10.2.0.2',
  );
  assert.ok(info.valid_life_time > 2500 && info.valid_life_time <= 2600, `${info.valid_life_time}`);
  for (const object of steps(found, 'eth0', 'br0')) driver.unmake(object);
  put(found, 'eth0', 'br0', 3600);
  assert.deepEqual(driver.belongings('br0'), []);
});

test('a link that is not there has nothing, and says so', () => {
  assert.throws(() => driver.belongings('eth7'), /cannot read what eth7 has: there is no interface eth7/);
});
