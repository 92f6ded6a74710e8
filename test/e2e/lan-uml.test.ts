/** The ways onto the wire that need what a test machine's kernel may lack, with a real engine, in a User-Mode Linux guest. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runInUml } from './bed/uml.ts';
import { stage } from './suites/uml-stage.ts';

test('a VLAN of a card: as a bridge, and under macvlan', async () => {
  const { code, output } = await runInUml(
    `${stage}
    create --subnet 10.120.0.0/24 --gateway 10.120.0.2 -o parent=nic0 -o vlan=120 tagged
    ip link show nic0.120 2>/dev/null && exit 1
    ip -n lan addr add 10.120.0.50/24 dev port.120
    step 'bridge: an address that a machine on the VLAN has is refused' sh -c '! docker run --rm --network tagged --ip 10.120.0.50 bed-busybox true 2>/run/refusal && grep "another machine on the LAN has the address 10.120.0.50" /run/refusal'
    run --name c1 --network tagged --ip 10.120.0.140
    step 'bridge: the VLAN is there' sh -c 'ip -d link show nic0.120 | grep "vlan protocol 802.1Q id 120"'
    step 'bridge: the container reaches the VLAN' within c1 ping -c 2 -W 2 10.120.0.2
    step 'bridge: and is reached' heard 10.120.0.140
    step 'bridge: its default route is the gateway' sh -c 'docker exec c1 ip route | grep "default via 10.120.0.2"'
    create --subnet 10.130.0.0/24 --gateway 10.130.0.2 -o mode=macvlan -o parent=nic0.130 direct
    run --name c2 --network direct --ip 10.130.0.140
    step 'macvlan: the VLAN is there' sh -c 'ip -d link show nic0.130 | grep "vlan protocol 802.1Q id 130"'
    step 'macvlan: the container is reached' heard 10.130.0.140
    step 'macvlan: not from the other VLAN' sh -c '! docker exec c1 ping -c 1 -W 1 10.130.0.140'
    known
    ip link del nic0.130
    step 'macvlan: a deleted VLAN comes back' $BERTH_REPOSITORY/bin/berth audit --repair
    step 'macvlan: with its container' heard 10.130.0.140
    clear tagged direct
    for link in nic0.120 nic0.130 br-nic0.120; do step "nothing is left: $link" gone $link; done
    ip link add link nic0 name nic0.120 type vlan id 120
    create --subnet 10.120.0.0/24 --gateway 10.120.0.2 -o mode=macvlan -o parent=nic0 -o vlan=120 adopted
    run --name c3 --network adopted --ip 10.120.0.141
    step 'adopted: the container is reached' heard 10.120.0.141
    clear adopted
    sleep 7
    step 'adopted: the VLAN stays' ip link show nic0.120
    kill $agent`,
    { docker: ['--bridge=none', '--iptables=false'] },
  );
  assert.equal(code, 0, output);
  assert.equal(output.match(/^ok /gm)?.length, 15, output);
});

test('ipvlan in each of its modes', async () => {
  const { code, output } = await runInUml(
    `${stage}
    for mode in l2 l3 l3s; do
      create --subnet 192.168.161.0/24 --gateway 192.168.161.2 --ipv6 --subnet fd00:161::/64 -o mode=ipvlan -o ipvlan_mode=$mode -o parent=nic0 $mode
      run --name c1 --network $mode --ip 192.168.161.140 --ip6 fd00:161::140
      step "$mode: the MAC of the card" [ "$(within c1 cat /sys/class/net/eth0/address)" = "$(cat /sys/class/net/nic0/address)" ]
      # In l3 nobody answers for the container's address: the LAN has a route to it.
      [ $mode = l2 ] || ip -n lan route replace 192.168.161.140/32 via 192.168.161.20
      step "$mode: the container reaches the LAN" within c1 ping -c 2 -W 2 192.168.161.2
      step "$mode: and is reached" heard 192.168.161.140
      step "$mode: the host reaches it" busybox ping -c 2 -W 2 192.168.161.140
      step "$mode: and is reached by it" within c1 ping -c 2 -W 2 192.168.161.20
      known
      step "$mode: by IPv6 too" within c1 ping -c 2 -W 2 fd00:161::20
      step "$mode: and it reaches" busybox ping -c 2 -W 2 fd00:161::140
      clear $mode
      ip -n lan route del 192.168.161.140/32 2>/dev/null || true
      sleep 6
      step "$mode: nothing is left" sh -c '! ip link | grep -E " b[ps][0-9a-f]{13}"'
    done
    create --subnet 192.168.161.0/24 -o mode=ipvlan -o parent=nic0 own
    step 'a MAC of its own is refused' sh -c 'docker run --rm --network own --mac-address 02:42:00:00:00:05 bed-busybox true 2>&1 | grep "have the MAC address"'
    kill $agent`,
    { docker: ['--bridge=none', '--iptables=false'] },
  );
  assert.equal(code, 0, output);
  assert.equal(output.match(/^ok /gm)?.length, 25, output);
});

test('an interface that leads nowhere, as a network and by berth attach for two containers; berth attach to a VLAN', async () => {
  const { code, output } = await runInUml(
    `${stage}
    berth=$BERTH_REPOSITORY/bin/berth
    create --subnet 10.9.0.0/24 -o mode=dummy nowhere
    run --name c1 --network nowhere --ip 10.9.0.5
    step 'network: a dummy with the address' sh -c 'docker exec c1 ip addr show eth0 | grep "inet 10.9.0.5/24"'
    step 'network: the container reaches itself' within c1 ping -c 1 -W 2 10.9.0.5
    run --name c2 --network none
    step 'attach' $berth attach c1 --mode dummy --address 192.168.161.99/32 --interface vip
    step 'attach: the same address to another' $berth attach c2 --mode dummy --address 192.168.161.99/32 --interface vip
    step 'attach: the address is there' sh -c 'docker exec c2 ip addr show vip | grep "inet 192.168.161.99/32"'
    step 'attach: up' sh -c 'docker exec c2 ip link show vip | grep "[<,]UP[,>]"'
    step 'attach: nobody on the LAN hears of it' sh -c '! ip netns exec lan busybox ping -c 1 -W 1 192.168.161.99'
    docker exec --privileged c2 ip link del vip
    step 'repaired' $berth audit --repair
    step 'repaired: the address is back' sh -c 'docker exec c2 ip addr show vip | grep "inet 192.168.161.99/32"'
    step 'detach' $berth detach c2
    step 'detach: gone' sh -c '! docker exec c2 ip link show vip'
    step 'VLAN: attach' $berth attach c2 --parent nic0 --vlan 120 --address 10.120.0.150/24 --gateway 10.120.0.2
    step 'VLAN: is reached' heard 10.120.0.150
    step 'VLAN: the sub-interface is there' ip link show nic0.120
    step 'VLAN: detach' $berth detach c2
    step 'VLAN: the sub-interface goes' gone nic0.120
    clear nowhere
    step 'nothing is left' sh -c '[ "$($0 attachment ls -q)" = "" ]' $berth
    kill $agent`,
    { docker: ['--bridge=none', '--iptables=false'] },
  );
  assert.equal(code, 0, output);
  assert.equal(output.match(/^ok /gm)?.length, 17, output);
});
