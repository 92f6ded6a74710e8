import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { runInUml } from './uml.ts';

test('User-Mode Linux: links that this kernel may lack, Node with native calls, and no trace on the machine', async () => {
  const mark = `/etc/berth-uml-${process.pid}`;
  const { code, output } = await runInUml(`
    uname -r
    ip link add d0 type veth peer name d1
    ip link add link d0 name d0.5 type vlan id 5
    ip link add link d0 name iv0 type ipvlan mode l2
    ip link add b0 type bridge vlan_filtering 1
    ip -d link show d0.5
    echo trace >${mark}; ls ${mark}
    node -e '
      const koffi = require(process.env.BERTH_REPOSITORY + "/node_modules/koffi");
      console.log("index of iv0:", koffi.load("libc.so.6").func("unsigned int if_nametoindex(const char *)")("iv0"));'
    exit 3`);
  assert.equal(code, 3);
  assert.match(output, /^6\.1\.\d+/);
  assert.match(output, /vlan protocol 802\.1Q id 5/);
  assert.match(output, /index of iv0: [1-9]/);
  assert.match(output, new RegExp(`^${mark}$`, 'm'));
  assert.ok(!existsSync(mark));
});

test('User-Mode Linux: a Docker engine with a network on a VLAN of a card', async () => {
  const { code, output } = await runInUml(
    `
    ip link add d0 type veth peer name d1; ip link set d0 up; ip link set d1 up
    docker network create -d macvlan --subnet 10.8.0.0/24 -o parent=d0.20 vlan20
    docker run --rm --network vlan20 bed-busybox ip -4 -o addr show eth0
    ip -d link show d0.20`,
    { docker: ['--bridge=none', '--iptables=false'] },
  );
  assert.equal(code, 0, output);
  assert.match(output, /eth0 +inet 10\.8\.0\.2\/24/);
  assert.match(output, /vlan protocol 802\.1Q id 20/);
});

test('User-Mode Linux: a guest that hangs is killed', async () => {
  await assert.rejects(
    runInUml('echo so far; exec sleep 600', { timeout: 30_000 }),
    /did not come to the end[\s\S]*so far/,
  );
});
