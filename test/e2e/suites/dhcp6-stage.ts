/**
 * A LAN with IPv6 (2001:db8:7::/64) beside the IPv4 of `dhcp-stage.ts`: its gateway is at ::2, and a dnsmasq on ::3 says what there is to
 * know of it, as a router does, and gives the addresses from ::1000 on.
 */

import { type DhcpOptions, type DhcpServer, startDhcp } from '../bed/dhcp.ts';
import type { EngineVersion } from '../bed/engines.ts';
import type { Host } from '../bed/host.ts';
import { inspect } from './containers.ts';
import { GATEWAY, leased, RANGE } from './dhcp-stage.ts';
import { setStage } from './stage.ts';

export const PREFIX = '2001:db8:7::';

/** Addresses of DHCPv6, and a router that says so (M); `range` instead of the usual one. */
export function stateful(range = `${PREFIX}1000,${PREFIX}1fff,64`, seconds = 3600, ...flags: string[]): DhcpOptions {
  return {
    range: RANGE,
    gateway: GATEWAY,
    flags: ['--enable-ra', `--dhcp-range=${range},${seconds}`, ...flags],
  };
}

export function dhcp6Stage(engine: EngineVersion = '20.10', options = stateful(), flags: readonly string[] = []) {
  return setStage(engine, async (bed, version) => {
    const [lan, host] = await Promise.all([
      bed.lan({
        subnet: '192.168.7.0/24',
        gateway: GATEWAY,
        subnet6: `${PREFIX}/64`,
        gateway6: `${PREFIX}2`,
        nat: false,
      }),
      bed.host('host', { engine: version, underlay: false }),
    ]);
    const [other, machine] = await Promise.all([
      lan.machine('other', '192.168.7.10/24', `${PREFIX}10/64`),
      lan.machine('dhcp', '192.168.7.3/24', `${PREFIX}3/64`),
    ]);
    await lan.plug(host, { bridge: 'br0', addresses: ['192.168.7.20/24'], gateway: true });
    // It is the router of its own advertisements, and sends on by way of the gateway.
    await machine.sh('echo 1 >/proc/sys/net/ipv6/conf/all/forwarding');
    const [server] = await Promise.all([startDhcp(machine, options), host.startBerth(flags)]);
    return { host, lan, other, server };
  });
}

/** The IPv6 address that Docker shows. */
export async function address6Of(host: Host, container: string, network = 'lan'): Promise<string> {
  return (await inspect(host, container)).NetworkSettings.Networks[network]!.GlobalIPv6Address;
}

/** Waits until the server has DHCPv6 leases of these addresses, and no other. */
export async function served6(server: DhcpServer, addresses: readonly string[]): Promise<void> {
  await leased(() => server.leases6(), addresses);
}
