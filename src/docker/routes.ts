/**
 * Every method of the plugin protocol: the shape of its request, and what answers it. Methods that no part of Berth has
 * anything to do for are answered here; docs/protocol.md says when engines send which.
 */

import type { z } from 'zod';
import { BerthError } from '../model/errors.ts';
import {
  checkShape,
  decodeCreateEndpoint,
  decodeCreateNetwork,
  decodeGatewayCheck,
  decodeJoin,
  decodeRequestAddress,
  decodeRequestPool,
  decodeSubnets,
} from './decode.ts';
import type { Call, IpamDriver, NetworkDriver } from './driver.ts';
import { type Answer, encodeAddress, encodeCreatedEndpoint, encodeJoined, encodePool } from './encode.ts';
import { addressOfPool, endpointId, networkId, poolIdField } from './fields.ts';
import { parseJson } from './json.ts';
import * as wire from './wire.ts';

export interface Drivers {
  readonly network: NetworkDriver;
  readonly ipam: IpamDriver;
}

/** Answers one request; `body` is empty when there was none. Rejects with a BerthError. */
export type Route = (body: Uint8Array, drivers: Drivers, call: Call) => Promise<Answer>;

type Handler<T> = (request: T, drivers: Drivers, call: Call) => Answer | Promise<Answer>;

/** A method without a request: engines send no body, and any that comes is not looked at. */
function plain(answer: (drivers: Drivers, call: Call) => Answer): Route {
  return async (_body, drivers, call) => answer(drivers, call);
}

/**
 * A method with a request. Engines repeat a request that failed on the way with an empty body (moby#33412, in all versions
 * up to 29): it must be refused, and cannot be guessed.
 */
function method<S extends z.ZodType>(name: string, schema: S, handle: Handler<z.output<S>>): Route {
  return async (body, drivers, call) => {
    if (isBlank(body))
      throw new BerthError(
        'EMPTY_BODY',
        `${name}: the request has no body; engines repeat a failed request without it`,
      );
    return handle(checkShape(name, schema, parseBody(name, body)), drivers, call);
  };
}

function parseBody(name: string, body: Uint8Array): unknown {
  try {
    return parseJson(body);
  } catch (error) {
    if (error instanceof BerthError) throw new BerthError(error.code, `${name}: ${error.message}`);
    throw error;
  }
}

function isBlank(body: Uint8Array): boolean {
  return body.every((byte) => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09);
}

function bothIds(name: string, request: { NetworkID: string; EndpointID: string }) {
  return {
    network: networkId(`${name}: NetworkID`, request.NetworkID),
    endpoint: endpointId(`${name}: EndpointID`, request.EndpointID),
  };
}

