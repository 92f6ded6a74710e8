/**
 * The same on the datapath in the kernel, which the kernel of a test machine may lack: in a guest, with an engine and the agent.
 * There 802.1Q is at hand too, so a container on a trunk tags by itself.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runInUml } from '../bed/uml.ts';

/** Everything is written to the output with a mark before it; the assertions are made outside. */
const script = `
set -e
say() { echo "== $1: $2"; }
modprobe openvswitch
mkdir -p /run/openvswitch /run/ovs-etc
ovsdb-tool create /run/openvswitch/conf.db /usr/share/openvswitch/vswitch.ovsschema
log='-vconsole:off -vsyslog:off -vfile:off --no-chdir'
OVS_SYSCONFDIR=/run/ovs-etc ovsdb-server /run/openvswitch/conf.db --remote=punix:/run/openvswitch/db.sock $log &
until ovs-vsctl --no-wait --timeout=1 init 2>/dev/null; do sleep 0.2; done
ovs-vswitchd unix:/run/openvswitch/db.sock $log &
ovs-vsctl --timeout=30 add-br ovsbr0
for place in office:120 lab:20; do
  name=\${place%:*} tag=\${place#*:}
  ip netns add $name
  ip link add $name type veth peer name eth0 netns $name
  ip link set $name up
  ip -n $name link set eth0 up
  ip -n $name address add 192.168.$tag.10/24 dev eth0
  ovs-vsctl --timeout=30 add-port ovsbr0 $name tag=$tag
done
say datapath "$(ip -d -j link show ovsbr0 | grep -o '"info_kind":"[a-z]*"')"

$BERTH_REPOSITORY/bin/berth agent --linger 0 --audit-interval 3600 >/run/berth.log 2>&1 &
until [ -S /run/docker/plugins/berth-lan.sock ]; do sleep 0.2; done
lan='-d berth-lan --ipam-driver berth-lan -o mode=ovs -o bridge=ovsbr0'
docker network create $lan --subnet 192.168.120.0/24 --gateway 192.168.120.1 -o vlan=120 -o trunks=20 office >/dev/null
docker run -d --name one --network office --ip 192.168.120.140 bed-busybox httpd -f -p 80 -h /bin >/dev/null
pid=$(docker inspect -f '{{.State.Pid}}' one)
inside() { nsenter -t $pid -n "$@"; }
office() { ip netns exec office "$@"; }
lab() { ip netns exec lab "$@"; }
ping='busybox ping -c 1 -W 2'
say native "$(office $ping 192.168.120.140 >/dev/null && echo reached)"
say tcp "$(office busybox wget -q -O - http://192.168.120.140/busybox | wc -c)"
say offload "$(inside ethtool -k eth0 | grep tx-checksumming)"
say mtu "$(inside ip -o link show eth0 | grep -o 'mtu [0-9]*')"
say lab-untagged "$(lab $ping 192.168.120.140 >/dev/null 2>&1 && echo reached || echo silent)"
inside ip link add link eth0 name eth0.20 type vlan id 20
inside ip address add 192.168.20.140/24 dev eth0.20
inside ip link set eth0.20 up
say trunk "$(lab $ping 192.168.20.140 >/dev/null && echo reached)"

port=$(ovs-vsctl --bare --columns=name find port 'external_ids:berth-network!=""')
say tag "$(ovs-vsctl get port $port tag) $(ovs-vsctl get port $port vlan_mode)"
ovs-vsctl --no-wait del-port $port
tries=0
until ovs-vsctl list-ports ovsbr0 | grep -q $port; do
  tries=$((tries + 1)); [ $tries -lt 100 ] || break; sleep 0.1
done
say repaired "$(ovs-vsctl get port $port tag)"
say reached-again "$(office busybox ping -c 3 -W 2 192.168.120.140 >/dev/null && echo reached)"
say audit "$($BERTH_REPOSITORY/bin/berth audit --json | tr -d '\\n ')"
docker rm -f one >/dev/null
docker network rm office >/dev/null
tries=0
until [ "$(ovs-vsctl list-ports ovsbr0 | sort | xargs)" = 'lab office' ]; do
  tries=$((tries + 1)); [ $tries -lt 100 ] || break; sleep 0.1
done
say left "$(ovs-vsctl list-ports ovsbr0 | sort | xargs) $(ip -o link | grep -c ' b[vp][0-9a-f]\\{13\\}')"
`;

export function inUml(): void {
  test('the datapath in the kernel: native VLAN, trunk, drift, nothing left', { timeout: 660_000 }, async () => {
    const { code, output } = await runInUml(script, { docker: ['--bridge=none', '--iptables=false'] });
    const said = Object.fromEntries(
      [...output.matchAll(/^== ([a-z-]+): (.*)$/gm)].map(([, name, value]) => [name!, value!]),
    );
    assert.equal(code, 0, output);
    assert.ok(Number(said.tcp) > 100_000, output);
    assert.deepEqual(
      { ...said, tcp: 'some' },
      {
        datapath: '"info_kind":"openvswitch"',
        native: 'reached',
        tcp: 'some',
        offload: 'tx-checksumming: on',
        mtu: 'mtu 1500',
        'lab-untagged': 'silent',
        trunk: 'reached',
        tag: '120 native-untagged',
        repaired: '120',
        'reached-again': 'reached',
        audit: '[]',
        left: 'lab office 0',
      },
    );
  });
}
