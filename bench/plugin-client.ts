/** Calls on a plugin's socket as the engine makes them: HTTP with connections that are kept. */

import { Agent, request } from 'node:http';

export interface PluginClient {
  /** @throws Error with the plugin's own, when it answers one. */
  call(method: string, body: object): Promise<Readonly<Record<string, unknown>>>;
  close(): void;
}

export function pluginClient(socketPath: string, connections = 64): PluginClient {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  return {
    call: (method, body) =>
      new Promise((resolve, reject) => {
        const bytes = JSON.stringify(body);
        const headers = {
          Accept: 'application/vnd.docker.plugins.v1.2+json',
          'Content-Length': Buffer.byteLength(bytes),
        };
        const sent = request({ socketPath, path: `/${method}`, method: 'POST', headers, agent }, (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.once('error', reject);
          response.once('end', () => {
            const answer = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>;
            if (response.statusCode === 200 && !answer.Err) resolve(answer);
            else reject(new Error(`${method}: ${String(answer.Err)}`));
          });
        });
        sent.once('error', reject);
        sent.end(bytes);
      }),
    close: () => agent.destroy(),
  };
}

/** A network of a plugin, with the calls of a container's life on it in the engine's order. */
export interface TestNetwork {
  /** RequestAddress and CreateEndpoint. */
  create(endpoint: string): Promise<string>;
  join(endpoint: string): Promise<void>;
  leave(endpoint: string): Promise<void>;
  /** DeleteEndpoint and ReleaseAddress. */
  remove(endpoint: string, address: string): Promise<void>;
  /** RequestAddress alone. */
  lease(): Promise<string>;
}

/** Makes a network as `docker network create --subnet --ipam-driver` does. */
export async function makeNetwork(client: PluginClient, id: string, subnet: string): Promise<TestNetwork> {
  const length = subnet.slice(subnet.indexOf('/'));
  const { LocalDefaultAddressSpace: space } = await client.call('IpamDriver.GetDefaultAddressSpaces', {});
  const pool = await client.call('IpamDriver.RequestPool', {
    AddressSpace: space,
    Pool: subnet,
    SubPool: '',
    Options: {},
    V6: false,
  });
  const PoolID = pool.PoolID as string;
  const gateway = await client.call('IpamDriver.RequestAddress', {
    PoolID,
    Address: '',
    Options: { RequestAddressType: 'com.docker.network.gateway' },
  });
  await client.call('NetworkDriver.CreateNetwork', {
    NetworkID: id,
    Options: { 'com.docker.network.enable_ipv6': false, 'com.docker.network.generic': {} },
    IPv4Data: [
      {
        AddressSpace: space,
        Pool: pool.Pool,
        Gateway: (gateway.Address as string).replace(/\/.*/, length),
        AuxAddresses: {},
      },
    ],
    IPv6Data: [],
  });
  const lease = async () =>
    (await client.call('IpamDriver.RequestAddress', { PoolID, Address: '', Options: {} })).Address as string;
  return {
    lease,
    create: async (endpoint) => {
      const address = await lease();
      await client.call('NetworkDriver.CreateEndpoint', {
        NetworkID: id,
        EndpointID: endpoint,
        Interface: { Address: address, AddressIPv6: '', MacAddress: '' },
        Options: { 'com.docker.network.endpoint.exposedports': [], 'com.docker.network.portmap': [] },
      });
      return address;
    },
    join: async (endpoint) => {
      await client.call('NetworkDriver.Join', {
        NetworkID: id,
        EndpointID: endpoint,
        SandboxKey: `/var/run/docker/netns/${endpoint.slice(0, 12)}`,
        Options: { 'com.docker.network.endpoint.exposedports': [], 'com.docker.network.portmap': [] },
      });
    },
    leave: async (endpoint) => {
      await client.call('NetworkDriver.Leave', { NetworkID: id, EndpointID: endpoint });
    },
    remove: async (endpoint, address) => {
      await client.call('NetworkDriver.DeleteEndpoint', { NetworkID: id, EndpointID: endpoint });
      await client.call('IpamDriver.ReleaseAddress', { PoolID, Address: address.replace(/\/.*/, '') });
    },
  };
}
