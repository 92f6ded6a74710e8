/** A network plugin as an engine uses it: the calls of libnetwork, in its order, and what the engine does with the answers. */

import { randomBytes } from 'node:crypto';
import { unixRequest } from '../bed/http.ts';

/** A host that is a network namespace, and the socket of the plugin there. */
export interface PluginHost {
  /** Of the host, and of the namespace. */
  readonly name: string;
  readonly socket: string;
  /** Runs a shell script outside of all namespaces. */
  sh(script: string): Promise<string>;
}

/** A network as an engine knows it after `docker network create`. */
export interface PluginNetwork {
  readonly id: string;
  readonly pools: readonly { readonly id: string; readonly family: 4 | 6; readonly gateway: string }[];
}

/** A container on one network, in a namespace of its own. */
export interface PluginContainer {
  readonly name: string;
  readonly addresses: readonly string[];
  /** As `docker stop` and `docker rm`: in which order the engine lets go of what it had. */
  remove(): Promise<void>;
}

type Answer = Readonly<Record<string, unknown>>;

async function call({ socket }: PluginHost, method: string, body: object): Promise<Answer> {
  const { body: text } = await unixRequest(socket, `/${method}`, {
    method: 'POST',
    body,
    timeout: 30_000,
  });
  const answer = JSON.parse(text) as Answer;
  const error = answer.Err ?? answer.Error;
  if (typeof error === 'string' && error !== '') throw new Error(`${method}: ${error}`);
  return answer;
}

/** @param options as of `-o` and `--ipam-opt`. */
export async function createNetwork(
  host: PluginHost,
  subnets: readonly { readonly subnet: string; readonly gateway?: string }[],
  options: Readonly<Record<string, string>>,
): Promise<PluginNetwork> {
  const { LocalDefaultAddressSpace: AddressSpace } = await call(host, 'IpamDriver.GetDefaultAddressSpaces', {});
  const id = randomBytes(32).toString('hex');
  const pools: { id: string; family: 4 | 6; gateway: string; data: object }[] = [];
  for (const { subnet, gateway = '' } of subnets) {
    const family = subnet.includes(':') ? 6 : 4;
    const wanted = { AddressSpace, Pool: subnet, SubPool: '', Options: options, V6: family === 6 };
    const { PoolID, Pool } = await call(host, 'IpamDriver.RequestPool', wanted);
    const asGateway = { RequestAddressType: 'com.docker.network.gateway' };
    const leased = await call(host, 'IpamDriver.RequestAddress', { PoolID, Address: gateway, Options: asGateway });
    const data = { AddressSpace, Pool, Gateway: leased.Address, AuxAddresses: {} };
    pools.push({ id: PoolID as string, family, gateway: bare(leased.Address as string), data });
  }
  const dataOf = (family: 4 | 6) => pools.filter((pool) => pool.family === family).map(({ data }) => data);
  await call(host, 'NetworkDriver.CreateNetwork', {
    NetworkID: id,
    Options: {
      'com.docker.network.enable_ipv6': pools.some(({ family }) => family === 6),
      'com.docker.network.generic': options,
    },
    IPv4Data: dataOf(4),
    IPv6Data: dataOf(6),
  });
  return { id, pools };
}

export async function removeNetwork(host: PluginHost, { id, pools }: PluginNetwork): Promise<void> {
  await call(host, 'NetworkDriver.DeleteNetwork', { NetworkID: id });
  for (const { id: PoolID, gateway } of pools) {
    await call(host, 'IpamDriver.ReleaseAddress', { PoolID, Address: gateway });
    await call(host, 'IpamDriver.ReleasePool', { PoolID });
  }
}

/** Starts a container: addresses, endpoint, and its interface as the plugin says, in a new namespace. */
export async function startContainer(host: PluginHost, name: string, network: PluginNetwork): Promise<PluginContainer> {
  const sandbox = `${host.name}-${name}`;
  const endpoint = { NetworkID: network.id, EndpointID: randomBytes(32).toString('hex') };
  const addresses: string[] = [];
  for (const { id: PoolID } of network.pools) {
    const leased = await call(host, 'IpamDriver.RequestAddress', { PoolID, Address: '', Options: {} });
    addresses.push(leased.Address as string);
  }
  const [Address, AddressIPv6 = ''] = addresses;
  const Options = { 'com.docker.network.endpoint.exposedports': [], 'com.docker.network.portmap': [] };
  const made = await call(host, 'NetworkDriver.CreateEndpoint', {
    ...endpoint,
    Interface: { Address, AddressIPv6, MacAddress: '' },
    Options,
  });
  await host.sh(`ip netns add ${sandbox}`);
  const joined = await call(host, 'NetworkDriver.Join', { ...endpoint, SandboxKey: `/run/netns/${sandbox}`, Options });
  const { SrcName, DstPrefix } = joined.InterfaceName as { SrcName: string; DstPrefix: string };
  const link = `${DstPrefix}0`;
  const mac = (made.Interface as { MacAddress?: string } | undefined)?.MacAddress;
  await host.sh(`
    ip -n ${host.name} link set ${SrcName} netns ${sandbox} name ${link}
    ip -n ${sandbox} -batch - <<END
    link set lo up
    ${mac === undefined ? '' : `link set ${link} address ${mac}`}
    ${addresses.map((address) => `address add ${address} dev ${link}${address.includes(':') ? ' nodad' : ''}`).join('\n')}
    link set ${link} up
    ${[joined.Gateway, joined.GatewayIPv6].flatMap((via) => (typeof via === 'string' && via !== '' ? [`route add default via ${via}`] : [])).join('\n')}
END`);
  return {
    name: sandbox,
    addresses: addresses.map(bare),
    remove: async () => {
      await call(host, 'NetworkDriver.Leave', endpoint);
      // The engine moves the interface back; where it is gone by then, that is no error of its.
      await host.sh(`ip -n ${sandbox} link set ${link} netns ${host.name} 2>/dev/null || true`);
      await call(host, 'NetworkDriver.DeleteEndpoint', endpoint);
      for (const [n, { id: PoolID }] of network.pools.entries()) {
        await call(host, 'IpamDriver.ReleaseAddress', { PoolID, Address: bare(addresses[n]!) });
      }
      await host.sh(`ip netns del ${sandbox}`);
    },
  };
}

const bare = (address: string): string => address.replace(/\/.*/, '');
