/** What a card that becomes a bridge port does with its VLANs, on a kernel that has them. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runInUml } from './bed/uml.ts';

test('VLANs of a card, which is a bond, work below a bridge port, before, while and after it is one', async () => {
  const { code, output } = await runInUml(`
    set -e
    ip netns add lan
    ip link add one type veth peer name port netns lan
    ip link add nic0 type bond mode active-backup miimon 100
    ip link set one master nic0
    ip link set one up
    ip link set nic0 up
    ip addr add 192.168.161.20/24 dev nic0
    ip link add link nic0 name nic0.120 type vlan id 120
    ip link set nic0.120 up
    ip addr add 10.120.0.20/24 dev nic0.120
    ip -n lan link set port up
    ip -n lan addr add 192.168.161.2/24 dev port
    ip -n lan link add link port name port.120 type vlan id 120
    ip -n lan link set port.120 up
    ip -n lan addr add 10.120.0.2/24 dev port.120
    $BERTH_REPOSITORY/bin/berth agent --docker unix:///run/none.sock >/run/berth.log 2>&1 &
    for try in $(seq 100); do [ -S /run/docker/plugins/berth-lan.sock ] && break; sleep 0.2; done
    step() { name=$1; shift; if "$@" >/run/step 2>&1; then echo "ok $name"; else echo "FAILED $name: $*"; cat /run/step /run/berth.log; exit 1; fi; }
    cat >/run/call.mjs <<'EOF'
      import { request } from 'node:http';
      const [method] = process.argv.slice(2);
      const body = JSON.stringify({
        NetworkID: 'e'.repeat(64),
        Options: { 'com.docker.network.generic': { parent: 'nic0', confirm: 'none' } },
        IPv4Data: [{ AddressSpace: 'berth', Pool: '192.168.161.0/24' }],
      });
      const path = '/NetworkDriver.' + method;
      const asked = request({ socketPath: '/run/docker/plugins/berth-lan.sock', path, method: 'POST' }, (answer) => {
        answer.on('data', (text) => {
          console.log(String(text));
          process.exitCode = String(text).trim() === '{}' ? 0 : 1;
        });
      });
      asked.end(body);
EOF
    step 'the VLAN, before' busybox ping -c 2 -W 2 10.120.0.2
    step 'a plan names the VLAN' sh -c '$BERTH_REPOSITORY/bin/berth uplink plan nic0 | grep "stay, and work on: nic0.120"'
    step 'a card in a bond is told of the bond' sh -c '$BERTH_REPOSITORY/bin/berth uplink plan one | grep "one is already a port of nic0, a bond: use that with -o parent=nic0"'
    step 'the bond has nothing against it' sh -c '$BERTH_REPOSITORY/bin/berth uplink plan nic0 --json | grep "\\"risks\\": \\[\\]"'
    step 'the card becomes a port' node /run/call.mjs CreateNetwork
    step 'it is one' sh -c 'ip link show nic0 | grep "master br-nic0"'
    step 'the VLAN is where it was' sh -c 'ip -d link show nic0.120 | grep "nic0.120@nic0"'
    step 'the VLAN, on a port' busybox ping -c 2 -W 2 10.120.0.2
    step 'from outside, too' ip netns exec lan busybox ping -c 2 -W 2 10.120.0.20
    step 'and without a tag' ip netns exec lan busybox ping -c 2 -W 2 192.168.161.20
    step 'the card is given back' node /run/call.mjs DeleteNetwork
    step 'the bridge is gone' sh -c '! ip link show br-nic0'
    step 'the VLAN, after' busybox ping -c 2 -W 2 10.120.0.2
    step 'and without a tag, after' ip netns exec lan busybox ping -c 2 -W 2 192.168.161.20
  `);
  assert.equal(code, 0, output);
  assert.equal(output.match(/^ok /gm)?.length, 14, output);
});
