import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type KernelObject, objectKey } from '../kernel/objects.ts';
import { BerthError } from '../model/errors.ts';
import type { EndpointId, NetworkId } from '../model/ids.ts';
import { parseMac } from '../model/mac.ts';
import type { Endpoint } from '../model/network.ts';
import { containerObjects, detourLink, staticRoutes } from './container-objects.ts';
import { chosenMac, containerSettings, planContainer } from './container-options.ts';
import { vethPair } from './veth.ts';

const NETNS = '/run/docker/netns/1';

function endpointWith(options: Record<string, string>, network: Record<string, string> = {}): Endpoint {
  return {
    id: 'e1' as EndpointId,
    network: 'n1' as NetworkId,
    phase: 'attached',
    addresses: [],
    mac: parseMac('0a:00:00:00:00:01')!,
    sandbox: NETNS,
    sandboxInterface: 'eth0',
    publishes: false,
    options,
    settings: planContainer({ options: network }, options),
    createdAt: 0,
  };
}

const settingsOf = (options: Record<string, string>) => containerSettings(endpointWith(options));
const refuses = (options: Record<string, string>, words: RegExp) =>
  assert.throws(
    () => planContainer({ options: {} }, options),
    (error) => error instanceof BerthError && error.code === 'BAD_OPTION' && words.test(error.message),
  );

test('routes and rules', () => {
  const { routes, rules } = settingsOf({
    route: '10.0.0.0/8 via 192.168.1.2, 10.9.9.9,default via 192.168.1.3 table 100, fd00::/8 via fe80::1',
    rule: 'from 192.168.1.5 table 100, to 10.1.0.0/16 priority 5 table 100, fwmark 0x10 table 7',
  });
  assert.deepEqual(routes, [
    { destination: '10.0.0.0/8', via: '192.168.1.2' },
    { destination: '10.9.9.9/32' },
    { destination: '0.0.0.0/0', via: '192.168.1.3', table: 100 },
    { destination: 'fd00::/8', via: 'fe80::1' },
  ]);
  assert.deepEqual(rules, [
    { family: 4, from: '192.168.1.5/32', table: 100 },
    { family: 4, to: '10.1.0.0/16', priority: 5, table: 100 },
    { family: 4, mark: 16, table: 7 },
    { family: 6, mark: 16, table: 7 },
  ]);
  for (const route of ['10.0.0.1/8', 'via 10.0.0.1', '10.0.0.0/8 via', '10.0.0.0/8 via fd00::1', '10.0.0.0/8 dev eth0'])
    refuses({ route }, /the option 'route' is such as/);
  for (const rule of ['from 10.0.0.1', 'table 0', 'from 10.0.0.0/8 to fd00::/8 table 1', 'table 1 table 2'])
    refuses({ rule }, /the option 'rule' is such as/);
});

test('rates and sizes in the units of tc', () => {
  const rate = (text: string) => settingsOf({ rate_in: text }).rateIn;
  assert.deepEqual(['100mbit', '12.5mbps', '1Gibit', '64000', '64kbit', '100kbps'].map(rate), [
    1e8,
    1e8,
    2 ** 30,
    64e3,
    64e3,
    8e5,
  ]);
  for (const text of ['100', '0', '-1mbit', 'fast', '100mb', '9tbit', '1e6'])
    refuses({ rate_out: text }, /'rate_out' is a rate/);
  assert.equal(settingsOf({ rate_in: '1mbit', burst: '64kb' }).burst, 65_536);
  refuses({ rate_in: '1mbit', burst: '100' }, /'burst' is a size/);
  refuses({ burst: '64kb' }, /goes with 'rate_in' or 'rate_out'/);
});

test('what an endpoint leaves open is as the network says', () => {
  const endpoint = endpointWith({ rate_in: '2mbit' }, { rate_in: '1mbit', rate_out: '1mbit', bridge: 'br0' });
  const { rateIn, rateOut } = containerSettings(endpoint);
  assert.deepEqual([rateIn, rateOut], [2e6, 1e6]);
});

test('sysctls are those of the interface only', () => {
  const name = 'com.docker.network.endpoint.sysctls';
  assert.deepEqual(settingsOf({ [name]: 'net.ipv4.conf.IFNAME.rp_filter=2' }).sysctls, [
    { path: 'net/ipv4/conf/IFNAME/rp_filter', value: '2' },
  ]);
  assert.deepEqual(
    settingsOf({ sysctl: 'net.ipv4.conf.ifname.rp_filter=2' }).sysctls[0]?.path,
    'net/ipv4/conf/IFNAME/rp_filter',
  );
  for (const sysctl of ['kernel.panic=1', 'net.ipv4.conf.all.rp_filter=2', 'net.ipv4.conf.IFNAME.rp_filter', 'a=b'])
    refuses({ sysctl }, /the option 'sysctl' is such as/);
});

test('a MAC address, also of a text', () => {
  assert.equal(chosenMac(endpointWith({ mac: '0A-00-00-00-00-05' })), '0a:00:00:00:00:05');
  assert.equal(chosenMac(endpointWith({ mac: 'U:myhost.foo.com' })), '02:72:6c:cd:9b:8d');
  refuses({ mac: 'ff:ff:ff:ff:ff:ff' }, /the option 'mac' is such as/);
  refuses({ interface_name: 'a/b' }, /name of an interface/);
});

test('limits of a pair stand on the host, whoever has the other end; of another link, in the container', () => {
  const options = { rate_in: '10mbit', rate_out: '20mbit' };
  const { sandbox: _none, sandboxInterface: _no, ...started } = endpointWith(options);
  const pair = vethPair(started, 'br0', 1500);
  const keys = (objects: readonly KernelObject[]) => objects.map(objectKey).toSorted();
  const by = detourLink(started);
  assert.deepEqual(keys(containerObjects(started, [pair])), [
    `filter ${pair.name} ingress 1`,
    `link ${by}`,
    `qdisc ${by} root`,
    `qdisc ${pair.name} ingress`,
    `qdisc ${pair.name} root`,
  ]);
  assert.deepEqual(containerObjects(started, []), []);
  assert.deepEqual(keys(containerObjects(endpointWith(options), [])), [
    `filter@${NETNS} eth0 ingress 1`,
    `link@${NETNS} ${by}`,
    `qdisc@${NETNS} ${by} root`,
    `qdisc@${NETNS} eth0 ingress`,
    `qdisc@${NETNS} eth0 root`,
  ]);
});

test('routes of the main table are given to the engine; all of them stand in the container', () => {
  const endpoint = endpointWith({ route: '10.0.0.0/8 via 192.168.1.2, 10.1.0.0/16 table 7', rule: 'fwmark 1 table 7' });
  assert.equal(staticRoutes(endpoint).length, 1);
  const rules = containerObjects(endpoint, []).filter((object) => object.kind === 'rule');
  assert.equal(containerObjects(endpoint, []).length, 4);
  assert.equal(new Set(rules.map(objectKey)).size, 2);
  assert.ok(rules.every(({ priority }) => priority >= 1000 && priority < 32_766));
});
