/** Three tenants with the same subnet, gateway and addresses of containers, on two hosts in network namespaces. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { isolate } from '../../kernel/isolate.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { openKernel } from '../../kernel/linux.ts';
import type { Network } from '../../model/network.ts';
import { parsePrefix } from '../../model/prefix.ts';
import { overlayLink } from './overlay.ts';
import { segmentBridge } from './segment.ts';
import { settingsOf } from './settings.ts';
import { address, type Container, createLab, type Host, type Lab, run } from './testing/hosts.ts';
import { call, type Speaker, serve } from './testing/tcp.ts';
import type { ClusterNetwork } from './view.ts';

const TENANTS = ['default', 'red', 'blue'] as const;
type Tenant = (typeof TENANTS)[number];
/** Where nobody of the cluster is: it knows no way to the containers. */
const OUTSIDE4 = '10.9.0.9';
const OUTSIDE6 = 'fd09::9';
const GATEWAYS = ['10.1.0.254', 'fd01::fe'];
const SHOP = ['10.1.0.0/24', 'fd01::/64'];
const STOCK = ['10.2.0.0/24', 'fd02::/64'];

const network = (tenant: string, name: string, tag: number, n: number): ClusterNetwork => ({
  key: `${tenant}:${name}`,
  tenant,
  name,
  encapsulation: 'vxlan',
  tag,
  kind: 'data',
  forwarding: 'routing',
  arp: 'proxy',
  subnets: [
    { prefix: parsePrefix(`10.${n}.0.0/24`)!, gateway: address(`10.${n}.0.254`) },
    { prefix: parsePrefix(`fd0${n}::/64`)!, gateway: address(`fd0${n}::fe`) },
  ],
});
const all = TENANTS.flatMap((tenant, index) => [
  network(tenant, 'shop', 31 + 2 * index, 1),
  network(tenant, 'stock', 32 + 2 * index, 2),
]);

let kernel: Kernel;
let lab: Lab;
let hosts: readonly [Host, Host];
let outside: string;
const nets = new Map<string, Network>();
/** By host, tenant and network. */
const boxes = new Map<string, Container>();
const open: Speaker[] = [];

const at = (host: number, tenant: Tenant, name = 'shop'): Container => boxes.get(`${host} ${tenant}:${name}`)!;
const within = (name: string, line: string): string => run(`ip netns exec ${name} ${line}`);

async function applyAll(): Promise<void> {
  for (const [index, host] of hosts.entries())
    for (const { key } of all) await host.apply(nets.get(`${index} ${key}`)!);
}

before(async () => {
  isolate();
  kernel = await openKernel();
  lab = createLab(kernel, new Map(all.map((one) => [one.key, one])));
  hosts = [await lab.host(1), await lab.host(2)];
  outside = lab.machine(9);
  run(`ip -n ${outside} address add ${OUTSIDE4}/24 dev wire`);
  run(`ip -n ${outside} address add ${OUTSIDE6}/64 dev wire nodad`);
  run(`ip -n ${outside} link set wire up`);
  for (const [index, host] of hosts.entries()) {
    // As strict as a host can be, and with the packet filter for what is only bridged.
    within(host.name, 'sysctl -qw net.ipv4.conf.all.rp_filter=1');
    within(host.name, 'sysctl -qw net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1');
    for (const { key, tenant, name } of all) {
      const made = await host.network({ tenant, network: name }, name === 'shop' ? SHOP : STOCK);
      nets.set(`${index} ${key}`, made);
    }
  }
  await applyAll();
  for (const [index, host] of hosts.entries()) {
    for (const { key, name } of all) {
      const [a, b] = name === 'shop' ? ['10.1.0', 'fd01:'] : ['10.2.0', 'fd02:'];
      const n = index + 1;
      boxes.set(`${n} ${key}`, await host.container(nets.get(`${index} ${key}`)!, `${a}.${n}/24`, `${b}:${n}/64`));
    }
  }
  // Somebody whom only one tenant has.
  boxes.set('0 blue:shop', await hosts[0].container(nets.get('0 blue:shop')!, '10.1.0.77/24', 'fd01::77/64'));
  for (const [index, host] of hosts.entries()) {
    const other = 2 - index;
    host.remotes = new Map(all.map(({ key }) => [key, [boxes.get(`${other} ${key}`)!.remote]]));
  }
  await applyAll();
});

after(async () => {
  for (const one of open) await one.close();
  lab.close();
  await kernel.close();
});

