/** Answers of `driver.ts` as Docker reads them. */

import { formatAddress } from '../model/address.ts';
import type { BerthError } from '../model/errors.ts';
import { formatPrefix, type InterfaceAddress } from '../model/prefix.ts';
import type { CreatedEndpoint, CreateEndpoint, Joined, RequestedPool } from './driver.ts';
import { printable } from './text.ts';
import type { CreateEndpointRequest } from './wire.ts';

/** One JSON object, the whole body of an answer. */
export type Answer = Readonly<Record<string, unknown>>;

/** A network driver's client reads `Err`, an IPAM driver's reads `Error`. */
export function encodeError(error: BerthError): Answer {
  const message = printable(error.message, 1000);
  return { Err: message, Error: message };
}

/**
 * Only what Docker left empty is answered: a value in a field that it gave, even the same one, makes it fail with "cannot be
 * modified" (libnetwork `drivers/remote/driver.go`, `parseInterface`).
 */
export function encodeCreatedEndpoint(
  wire: CreateEndpointRequest,
  request: CreateEndpoint,
  created: CreatedEndpoint,
): Answer {
  const { Address = '', AddressIPv6 = '', MacAddress = '' } = wire.Interface ?? {};
  const v4 = created.addresses.find((on) => on.address.family === 4);
  const v6 = created.addresses.find((on) => on.address.family === 6);
  const mac = created.mac ?? request.mac;
  return {
    Interface: {
      ...(Address === '' && v4 !== undefined ? { Address: formatPrefix(v4) } : {}),
      ...(AddressIPv6 === '' && v6 !== undefined ? { AddressIPv6: formatPrefix(v6) } : {}),
      ...(MacAddress === '' && mac !== undefined ? { MacAddress: mac } : {}),
    },
  };
}

/** RouteType 0 goes through a next hop, 1 is on the link itself (libnetwork `types.NEXTHOP`, `types.CONNECTED`). */
export function encodeJoined(joined: Joined): Answer {
  return {
    InterfaceName: { SrcName: joined.sourceName, DstPrefix: joined.destinationPrefix },
    ...(joined.gateway4 === undefined ? {} : { Gateway: formatAddress(joined.gateway4) }),
    ...(joined.gateway6 === undefined ? {} : { GatewayIPv6: formatAddress(joined.gateway6) }),
    StaticRoutes: joined.routes.map(({ destination, via }) => ({
      Destination: formatPrefix(destination),
      ...(via === undefined ? { RouteType: 1 } : { RouteType: 0, NextHop: formatAddress(via) }),
    })),
    DisableGatewayService: joined.disableGatewayService,
  };
}

export function encodePool(pool: RequestedPool): Answer {
  return { PoolID: pool.id, Pool: formatPrefix(pool.subnet), Data: {} };
}

export function encodeAddress(address: InterfaceAddress): Answer {
  return { Address: formatPrefix(address), Data: {} };
}
