/** Addresses from a DHCP server where the kernel must be another one: containers that share a MAC (ipvlan), and VLANs. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runInUml } from './bed/uml.ts';
import { stage } from './suites/uml-stage.ts';

/** A server for all segments of the LAN, whose leases are renewed after 4 s, and after 12 s by any. */
const served = `${stage}
  serve() {
    ip netns exec lan dnsmasq --conf-file=/dev/null --user=root --pid-file=/run/dnsmasq.pid --port=0 --no-ping --dhcp-authoritative \
      --interface=port --interface=port.120 --interface=port.130 --log-dhcp --log-facility=/run/dnsmasq.log --dhcp-leasefile=/run/leases \
      --dhcp-range=192.168.161.100,192.168.161.199,120 --dhcp-range=10.120.0.100,10.120.0.199,120 --dhcp-range=10.130.0.100,10.130.0.199,120 \
      --dhcp-option=58,4 --dhcp-option=59,12
  }
  serve
  leased() { docker network create -d berth-lan --ipam-driver null -o dhcp=true "$@" >/dev/null; }
  address() { docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$1"; }
  soon() { for try in $(seq 200); do "$@" && return 0; sleep 0.2; done; return 1; }
  leases() { [ "$(grep -c . /run/leases)" = "$1" ]; }
  # What the agent has told since the last call.
  told=0
  mark() { told=$(wc -l </run/berth.log); }
  tells() { tail -n +$((told + 1)) /run/berth.log | grep "$1" | grep -q "$2"; }
`;

test('containers that share a MAC have leases of their own, which are renewed, rebound, kept and given back', async () => {
  const { code, output } = await runInUml(
    `${served}
    step 'l3 is refused: it has no broadcasts' sh -c 'docker network create -d berth-lan --ipam-driver null -o dhcp=true -o mode=ipvlan -o ipvlan_mode=l3 -o parent=nic0 l3 2>&1 | grep "goes with ipvlan_mode=l2"'
    leased -o mode=ipvlan -o parent=nic0 net
    run --name c1 --network net
    mark
    run --name c2 --network net
    a1=$(address c1) a2=$(address c2)
    step 'two addresses' [ "$a1" != "$a2" ]
    step 'one MAC' [ "$(cut -d " " -f 2 /run/leases | sort -u)" = "$(cat /sys/class/net/nic0/address)" ]
    step 'two client ids' [ "$(cut -d " " -f 5 /run/leases | sort -u | wc -l)" = 2 ]
    step 'c1 is reached' heard $a1
    step 'c2 is reached' heard $a2
    step 'the host reaches c2' busybox ping -c 2 -W 2 $a2
    step 'and is reached by it' within c2 ping -c 2 -W 2 192.168.161.20
    known
    step 'c1 is renewed' soon tells '"asked":"renew"' "the lease of $a1 "
    step 'c2 is renewed' soon tells '"asked":"renew"' "the lease of $a2 "
    kill $(cat /run/dnsmasq.pid)
    mark
    step 'nobody answers at T2' soon tells dhcp.unanswered '"asked":"rebind"'
    mark
    serve
    step 'c1 is rebound' soon tells '"asked":"rebind"' "the lease of $a1 "
    step 'c2 is rebound' soon tells '"asked":"rebind"' "the lease of $a2 "
    docker restart -t 0 c1 >/dev/null
    step 'the same address after a restart' [ "$(address c1)" = "$a1" ]
    step 'c1 is reached again' heard $a1
    docker rm -f c1 >/dev/null
    step 'one lease is given back' soon leases 1
    step 'the other one is not' grep -q " $a2 " /run/leases
    clear net
    step 'and then that one' soon leases 0
    kill $agent`,
    { docker: ['--bridge=none', '--iptables=false'] },
  );
  assert.equal(code, 0, output);
  assert.equal(output.match(/^ok /gm)?.length, 18, output);
});

test('on VLANs: as a bridge and under macvlan; given back also when the VLAN has gone meanwhile', async () => {
  const { code, output } = await runInUml(
    `${served}
    leased -o parent=nic0 -o vlan=120 tagged
    ip link show nic0.120 2>/dev/null && exit 1
    mark
    run --name c1 --network tagged
    a1=$(address c1)
    step 'bridge: an address of the VLAN' sh -c "echo $a1 | grep '^10\\.120\\.0\\.1'"
    step 'bridge: reached' heard $a1
    leased -o mode=macvlan -o parent=nic0.130 direct
    run --name c2 --network direct
    a2=$(address c2)
    step 'macvlan: an address of the VLAN' sh -c "echo $a2 | grep '^10\\.130\\.0\\.1'"
    step 'macvlan: reached' heard $a2
    known
    step 'bridge: renewed' soon tells dhcp.renewed "the lease of $a1 "
    step 'macvlan: renewed' soon tells dhcp.renewed "the lease of $a2 "
    docker stop -t 0 c1 c2 >/dev/null
    step 'bridge: the VLAN goes with the last container' gone nic0.120
    step 'macvlan: the VLAN goes with the last container' gone nic0.130
    step 'the leases are kept' leases 2
    docker start c1 >/dev/null
    step 'bridge: the same address' [ "$(address c1)" = "$a1" ]
    clear tagged direct
    step 'all is given back' soon leases 0
    for link in nic0.120 nic0.130 br-nic0.120; do step "nothing is left: $link" gone $link; done
    kill $agent`,
    { docker: ['--bridge=none', '--iptables=false'] },
  );
  assert.equal(code, 0, output);
  assert.equal(output.match(/^ok /gm)?.length, 14, output);
});
