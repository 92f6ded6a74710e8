/**
 * The requests of Docker's plugin protocol as they come over the wire. Source: moby `libnetwork/drivers/remote/api/api.go`
 * and `libnetwork/ipams/remote/api/api.go`, tags v20.10.24 to docker-v29.7.2; what an engine really puts into `Options`
 * was read in `libnetwork/netlabel/labels.go` and `daemon/network.go`.
 *
 * Go writes an empty map or list as `null` or leaves it out, so each of these reads as empty. Keys that are not listed are
 * ignored: newer engines add some. Go also reads keys in any case; it writes them in one, so these are exact.
 */

import * as z from 'zod';

const text = z
  .string()
  .nullish()
  .transform((value) => value ?? '');
const flag = z
  .boolean()
  .nullish()
  .transform((value) => value ?? false);
const textMap = z
  .record(z.string(), z.string())
  .nullish()
  .transform((value) => value ?? {});
const anyMap = z
  .record(z.string(), z.unknown())
  .nullish()
  .transform((value) => value ?? {});
const listOf = <T extends z.ZodType>(item: T) =>
  z
    .array(item)
    .nullish()
    .transform((value) => value ?? []);

const port = z.int().min(0).max(65535);
const protocol = z.int().min(0).max(255);

/** Keys of `Options`, from `netlabel/labels.go`. */
export const label = {
  generic: 'com.docker.network.generic',
  enableIpv4: 'com.docker.network.enable_ipv4',
  enableIpv6: 'com.docker.network.enable_ipv6',
  internal: 'com.docker.network.internal',
  portMap: 'com.docker.network.portmap',
  exposedPorts: 'com.docker.network.endpoint.exposedports',
  macAddress: 'com.docker.network.endpoint.macaddress',
  endpointName: 'com.docker.network.endpoint.name',
  addressType: 'RequestAddressType',
  /** Only the allocator of a swarm's leader sets it (swarmkit `cnmallocator`). */
  serial: 'com.docker.network.ipam.serial',
  gateway: 'com.docker.network.gateway',
} as const;

/** `Options` of CreateNetwork and GwAllocCheck. */
const networkOptions = z
  .object({
    [label.generic]: textMap,
    [label.enableIpv4]: z.boolean().nullish(),
    [label.enableIpv6]: z.boolean().nullish(),
    [label.internal]: flag,
  })
  .nullish();

/** `Options` of Join and ProgramExternalConnectivity: what the engine knows of the container's ports. */
const ports = {
  [label.portMap]: listOf(
    z.object({ Proto: protocol, Port: port, HostIP: text, HostPort: port.nullish(), HostPortEnd: port.nullish() }),
  ),
  [label.exposedPorts]: listOf(z.object({ Proto: protocol, Port: port })),
};
const sandboxOptions = z.object(ports).nullish();

const ipamData = listOf(z.object({ AddressSpace: text, Pool: text, Gateway: text, AuxAddresses: textMap }));

export const networkRequest = z.object({ NetworkID: text });
export const endpointRequest = z.object({ NetworkID: text, EndpointID: text });

export const gwAllocCheckRequest = z.object({ Options: networkOptions });

export const createNetworkRequest = z.object({
  NetworkID: text,
  Options: networkOptions,
  IPv4Data: ipamData,
  IPv6Data: ipamData,
});

export const allocateNetworkRequest = z.object({
  NetworkID: text,
  Options: textMap,
  IPv4Data: ipamData,
  IPv6Data: ipamData,
});

export const createEndpointRequest = z.object({
  NetworkID: text,
  EndpointID: text,
  Interface: z.object({ Address: text, AddressIPv6: text, MacAddress: text }).nullish(),
  /** The user's `--driver-opt` and the engine's own keys side by side. */
  Options: z.looseObject({ ...ports, [label.macAddress]: z.string().nullish() }).nullish(),
});

export const joinRequest = z.object({
  NetworkID: text,
  EndpointID: text,
  SandboxKey: text,
  Options: sandboxOptions,
});

export const programRequest = z.object({ NetworkID: text, EndpointID: text, Options: sandboxOptions });

export const discoveryRequest = z.object({ DiscoveryType: z.int(), DiscoveryData: anyMap });

export const requestPoolRequest = z.object({
  AddressSpace: text,
  Pool: text,
  SubPool: text,
  Options: textMap,
  V6: flag,
});

export const poolRequest = z.object({ PoolID: text });
export const requestAddressRequest = z.object({ PoolID: text, Address: text, Options: textMap });
export const releaseAddressRequest = z.object({ PoolID: text, Address: text });

export type GwAllocCheckRequest = z.output<typeof gwAllocCheckRequest>;
export type CreateNetworkRequest = z.output<typeof createNetworkRequest>;
export type CreateEndpointRequest = z.output<typeof createEndpointRequest>;
export type JoinRequest = z.output<typeof joinRequest>;
export type RequestPoolRequest = z.output<typeof requestPoolRequest>;
export type RequestAddressRequest = z.output<typeof requestAddressRequest>;
