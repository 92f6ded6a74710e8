/**
 * An engine's side of the plugin protocol, without an engine: its calls in its order, and what it takes back when one fails
 * (moby `libnetwork/network.go`, `endpoint.go`). So the agent is asked a hundred times in the time of ten containers.
 */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { Host } from '../bed/host.ts';
import { pluginCall } from './agent.ts';

export interface WantedSubnet {
  /** None: the plugin chooses. */
  readonly subnet?: string;
  readonly range?: string;
  readonly gateway?: string;
  readonly auxiliary?: Readonly<Record<string, string>>;
  readonly v6?: boolean;
}

export interface WantedNetwork {
  readonly subnets: readonly WantedSubnet[];
  /** `-o`. */
  readonly options?: Readonly<Record<string, string>>;
  /** `--ipam-opt`. */
  readonly ipamOptions?: Readonly<Record<string, string>>;
  readonly internal?: boolean;
}

export interface EngineNetwork {
  readonly id: string;
  readonly pools: readonly {
    readonly id: string;
    readonly v6: boolean;
    readonly gateway: string;
    readonly auxiliary: readonly string[];
  }[];
}

export interface WantedContainer {
  readonly ip?: string;
  readonly ip6?: string;
  readonly mac?: string;
  /** `--driver-opt`. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** `-p` of TCP ports, the same outside as inside. */
  readonly published?: readonly number[];
}

export interface EngineContainer {
  readonly id: string;
  readonly mac: string;
  /** Each with its length. */
  readonly addresses: readonly string[];
  readonly joined: Readonly<Record<string, unknown>>;
}

type Answer = Readonly<Record<string, unknown>>;

export interface EngineCalls {
  /** @throws what the user would read; what was begun has been taken back then, as far as an engine does that. */
  createNetwork(wanted: WantedNetwork): Promise<EngineNetwork>;
  removeNetwork(network: EngineNetwork): Promise<void>;
  start(network: EngineNetwork, wanted?: WantedContainer): Promise<EngineContainer>;
  stop(network: EngineNetwork, container: EngineContainer): Promise<void>;
  call(method: string, body: unknown): Promise<Answer>;
}

/** What is called where the plugin cannot be reached: as an engine, which then sends an empty body (moby#33412). */
export type Unreachable = () => Promise<unknown>;

const bare = (address: string): string => address.replace(/\/.*/, '');

/**
 * Every call must be answered within 10 s, whatever is broken.
 *
 * @param unreachable makes the plugin reachable again; without, not to reach it is an error.
 */
