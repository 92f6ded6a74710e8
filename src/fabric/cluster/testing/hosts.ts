/** Hosts in network namespaces on one underlay switch, with the cluster fabric's objects applied in each, and containers. */

import { execFileSync } from 'node:child_process';
import type { Kernel } from '../../../kernel/kernel.ts';
import type { KernelObject, VethLink } from '../../../kernel/objects.ts';
import { type Address, formatAddress, parseAddress } from '../../../model/address.ts';
import type { EndpointId, NetworkId } from '../../../model/ids.ts';
import type { Endpoint, Network } from '../../../model/network.ts';
import { parseInterfaceAddress } from '../../../model/prefix.ts';
import type { FabricContext } from '../../fabric.ts';
import { cluster } from '../cluster.ts';
import { containerMac } from '../macs.ts';
import type { RemoteEndpoint } from '../overlay.ts';
import { clusterKey } from '../settings.ts';
import type { ClusterNetwork, ClusterView } from '../view.ts';

export function run(line: string, input?: string): string {
  const [program, ...words] = line.split(' ');
  return execFileSync(program!, words, { encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'], ...(input && { input }) });
}

export const address = (text: string): Address => parseAddress(text)!;
export const netnsOf = (name: string): string => `/run/netns/${name}`;

/** Everything in these hosts; the last one made undoes all. */
export interface Lab {
  readonly kernel: Kernel;
  host(index: number, family?: 4 | 6): Promise<Host>;
  /** A machine on the underlay that knows nothing of Berth: its namespace, with the link `wire`. */
  machine(index: number): string;
  close(): void;
}

export interface Host {
  readonly name: string;
  readonly vtep: Address;
  readonly networks: Network[];
  /** Of other hosts, by network; undefined: not known. */
  remotes: Map<string, readonly RemoteEndpoint[]> | undefined;
  view: Partial<ClusterView>;
  context(): Promise<FabricContext>;
  /** As a `docker network create` there. */
  network(options: Record<string, string>, subnets: readonly string[]): Promise<Network>;
  /** As the agent does with the first container, and when anything has changed. */
  apply(network: Network): Promise<void>;
  withdraw(network: Network): Promise<void>;
  container(network: Network, ...addresses: string[]): Promise<Container>;
  /** Counts what a bridge of the host sees come out of a link, as an nft expression of the family `bridge` says. */
  counting(link: string, what: string): () => number;
}

export interface Container {
  readonly name: string;
  readonly endpoint: Endpoint;
  readonly remote: RemoteEndpoint;
  pings(to: string, size?: number): boolean;
  forget(): void;
}

let labs = 0;

/**
 * @param networks by the keys of networks and groups.
 * @param options.filter false: on a kernel whose nftables has no NAT, nothing is filtered.
 */
export function createLab(
  kernel: Kernel,
  networks: ReadonlyMap<string, ClusterNetwork>,
  { filter = true }: { readonly filter?: boolean } = {},
): Lab {
  labs += 1;
  const made: string[] = [];
  let containers = 0;
  const tag = `cl${process.pid}-${labs}`;
  const namespace = (name: string): string => {
    run(`ip netns add ${name}`);
    made.push(name);
    run(`ip -n ${name} link set lo up`);
    return name;
  };
  const within = (object: KernelObject, netns: string): KernelObject => ({ ...object, netns });
  const underlay = namespace(`${tag}-u`);
  run(`ip -n ${underlay} link add sw type bridge`);
  run(`ip -n ${underlay} link set sw up`);

  function machine(index: number): string {
    const name = namespace(`${tag}-h${index}`);
    run(`ip -n ${name} link add wire type veth peer name p${index} netns ${underlay}`);
    run(`ip -n ${underlay} link set p${index} master sw up`);
    return name;
  }

  async function host(index: number, family: 4 | 6 = 4): Promise<Host> {
    const name = machine(index);
    run(`ip -n ${name} address add 10.9.0.${index}/24 dev wire`);
    run(`ip -n ${name} address add fd09::${index}/64 dev wire nodad`);
    run(`ip -n ${name} link set wire up`);
    const vtep = address(family === 4 ? `10.9.0.${index}` : `fd09::${index}`);
    const netns = netnsOf(name);
    const endpoints: Endpoint[] = [];
    const applied = new Map<string, Set<string>>();
    const inHost = (objects: readonly KernelObject[]) =>
      objects.filter(({ kind }) => filter || !kind.startsWith('nft')).map((object) => within(object, netns));

    const self: Host = {
      name,
      vtep,
      networks: [],
      remotes: new Map(),
      view: {},
      async context() {
        return {
          kernel,
          host: await kernel.view(netns),
          networks: self.networks,
          endpointsOf: (id: NetworkId) => endpoints.filter(({ network }) => network === id),
          engineBridges: [],
          engineRefusesGateway: false,
          cluster: {
            host: name,
            vtep,
            vxlanPort: 4789,
            uplinks: [],
            network: (key: string) => networks.get(key),
            remotes: (key: string) => self.remotes && (self.remotes.get(key) ?? []),
            ...self.view,
          },
        } as unknown as FabricContext;
      },
      async network(options, subnets) {
        const id = `${index}${self.networks.length}`.padEnd(64, '0') as NetworkId;
        const found = networks.get(`${options.tenant}:${options.network}`);
        const request = {
          id,
          plugin: 'berth',
          subnets: subnets.map((text) => {
            const prefix = parseInterfaceAddress(text)!;
            const gateway = found?.subnets.find((of) => of.prefix.address.family === prefix.address.family)?.gateway;
            return { prefix, auxiliary: {}, ...(gateway === undefined ? {} : { gateway }) };
          }),
          internal: false,
          options,
        };
        const settings = await cluster.planNetwork(request, await self.context());
        const network: Network = { ...request, fabric: 'cluster', leased: true, settings, createdAt: 0 };
        self.networks.push(network);
        return network;
      },
      async apply(network) {
        const context = await self.context();
        const key = clusterKey(network)!;
        await kernel.apply(`${name}/shared`, inHost(cluster.desiredShared(self.networks, context)));
        await kernel.apply(`${name}/${key}`, inHost(cluster.desiredNetwork(network, context)));
        const parts = cluster.desiredRemotes!(network, context);
        if (parts === undefined) return;
        const before = applied.get(key) ?? new Set();
        for (const [part, { objects }] of parts) await kernel.apply(`${name}/${key}/${part}`, inHost(objects()));
        for (const part of before) if (!parts.has(part)) await kernel.remove(`${name}/${key}/${part}`);
        applied.set(key, new Set(parts.keys()));
      },
      async withdraw(network) {
        const key = clusterKey(network)!;
        await Promise.all([
          kernel.remove(`${name}/${key}`),
          ...[...(applied.get(key) ?? [])].map((part) => kernel.remove(`${name}/${key}/${part}`)),
        ]);
        applied.delete(key);
        const rest = self.networks.filter((other) => applied.has(clusterKey(other)!));
        if (rest.length === 0) await kernel.remove(`${name}/shared`);
        else await kernel.apply(`${name}/shared`, inHost(cluster.desiredShared(rest, await self.context())));
      },
      async container(network, ...texts) {
        containers += 1;
        const box = namespace(`${tag}-c${containers}`);
        const addresses = texts.map((text) => parseInterfaceAddress(text)!);
        const mac = containerMac(addresses[0]!.address);
        const endpoint = {
          id: `${containers}`.padEnd(64, 'e') as EndpointId,
          network: network.id,
          phase: 'attached',
          addresses,
          mac,
          sandbox: netnsOf(box),
          sandboxInterface: 'eth0',
          publishes: false,
          options: {},
          settings: cluster.planEndpoint(network, { options: {} }, await self.context()),
          createdAt: 0,
        } satisfies Endpoint;
        endpoints.push(endpoint);
        const context = await self.context();
        const [pair] = cluster.desiredEndpoint(network, endpoint, context) as readonly [VethLink];
        await kernel.apply(`${name}/${endpoint.id}`, [within(pair, netns)]);
        for (const text of texts) run(`ip -n ${box} address add ${text} dev eth0${text.includes(':') ? ' nodad' : ''}`);
        run(`ip -n ${box} link set eth0 up`);
        const { gateway4, gateway6 } = cluster.join(network, endpoint, context);
        for (const gateway of [gateway4, gateway6]) {
          if (gateway === undefined) continue;
          run(`ip -n ${box} -${gateway.family} route add default via ${formatAddress(gateway)}`);
        }
        return {
          name: box,
          endpoint,
          remote: { mac, addresses: addresses.map((on) => on.address), vtep },
          pings(to, size = 56) {
            try {
              run(`ip netns exec ${box} busybox ping -c 1 -W 1 -s ${size} ${to}`);
              return true;
            } catch {
              return false;
            }
          },
          forget: () => void run(`ip -n ${box} neighbour flush dev eth0`),
        };
      },
      counting(link, what) {
        run(
          `ip netns exec ${name} nft -f -`,
          `add table bridge count
          flush table bridge count
          add chain bridge count in { type filter hook prerouting priority -300; }
          add rule bridge count in iifname "${link}" ${what} counter`,
        );
        return () => Number(/packets (\d+)/.exec(run(`ip netns exec ${name} nft list table bridge count`))?.[1]);
      },
    };
    return self;
  }

  return {
    kernel,
    host,
    machine,
    close() {
      for (const name of made.toReversed()) run(`ip netns del ${name}`);
    },
  };
}