const networkRoutes: Readonly<Record<string, Route>> = {
  GetCapabilities: plain(({ network }, call) => {
    const scope = network.scope(call);
    return { Scope: scope, ConnectivityScope: scope, GwAllocChecker: true };
  }),
  GwAllocCheck: method('GwAllocCheck', wire.gwAllocCheckRequest, async (request, { network }, call) => {
    const needed = (await network.gatewayNeeded?.(decodeGatewayCheck(request), call)) ?? { ipv4: true, ipv6: true };
    return { SkipIPv4: !needed.ipv4, SkipIPv6: !needed.ipv6 };
  }),
  CreateNetwork: method('CreateNetwork', wire.createNetworkRequest, async (request, { network }, call) => {
    await network.createNetwork(decodeCreateNetwork(request), call);
    return {};
  }),
  DeleteNetwork: method('DeleteNetwork', wire.networkRequest, async (request, { network }, call) => {
    await network.deleteNetwork(networkId('DeleteNetwork: NetworkID', request.NetworkID), call);
    return {};
  }),
  // What the leader of a swarm answers here replaces the options that the nodes see in CreateNetwork.
  AllocateNetwork: method('AllocateNetwork', wire.allocateNetworkRequest, async (request, { network }, call) => {
    const subnets = [
      ...decodeSubnets('AllocateNetwork: IPv4Data', request.IPv4Data, 4),
      ...decodeSubnets('AllocateNetwork: IPv6Data', request.IPv6Data, 6),
    ];
    const allocated = {
      id: networkId('AllocateNetwork: NetworkID', request.NetworkID),
      options: request.Options,
      subnets,
    };
    return { Options: (await network.allocateNetwork?.(allocated, call)) ?? request.Options };
  }),
  FreeNetwork: method('FreeNetwork', wire.networkRequest, async (request, { network }, call) => {
    const id = networkId('FreeNetwork: NetworkID', request.NetworkID);
    await network.freeNetwork?.(id, call);
    return {};
  }),
  CreateEndpoint: method('CreateEndpoint', wire.createEndpointRequest, async (request, { network }, call) => {
    const decoded = decodeCreateEndpoint(request);
    return encodeCreatedEndpoint(request, decoded, await network.createEndpoint(decoded, call));
  }),
  DeleteEndpoint: method('DeleteEndpoint', wire.endpointRequest, async (request, driver, call) => {
    const ids = bothIds('DeleteEndpoint', request);
    await driver.network.deleteEndpoint(ids.network, ids.endpoint, call);
    return {};
  }),
  // Typed values are ignored by current engines and crashed old ones (libnetwork#605).
  EndpointOperInfo: method('EndpointOperInfo', wire.endpointRequest, (request) => {
    bothIds('EndpointOperInfo', request);
    return { Value: {} };
  }),
  Join: method('Join', wire.joinRequest, async (request, { network }, call) =>
    encodeJoined(await network.join(decodeJoin(request), call)),
  ),
  Leave: method('Leave', wire.endpointRequest, async (request, driver, call) => {
    const ids = bothIds('Leave', request);
    await driver.network.leave(ids.network, ids.endpoint, call);
    return {};
  }),
  // Docker's own gateway bridge publishes ports, so there is nothing to do; an error would fail the container's start.
  ProgramExternalConnectivity: method('ProgramExternalConnectivity', wire.programRequest, (request) => {
    bothIds('ProgramExternalConnectivity', request);
    return {};
  }),
  RevokeExternalConnectivity: method('RevokeExternalConnectivity', wire.endpointRequest, (request) => {
    bothIds('RevokeExternalConnectivity', request);
    return {};
  }),
  // Berth's hosts find each other through the store.
  DiscoverNew: method('DiscoverNew', wire.discoveryRequest, () => ({})),
  DiscoverDelete: method('DiscoverDelete', wire.discoveryRequest, () => ({})),
};

const ipamRoutes: Readonly<Record<string, Route>> = {
  // Replay makes the engine tell at its start which pools and addresses it holds.
  GetCapabilities: plain(({ ipam: { requiresMac = false, replays = true } }) => ({
    RequiresMACAddress: requiresMac,
    RequiresRequestReplay: replays,
  })),
  GetDefaultAddressSpaces: plain(({ ipam }, call) => {
    const spaces = ipam.addressSpaces(call);
    return { LocalDefaultAddressSpace: spaces.local, GlobalDefaultAddressSpace: spaces.global };
  }),
  RequestPool: method('RequestPool', wire.requestPoolRequest, async (request, { ipam }, call) =>
    encodePool(await ipam.requestPool(decodeRequestPool(request), call)),
  ),
  ReleasePool: method('ReleasePool', wire.poolRequest, async (request, { ipam }, call) => {
    await ipam.releasePool(poolIdField('ReleasePool: PoolID', request.PoolID), call);
    return {};
  }),
  RequestAddress: method('RequestAddress', wire.requestAddressRequest, async (request, { ipam }, call) =>
    encodeAddress(await ipam.requestAddress(decodeRequestAddress(request), call)),
  ),
  ReleaseAddress: method('ReleaseAddress', wire.releaseAddressRequest, async (request, { ipam }, call) => {
    const pool = poolIdField('ReleaseAddress: PoolID', request.PoolID);
    await ipam.releaseAddress(pool, addressOfPool('ReleaseAddress: Address', request.Address, pool), call);
    return {};
  }),
};

const prefixed = (prefix: string, table: Readonly<Record<string, Route>>) =>
  Object.entries(table).map(([name, route]) => [`/${prefix}.${name}`, route] as const);

/** By path. A map, because a path may be any text, `/constructor` too. */
export const routes: ReadonlyMap<string, Route> = new Map([
  ['/Plugin.Activate', plain(() => ({ Implements: ['NetworkDriver', 'IpamDriver'] }))],
  ...prefixed('NetworkDriver', networkRoutes),
  ...prefixed('IpamDriver', ipamRoutes),
]);
