/**
 * A layer 2 segment: a bridge in a namespace of its own as the switch, machines on it, and a gateway that routes to a
 * server "outside".
 *
 *   machine ─┐            ┌─ gateway ── outside (203.0.113.10, 2001:db8:ffff::10)
 *   host   ──┴── switch ──┴─ machine
 */

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import type { Machine } from './machine.ts';

export const outside4 = '203.0.113.10';
export const outside6 = '2001:db8:ffff::10';

export interface LanOptions {
  readonly name: string;
  /** Prefix length is taken from it. */
  readonly subnet: string;
  /** Address of the gateway within the subnet. */
  readonly gateway: string;
  readonly subnet6?: string;
  readonly gateway6?: string;
  /** The gateway masquerades (default). Without, the outside has a route back to the subnet. */
  readonly nat?: boolean;
  readonly mtu?: number;
}

export interface PlugOptions {
  /** Name of the network card in the machine. Default `eth0`. */
  readonly name?: string;
  /** With prefix lengths, such as `192.168.159.10/24`; IPv4 and IPv6. */
  readonly addresses?: readonly string[];
  /** Default routes through the LAN's gateway, for the families of `addresses`. */
  readonly gateway?: boolean;
  /** Make this bridge in the machine, with the card as its port, and put addresses and routes on it. */
  readonly bridge?: string;
  readonly mac?: string;
}

/** A network card of a machine in a port of the switch. */
export interface Cable {
  /** Pulls it out: the machine's card loses its carrier. */
  pull(): Promise<void>;
  /** Puts it back. */
  push(): Promise<void>;
}

export interface Lan {
  readonly name: string;
  readonly subnet: string;
  readonly gateway: string;
  readonly switch: Machine;
  /** The gateway: `eth0` to the LAN, `out` to the outside. */
  readonly router: Machine;
  /** A server beyond the gateway. */
  readonly outside: Machine;
  /** A new machine on the LAN, with the gateway as its default route. */
  machine(name: string, ...addresses: readonly string[]): Promise<Machine>;
  /** Gives a machine or host a network card on the LAN; it survives power failures. */
  plug(machine: Machine, options?: PlugOptions): Promise<Cable>;
}

/** @param boot boots a machine of the given name. */
export async function openLan(options: LanOptions, boot: (name: string) => Promise<Machine>): Promise<Lan> {
  const { name, subnet, gateway, mtu = 1500 } = options;
  const [hub, router, outside] = await Promise.all([
    boot(`${name}-switch`),
    boot(`${name}-gateway`),
    boot(`${name}-outside`),
  ]);
  let ports = 0;

  const plug = async (machine: Machine, how: PlugOptions = {}): Promise<Cable> => {
    ports += 1;
    const port = `p${ports}`;
    const card = how.name ?? 'eth0';
    const mac = how.mac ?? machineMac(name, ports);
    const { bridge } = how;
    const addresses = how.addresses ?? [];
    await machine.equip(async () => {
      // After a power failure the kernel removes the old pair some time later.
      await hub.net(['ip', 'link', 'delete', port], { check: false });
      await hub.ip(
        `link add ${card} netns ${machine.pid()} address ${mac} mtu ${mtu} type veth peer name ${port} netns ${hub.pid()} mtu ${mtu}`,
      );
      await hub.ip(`link set ${port} master sw up`);
      const routes = how.gateway
        ? [addresses.some((a) => !isV6(a)) && gateway, addresses.some(isV6) && options.gateway6].filter((to) => !!to)
        : [];
      await machine.ip(
        ...(bridge
          ? [
              `link add ${bridge} address ${mac} mtu ${mtu} type bridge`,
              `link set ${card} master ${bridge} up`,
              `link set ${bridge} up`,
            ]
          : [`link set ${card} up`]),
        ...addresses.map((address) => `address add ${address} dev ${bridge ?? card}${isV6(address) ? ' nodad' : ''}`),
        ...routes.map((to) => `route add default via ${to}`),
      );
    });
    return {
      pull: () => hub.ip(`link set ${port} down`),
      push: () => hub.ip(`link set ${port} up`),
    };
  };

  await hub.ip(`link add sw mtu ${mtu} type bridge`, 'link set sw up');
  // A switch knows nothing of IP: else the kernel shows its frames to (empty) packet filters.
  await hub.sh('for f in /proc/sys/net/bridge/bridge-nf-call-*; do [ ! -e $f ] || echo 0 >$f; done');

  const length = (prefix: string) => prefix.slice(prefix.indexOf('/'));
  await plug(router, {
    addresses: [
      gateway + length(subnet),
      ...(options.gateway6 && options.subnet6 ? [options.gateway6 + length(options.subnet6)] : []),
    ],
  });
  await outside.ip(`link add eth0 type veth peer name out netns ${router.pid()}`, 'link set eth0 up');
  await outside.ip(`address add ${outside4}/24 dev eth0`, `address add ${outside6}/64 dev eth0 nodad`);
  await router.ip(
    'link set out up',
    'address add 203.0.113.1/24 dev out',
    'address add 2001:db8:ffff::1/64 dev out nodad',
  );
  await router.sh('echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding');
  if (options.nat === false) {
    await outside.ip(
      `route add ${subnet} via 203.0.113.1`,
      ...(options.subnet6 ? [`route add ${options.subnet6} via 2001:db8:ffff::1`] : []),
    );
  } else {
    await router.net(['nft', '-f', '-'], {
      input: `add table inet nat
        add chain inet nat post { type nat hook postrouting priority srcnat; }
        add rule inet nat post oifname out masquerade\n`,
    });
  }

  return {
    name,
    subnet,
    gateway,
    switch: hub,
    router,
    outside,
    plug,
    machine: async (which, ...addresses) => {
      const machine = await boot(`${name}-${which}`);
      await plug(machine, { addresses, gateway: true });
      return machine;
    },
  };
}

const isV6 = (address: string) => isIPv6(address.replace(/\/.*/, ''));

/** Locally administered, the same at each boot, and different in each segment of the bed. */
function machineMac(lan: string, port: number): string {
  const hash = createHash('sha256').update(lan).digest();
  return Buffer.from([0x0a, 0, hash[0]!, hash[1]!, port >> 8, port & 0xff])
    .toString('hex')
    .replaceAll(/..(?!$)/g, '$&:');
}

/** Bytes that a network card of a machine has received, from the kernel's counters. */
export function receivedBytes(machine: Machine, card = 'eth0'): number {
  return Number(readFileSync(machine.path(`/sys/class/net/${card}/statistics/rx_bytes`), 'utf8'));
}
