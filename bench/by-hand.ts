/**
 * What an administrator would type to plug a running container into the LAN, as pipework does it: `ip` and `nsenter` in a shell.
 * Without what pipework does besides (announcing the address takes it another second).
 */

export interface HandMade {
  /** Makes the interface `eth0` in the container whose first process is `$pid`. */
  readonly plug: string;
  /** Takes it away again while the container runs on. */
  readonly unplug: string;
  /** What does not go with the container by itself; before it is removed. */
  readonly cleanUp?: string;
}

export interface Place {
  readonly address: string;
  readonly gateway: string;
  /** Short, and its own in the host: interfaces are named after it. */
  readonly name: string;
}

const inside = ({ address, gateway }: Place) => `
  nsenter -t $pid -n ip address add ${address} dev eth0
  nsenter -t $pid -n ip link set eth0 up
  nsenter -t $pid -n ip route add default via ${gateway}`;

const moved = (link: string) => `
  ip link set ${link} netns $pid
  nsenter -t $pid -n ip link set ${link} name eth0`;

/** A port of a bridge. */
export function bridgePort(bridge: string, place: Place): HandMade {
  const { name } = place;
  return {
    plug: `
  ip link add v${name} type veth peer name c${name}
  ip link set v${name} master ${bridge}
  ip link set v${name} up${moved(`c${name}`)}${inside(place)}`,
    unplug: `ip link delete v${name}`,
  };
}

export function macvlan(parent: string, place: Place): HandMade {
  const { name } = place;
  return {
    plug: `
  ip link add m${name} link ${parent} type macvlan mode bridge${moved(`m${name}`)}${inside(place)}`,
    unplug: 'nsenter -t $pid -n ip link delete eth0',
  };
}

/** A whole NIC. The kernel gives one that is left in a container to its first namespace, and calls it as it likes. */
export function nic(card: string, place: Place): HandMade {
  const back = `
  nsenter -t $pid -n ip link set eth0 down
  nsenter -t $pid -n ip link set eth0 netns 1 name ${card}`;
  return { plug: `${moved(card)}${inside(place)}`, unplug: back, cleanUp: back };
}

/** A port of Open vSwitch with its datapath in user space, which computes no checksums. */
export function ovsPort(bridge: string, place: Place): HandMade {
  const { name } = place;
  return {
    plug: `
  ip link add o${name} type veth peer name c${name}
  ip link set o${name} up
  ovs-vsctl add-port ${bridge} o${name}${moved(`c${name}`)}
  nsenter -t $pid -n ethtool -K eth0 tx off >/dev/null${inside(place)}`,
    unplug: `
  ovs-vsctl del-port ${bridge} o${name}
  ip link delete o${name}`,
    cleanUp: `ovs-vsctl del-port ${bridge} o${name}`,
  };
}

/** A port of a bridge whose address comes from the LAN's DHCP server; `script` is what udhcpc calls when it has a lease. */
export function bridgePortByDhcp(bridge: string, script: string, { name }: Pick<Place, 'name'>): HandMade {
  return {
    plug: `
  ip link add v${name} type veth peer name c${name}
  ip link set v${name} master ${bridge}
  ip link set v${name} up${moved(`c${name}`)}
  nsenter -t $pid -n ip link set eth0 up
  nsenter -t $pid -n busybox udhcpc -i eth0 -f -q -n -s ${script} >/dev/null 2>&1`,
    unplug: `ip link delete v${name}`,
  };
}

/** What udhcpc(8) calls. */
export const dhcpScript = `#!/bin/sh
[ "$1" = bound ] || exit 0
ip address add $ip/$mask dev $interface
[ -z "$router" ] || ip route add default via $router
`;