test('each tenant has its own containers at the same addresses, on this host and the other', () => {
  for (const tenant of TENANTS) {
    for (const [to, name] of [
      ['10.1.0.2', 'shop'],
      ['fd01::2', 'shop'],
      ['10.2.0.2', 'stock'],
      ['fd02::2', 'stock'],
    ] as const) {
      const tags = all.filter((one) => one.name === name);
      const family = to.includes(':')
        ? `ip6 daddr ${to} icmpv6 type echo-request`
        : `ip daddr ${to} icmp type echo-request`;
      for (const { tag, tenant: whose } of tags) {
        const arrived = hosts[1].counting(overlayLink(tag), family);
        assert.ok(at(1, tenant).pings(to), `${tenant} ${to}`);
        assert.equal(arrived(), whose === tenant ? 1 : 0, `${tenant} ${to} by the tunnel of ${whose}`);
      }
    }
    assert.ok(at(1, tenant).pings('10.2.0.1'), `${tenant}, routed on one host`);
  }
});

test('the gateway answers the containers of all tenants', () => {
  for (const tenant of TENANTS)
    for (const to of [...GATEWAYS, '10.9.0.1', 'fd09::1']) assert.ok(at(1, tenant).pings(to), `${tenant} ${to}`);
});

/** All call with one source port; what each says must come back to it and to nobody else. */
async function allCall(server: Speaker, from: (tenant: Tenant) => string, to: string, port: number): Promise<string[]> {
  const calls = TENANTS.map((tenant) => call(from(tenant), to, port, 40_000));
  open.push(...calls);
  const seen: string[] = [];
  for (const [index, one] of calls.entries()) {
    assert.equal(await one.next(), 'connected', TENANTS[index]);
    seen.push(await server.next());
  }
  for (const round of ['first', 'second']) {
    for (const [index, one] of calls.entries()) one.say(`${TENANTS[index]} ${round}`);
    for (const [index, one] of calls.entries())
      assert.match(await one.next(), new RegExp(`^\\d+ ${TENANTS[index]} ${round}$`));
  }
  for (const one of calls) await one.close();
  return seen;
}

test('all tenants speak at once to one destination outside from one source port, hidden behind the host', async () => {
  const server = await serve(outside, 8080);
  open.push(server);
  for (const [to, host] of [
    [OUTSIDE4, '10.9.0.1'],
    [OUTSIDE6, 'fd09::1'],
  ] as const) {
    const seen = await allCall(server, (tenant) => at(1, tenant).name, to, 8080);
    assert.equal(new Set(seen).size, TENANTS.length, seen.join(', '));
    for (const one of seen) assert.ok(one.startsWith(`from ${host} `), one);
  }
});

test('and to what listens on the host, by the gateway address', async () => {
  const server = await serve(hosts[0].name, 8081);
  open.push(server);
  for (const to of GATEWAYS) {
    const seen = await allCall(server, (tenant) => at(1, tenant).name, to, 8081);
    for (const one of seen) assert.match(one, / (10\.1\.0\.1|fd01::1) /);
  }
});

test('connections that look alike in all tenants are as many, bridged and routed, and nothing in them is rewritten', async () => {
  for (const [name, to] of [
    ['shop', '10.1.0.2'],
    ['stock', '10.2.0.2'],
    ['shop', 'fd01::2'],
    ['stock', 'fd02::2'],
  ] as const) {
    for (const tenant of TENANTS) {
      const server = await serve(at(2, tenant, name).name, 8082);
      open.push(server);
    }
    const servers = open.splice(-TENANTS.length);
    const calls = TENANTS.map((tenant) => call(at(1, tenant).name, to, 8082, 40_001));
    open.push(...servers, ...calls);
    for (const [index, tenant] of TENANTS.entries()) {
      assert.equal(await calls[index]!.next(), 'connected', `${tenant} ${to}`);
      assert.match(await servers[index]!.next(), / 40001$/);
    }
    for (const [index, tenant] of TENANTS.entries()) calls[index]!.say(tenant);
    for (const [index, tenant] of TENANTS.entries()) assert.equal(await calls[index]!.next(), `40001 ${tenant}`);
    for (const one of [...servers, ...calls]) await one.close();
  }
});

test('nothing crosses between tenants', () => {
  assert.ok(at(1, 'blue').pings('10.1.0.77'));
  const arrived = hosts[0].counting(segmentBridge('blue:shop'), 'ip daddr 10.1.0.77');
  for (const tenant of ['default', 'red'] as const) {
    assert.ok(!at(1, tenant).pings('10.1.0.77'), tenant);
    assert.ok(!at(1, tenant).pings('fd01::77'), tenant);
    assert.ok(!at(1, tenant, 'stock').pings('10.1.0.77'), `${tenant}, routed`);
    assert.ok(!at(1, tenant, 'stock').pings('fd01::77'), `${tenant}, routed`);
  }
  assert.equal(arrived(), 0);
});