export function engineCalls(host: Host, plugin = 'berth-neutron', unreachable?: Unreachable): EngineCalls {
  async function call(method: string, body: unknown): Promise<Answer> {
    let reply: Awaited<ReturnType<typeof pluginCall>>;
    try {
      reply = await pluginCall(host, method, body, plugin);
    } catch (error) {
      if (unreachable === undefined) throw error;
      await unreachable();
      reply = await pluginCall(host, method, '', plugin);
    }
    assert.ok(reply.milliseconds < 10_000, `${method} was answered after ${reply.milliseconds} ms: ${reply.text}`);
    const failure = reply.json?.Err ?? reply.json?.Error;
    if (typeof failure === 'string' && failure !== '') throw new Error(`${method}: ${failure}`);
    assert.equal(reply.status, 200, reply.text);
    return reply.json!;
  }

  /** What an engine only logs when it fails. */
  const attempt = (method: string, body: unknown): Promise<unknown> =>
    call(method, body).catch((error: unknown) => {
      if (error instanceof assert.AssertionError) throw error;
    });

  async function releasePools(pools: EngineNetwork['pools']): Promise<void> {
    for (const { id: PoolID, gateway, auxiliary } of pools) {
      if (gateway !== '') await attempt('IpamDriver.ReleaseAddress', { PoolID, Address: bare(gateway) });
      for (const address of auxiliary) await attempt('IpamDriver.ReleaseAddress', { PoolID, Address: address });
      await attempt('IpamDriver.ReleasePool', { PoolID });
    }
  }

  return {
    call,

    async createNetwork({ subnets, options = {}, ipamOptions = {}, internal = false }) {
      const NetworkID = randomBytes(32).toString('hex');
      const pools: EngineNetwork['pools'][number][] = [];
      const data: { readonly v6: boolean; readonly ipam: object }[] = [];
      try {
        for (const wanted of subnets) {
          const { subnet = '', range = '', gateway = '', auxiliary = {} } = wanted;
          const v6 = wanted.v6 ?? subnet.includes(':');
          const asked = { AddressSpace: 'neutron', Pool: subnet, SubPool: range, Options: ipamOptions, V6: v6 };
          const { PoolID, Pool } = await call('IpamDriver.RequestPool', asked);
          const pool = { id: PoolID as string, v6, gateway: '', auxiliary: [] as string[] };
          pools.push(pool);
          const Options = { RequestAddressType: 'com.docker.network.gateway' };
          const leased = await call('IpamDriver.RequestAddress', { PoolID, Address: gateway, Options });
          pool.gateway = leased.Address as string;
          const kept: Record<string, string> = {};
          for (const [name, Address] of Object.entries(auxiliary)) {
            kept[name] = (await call('IpamDriver.RequestAddress', { PoolID, Address, Options: null }))
              .Address as string;
            pool.auxiliary.push(Address);
          }
          data.push({ v6, ipam: { AddressSpace: 'neutron', Pool, Gateway: pool.gateway, AuxAddresses: kept } });
        }
        const of = (family: boolean) => data.filter(({ v6 }) => v6 === family).map(({ ipam }) => ipam);
        await call('NetworkDriver.CreateNetwork', {
          NetworkID,
          Options: {
            'com.docker.network.enable_ipv6': data.some(({ v6 }) => v6),
            'com.docker.network.generic': options,
            ...(internal ? { 'com.docker.network.internal': true } : {}),
          },
          IPv4Data: of(false),
          IPv6Data: of(true),
        });
      } catch (error) {
        await releasePools(pools);
        throw error;
      }
      return { id: NetworkID, pools };
    },

    async removeNetwork({ id, pools }) {
      await releasePools(pools);
      await attempt('NetworkDriver.DeleteNetwork', { NetworkID: id });
    },

    async start(network, { ip = '', ip6 = '', mac, options = {}, published = [] } = {}) {
      const MacAddress = mac ?? `02:42:${randomBytes(4).toString('hex').match(/../g)!.join(':')}`;
      const endpoint = { NetworkID: network.id, EndpointID: randomBytes(32).toString('hex') };
      const addresses: { readonly PoolID: string; readonly v6: boolean; readonly address: string }[] = [];
      const release = async (): Promise<void> => {
        for (const { PoolID, address } of addresses)
          await attempt('IpamDriver.ReleaseAddress', { PoolID, Address: bare(address) });
      };
      try {
        for (const family of [false, true]) {
          const pool = network.pools.find(({ v6 }) => v6 === family);
          if (pool === undefined) continue;
          const Options = { 'com.docker.network.endpoint.macaddress': MacAddress };
          const asked = { PoolID: pool.id, Address: family ? ip6 : ip, Options };
          const { Address } = await call('IpamDriver.RequestAddress', asked);
          addresses.push({ PoolID: pool.id, v6: family, address: Address as string });
        }
        const of = (family: boolean) => addresses.find(({ v6 }) => v6 === family)?.address ?? '';
        await call('NetworkDriver.CreateEndpoint', {
          ...endpoint,
          Interface: { Address: of(false), AddressIPv6: of(true), MacAddress },
          Options: options,
        });
      } catch (error) {
        await release();
        throw error;
      }
      try {
        // Up to engine 27 the namespace is made after this.
        const SandboxKey = `/var/run/docker/netns/${endpoint.EndpointID.slice(0, 12)}`;
        const portmap = published.map((Port) => ({
          Proto: 6,
          IP: '',
          Port,
          HostIP: '',
          HostPort: Port,
          HostPortEnd: Port,
        }));
        const Options = portmap.length === 0 ? {} : { 'com.docker.network.portmap': portmap };
        const joined = await call('NetworkDriver.Join', { ...endpoint, SandboxKey, Options });
        return {
          id: endpoint.EndpointID,
          mac: MacAddress,
          addresses: addresses.map(({ address }) => address),
          joined,
        };
      } catch (error) {
        await attempt('NetworkDriver.DeleteEndpoint', endpoint);
        await release();
        throw error;
      }
    },

    async stop(network, { id, addresses }) {
      const endpoint = { NetworkID: network.id, EndpointID: id };
      await attempt('NetworkDriver.Leave', endpoint);
      await attempt('NetworkDriver.DeleteEndpoint', endpoint);
      for (const address of addresses) {
        const pool = network.pools.find(({ v6 }) => v6 === address.includes(':'))!;
        await attempt('IpamDriver.ReleaseAddress', { PoolID: pool.id, Address: bare(address) });
      }
    },
  };
}
