/** What a script finds in a User-Mode Linux guest that is to be a host on a LAN. */

/**
 * A card `nic0` whose cable ends in the namespace `lan`: untagged 192.168.161.0/24 and, by the VLANs 120 and 130, two
 * segments more. `step NAME COMMAND …` says what went well; the first that does not ends it.
 */
export const stage = `
  set -e
  ip netns add lan
  ip link add nic0 type veth peer name port netns lan
  ip link set nic0 up
  ip addr add 192.168.161.20/24 dev nic0
  ip addr add fd00:161::20/64 dev nic0 nodad
  ip netns exec lan sh -c "echo 0 >/proc/sys/net/ipv4/ip_forward"
  ip -n lan link set lo up
  ip -n lan link set port up
  ip -n lan addr add 192.168.161.2/24 dev port
  for vlan in 120 130; do
    ip -n lan link add link port name port.$vlan type vlan id $vlan
    ip -n lan link set port.$vlan up
    ip -n lan addr add 10.$vlan.0.2/24 dev port.$vlan
  done
  $BERTH_REPOSITORY/bin/berth agent --docker unix:///run/docker.sock >/run/berth.log 2>&1 &
  agent=$!
  for try in $(seq 400); do [ -S /run/docker/plugins/berth-lan.sock ] && break; sleep 0.2; done
  [ -S /run/docker/plugins/berth-lan.sock ]
  step() { name=$1; shift; if "$@"; then echo "ok $name"; else echo "FAILED $name: $*"; cat /run/berth.log; exit 1; fi; }
  create() { docker network create -d berth-lan "$@" >/dev/null; }
  run() { docker run -d "$@" bed-busybox sleep 100000 >/dev/null; }
  within() { docker exec "$@"; }
  heard() { ip netns exec lan busybox ping -c 2 -W 2 "$1" >/dev/null; }
  gone() { for try in $(seq 400); do ip link show "$1" >/dev/null 2>&1 || return 0; sleep 0.2; done; return 1; }
  # Where the engine has put the interface is found out a moment after the start, which is slow here.
  known() { for try in $(seq 400); do $BERTH_REPOSITORY/bin/berth endpoint ls --json >/run/endpoints; [ "$(grep -c '"sandbox"' /run/endpoints)" = "$(grep -c '"sandboxInterface"' /run/endpoints)" ] && return 0; sleep 0.5; done; return 1; }
  clear() { docker rm -f $(docker ps -aq) >/dev/null; docker network rm "$@" >/dev/null; }
`;