test("the host's own processes reach the tenant default", () => {
  // The second line of a protocol has the values for the names of the first.
  const echoes = (tenant: Tenant) => {
    const [names, values] = within(at(1, tenant).name, 'cat /proc/net/snmp').match(/^Icmp: .*$/gm)!;
    return Number(values!.split(' ')[names!.split(' ').indexOf('InEchos')]);
  };
  const before = TENANTS.map(echoes);
  within(hosts[0].name, 'busybox ping -c 1 -W 1 10.1.0.1');
  assert.deepEqual(
    TENANTS.map((tenant, index) => echoes(tenant) - before[index]!),
    [1, 0, 0],
  );
});

test('what somebody removed is missed and mended', async () => {
  const { name } = hosts[0];
  const { domain, bridge } = settingsOf(nets.get('0 red:shop')!);
  const table = 186_000_000 + domain!;
  for (const [line, what] of [
    [`ip -n ${name} rule del iif ${bridge} lookup ${table}`, /rule.* iif bt/],
    [
      `ip -n ${name} -6 rule del fwmark 0x${(0xbe700000 + domain!).toString(16)} lookup ${table}`,
      /rule.* inet6 .*fwmark/,
    ],
    [`ip -n ${name} route flush table ${table}`, /route.* table 186/],
    [`ip netns exec ${name} nft delete element inet berth_tenants zones { "${bridge}" }`, /nft-element.* zones/],
    [`ip netns exec ${name} nft flush chain inet berth_tenants output`, /nft-table.* berth_tenants/],
  ] as const) {
    run(line);
    const drifts = await kernel.audit({ repair: true });
    assert.ok(drifts.length > 0, line);
    for (const { key, repaired } of drifts) {
      assert.match(key, what);
      assert.ok(repaired, key);
    }
    assert.deepEqual(await kernel.audit({ repair: false }), []);
  }
  assert.ok(at(1, 'red').pings('10.2.0.2'));
  assert.ok(at(1, 'red').pings(OUTSIDE4));
});

test('what comes back for a tenant whose bridge has gone is dropped, and not given to another', async () => {
  const { name } = hosts[0];
  const server = await serve(outside, 8083);
  open.push(server);
  for (const [index, tenant] of (['red', 'default'] as const).entries()) {
    const talk = call(at(1, tenant).name, OUTSIDE4, 8083, 40_002 + index);
    open.push(talk);
    assert.equal(await talk.next(), 'connected');
  }
  const answers = `ip saddr ${OUTSIDE4} tcp sport 8083 tcp flags psh`;
  run(
    `ip netns exec ${name} nft -f -`,
    `table inet watch {
      chain in { type filter hook prerouting priority -500; ${answers} counter; }
      chain out { type filter hook postrouting priority 300; oifname "bt*" ${answers} counter; }
    }`,
  );
  /** How many of the answers that came were sent on. */
  const sentOn = async (): Promise<number> => {
    const packets = () =>
      [...within(name, 'nft list table inet watch').matchAll(/packets (\d+)/g)].map(([, count]) => Number(count));
    const [cameBefore, wentBefore] = packets();
    server.say('are you there');
    const deadline = performance.now() + 5000;
    while (packets()[0]! < cameBefore! + 2 && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 20));
    const [came, went] = packets();
    assert.ok(came! >= cameBefore! + 2);
    return went! - wentBefore!;
  };
  assert.equal(await sentOn(), 2);
  // The first that is left in the main table is that of the tenant default, and then blue's.
  await hosts[0].withdraw(nets.get('0 red:shop')!);
  assert.equal(await sentOn(), 1);
  await hosts[0].withdraw(nets.get('0 default:shop')!);
  assert.equal(await sentOn(), 0);
  for (const tenant of ['default', 'red'] as const) await hosts[0].apply(nets.get(`0 ${tenant}:shop`)!);
});

test('nothing is left', async () => {
  for (const [index, host] of hosts.entries()) {
    for (const { key } of all) await host.withdraw(nets.get(`${index} ${key}`)!);
    assert.doesNotMatch(run(`ip -n ${host.name} rule show`) + run(`ip -n ${host.name} -6 rule show`), /1860/);
    assert.doesNotMatch(within(host.name, 'nft list tables'), /inet berth/);
    assert.doesNotMatch(run(`ip -n ${host.name} route show table all`), /10\.[12]\.0|fd0[12]:/);
  }
});
