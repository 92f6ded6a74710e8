/** A port that stands for a virtual machine: a network namespace on a host, wired as Nova wires a guest for the Linux bridge agent. */

import type { Machine } from '../machine.ts';
import { type Result, type RunOptions, waitFor } from '../process.ts';
import type { Resource, RestClient } from './rest.ts';

export interface VmPort {
  readonly id: string;
  readonly mac: string;
  /** IPv4 and IPv6, without prefix lengths, in the order in which Neutron gave them. */
  readonly addresses: readonly string[];
  /** Its interface on the host. */
  readonly tap: string;
  /** Runs a program of this machine within its network, whose card is `eth0`. */
  exec(command: readonly string[], options?: RunOptions): Promise<Result>;
  /** Whether one of two pings is answered; each is waited for a second. */
  pings(address: string): Promise<boolean>;
  /** Waits until the agent has wired it: status ACTIVE. @throws after `timeout` ms, default 60,000. */
  active(timeout?: number): Promise<void>;
  /** Unplugs it and removes the port from Neutron. */
  remove(): Promise<void>;
}

/**
 * Makes a port on a host and plugs it in. Addresses and routes are set by hand, as by cloud-init.
 *
 * @param network has an MTU and subnets. @param attributes of the port, besides network, host and owner.
 */
export async function plugVm(
  host: Machine,
  neutron: RestClient,
  network: Pick<Resource, 'id'>,
  attributes: Readonly<Record<string, unknown>> = {},
): Promise<VmPort> {
  const [{ mtu }, subnets, port] = await Promise.all([
    neutron.get<{ mtu: number }>(`/networks/${network.id}`),
    neutron.get<(Resource & { cidr: string; gateway_ip: string | null })[]>(`/subnets?network_id=${network.id}`),
    neutron.post<Resource & { mac_address: string; fixed_ips: { subnet_id: string; ip_address: string }[] }>('/ports', {
      network_id: network.id,
      'binding:host_id': host.name,
      device_owner: 'compute:nova',
      ...attributes,
    }),
  ]);
  const type = port['binding:vif_type'];
  if (type !== 'bridge') throw new Error(`Port ${port.id} is bound as ${String(type)}`);
  const tap = `tap${port.id.slice(0, 11)}`;
  const bridge = `brq${network.id.slice(0, 11)}`;
  const guest = await host.spawn(['unshare', '-n', 'sleep', 'infinity'], { name: `vm-${port.id.slice(0, 11)}` });
  const inside = async (command: readonly string[], options?: RunOptions) =>
    host.net(['nsenter', '-t', `${guest.pid}`, '-n', '--', ...command], options);
  const home = await networkOf(host);
  await waitFor('the namespace of the virtual machine', async () => (await networkOf(host, guest.pid)) !== home);

  const routed = port.fixed_ips.map(({ subnet_id, ip_address }) => {
    const subnet = subnets.find(({ id }) => id === subnet_id)!;
    return { address: ip_address + subnet.cidr.slice(subnet.cidr.indexOf('/')), gateway: subnet.gateway_ip };
  });
  await host.ip(
    `link add ${tap} mtu ${mtu} type veth peer name eth0 address ${port.mac_address} mtu ${mtu} netns ${guest.pid}`,
  );
  await inside(['ip', '-batch', '-'], {
    input: [
      'link set lo up',
      'link set eth0 up',
      ...routed.map(({ address }) => `address add ${address} dev eth0${address.includes(':') ? ' nodad' : ''}`),
      ...routed.flatMap(({ gateway }) => (gateway === null ? [] : [`route add default via ${gateway}`])),
      '',
    ].join('\n'),
  });
  // As os-vif does: the agent may have made the bridge already.
  await host.net(['ip', 'link', 'add', bridge, 'type', 'bridge'], { check: false });
  await host.ip(`link set ${bridge} up`, `link set ${tap} master ${bridge} up`);
  return {
    id: port.id,
    mac: port.mac_address,
    addresses: port.fixed_ips.map(({ ip_address }) => ip_address),
    tap,
    exec: inside,
    pings: async (address) =>
      (await inside(['busybox', 'ping', '-c2', '-W1', address], { check: false })).stdout.includes('bytes from'),
    active: async (timeout = 60_000) => {
      await waitFor(
        `port ${port.id} to be active`,
        async () => (await neutron.get<{ status: string }>(`/ports/${port.id}`)).status === 'ACTIVE',
        timeout,
        200,
      );
    },
    remove: async () => {
      await host.net(['ip', 'link', 'delete', tap], { check: false });
      await guest.stop('SIGKILL');
      await neutron.delete(`/ports/${port.id}`);
    },
  };
}

/** Identity of a network namespace: the machine's, or that of a process. */
async function networkOf(host: Machine, pid = host.pid()): Promise<string> {
  return (await host.net(['readlink', `/proc/${pid}/ns/net`])).stdout;
}
