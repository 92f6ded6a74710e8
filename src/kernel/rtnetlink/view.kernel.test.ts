import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { formatAddress } from '../../model/address.ts';
import { formatPrefix } from '../../model/prefix.ts';
import { isolate } from '../isolate.ts';
import { openRtnetlinkDriver, type RtnetlinkDriver } from './driver.ts';
import { address, on, prefix, records, run } from './testing.ts';

let driver: RtnetlinkDriver;

before(() => {
  isolate();
  driver = openRtnetlinkDriver();
});

after(() => driver.close());

test('what there is, as ip says it', () => {
  run('ip link add br0 type bridge');
  run('ip link set br0 alias somebody');
  run('ip link set br0 up');
  run('ip link add v0 mtu 1400 type veth peer name v1');
  run('ip link set v0 master br0 up');
  run('ip link set v1 up');
  run('ip addr add 10.1.0.1/24 dev br0 valid_lft 600 preferred_lft 300');
  run('ip addr add fd00::1/64 dev br0 nodad');
  run('ip route add 10.9.0.0/16 via 10.1.0.9 src 10.1.0.1 metric 7 proto static');
  run('ip route add unreachable 10.8.0.0/16 table 1000');
  const view = driver.view();

  const shown = records('ip -j -d link');
  assert.deepEqual(
    view.links.map(({ index, name, mtu, type, mac, master }) => ({ index, name, mtu, type, mac, master })),
    shown.map((link) => ({
      index: link.ifindex,
      name: link.ifname,
      mtu: link.mtu,
      type: link.linkinfo?.info_kind,
      mac: link.ifname === 'lo' ? undefined : link.address,
      master: link.master,
    })),
  );
  const [lo, br0, v1, v0] = ['lo', 'br0', 'v1', 'v0'].map((name) => view.links.find((link) => link.name === name)!);
  assert.deepEqual([lo!.loopback, br0!.loopback], [true, false]);
  assert.deepEqual([br0!.alias, v0!.alias], ['somebody', undefined]);
  assert.deepEqual([v0!.linkIndex, v1!.linkIndex], [v1!.index, v0!.index]);
  assert.deepEqual([v0!.up, v0!.running], [true, true]);

  const ours = view.addresses.filter(({ link }) => link === 'br0');
  const v4 = ours.find(({ address: { address: found } }) => found.family === 4)!;
  assert.equal(formatPrefix(v4.address), '10.1.0.1/24');
  assert.ok(v4.validSeconds! > 500 && v4.validSeconds! <= 600 && v4.preferredSeconds! <= 300);
  assert.deepEqual(
    view.addresses.find(({ link, address: { address: found } }) => link === 'lo' && found.family === 4)?.scope,
    'host',
  );
  assert.ok(ours.some(({ scope, address: found }) => scope === 'link' && formatPrefix(found).startsWith('fe80::')));
  assert.deepEqual(
    ours.find(({ address: found }) => formatPrefix(found) === 'fd00::1/64'),
    { link: 'br0', address: on('fd00::1/64'), scope: 'global' },
  );

  const route = (text: string) => view.routes.find(({ destination }) => formatPrefix(destination) === text);
  assert.deepEqual(route('10.9.0.0/16'), {
    table: 254,
    destination: prefix('10.9.0.0/16'),
    link: 'br0',
    via: address('10.1.0.9'),
    source: address('10.1.0.1'),
    metric: 7,
    protocol: 4,
    scope: 'universe',
    type: 'unicast',
  });
  assert.deepEqual([route('10.8.0.0/16')?.table, route('10.8.0.0/16')?.type], [1000, 'unreachable']);
  assert.deepEqual([route('10.1.0.0/24')?.protocol, route('10.1.0.0/24')?.scope], [2, 'link']);
  assert.equal(route('10.1.0.1/32')?.type, 'local');
  assert.ok(route('fd00::/64'));
});

test('another namespace', (t) => {
  const name = `brn-${randomBytes(4).toString('hex')}`;
  run(`ip netns add ${name}`);
  t.after(() => run(`ip netns del ${name}`));
  run(`ip link add there0 netns ${name} type bridge`);
  const names = driver.view(`/run/netns/${name}`).links.map((link) => link.name);
  assert.deepEqual(names, ['lo', 'there0']);
  assert.ok(!driver.view().links.some((link) => link.name === 'there0'));
  assert.throws(() => driver.view('/run/netns/brn-none'), {
    code: 'KERNEL_REFUSED',
    message: 'cannot read the network namespace /run/netns/brn-none: there is no network namespace /run/netns/brn-none',
  });
});

test('a dump larger than one datagram is whole', () => {
  const count = 300;
  driver.makeAll(
    Array.from({ length: count }, (_, number) => ({ kind: 'link', type: 'ifb', name: `many${number}` }) as const),
  );
  const seen = driver.view().links.filter(({ name }) => name.startsWith('many'));
  assert.equal(new Set(seen.map(({ name }) => name)).size, count);
  driver.unmakeAll(seen.map(({ name }) => ({ kind: 'link', type: 'ifb', name }) as const));
});

test('neighbours that have answered, or that somebody wrote down; not those that may have gone', () => {
  run('ip link add nb0 type bridge');
  run('ip link set nb0 up');
  const macs = ['02:00:00:00:00:0a', '02:00:00:00:00:0b', '02:00:00:00:00:0c'];
  run(`ip neigh add 10.5.0.7 lladdr ${macs[0]} dev nb0 nud reachable`);
  run(`ip neigh add 10.5.0.8 lladdr ${macs[1]} dev nb0 nud stale`);
  run(`ip neigh add fd05::9 lladdr ${macs[2]} dev nb0 nud permanent`);
  const found = driver.neighbours('nb0').map(({ address: of, mac }) => `${formatAddress(of)} ${mac}`);
  assert.deepEqual(found.toSorted(), [`10.5.0.7 ${macs[0]}`, `fd05::9 ${macs[2]}`]);
  assert.deepEqual(driver.neighbours('none'), []);
});
