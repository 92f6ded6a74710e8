/**
 * What the Engine API answers, as far as Berth reads it. Source: moby `api/swagger.yaml`, versions 1.24 to 1.52. Fields are
 * missing or null in some version or other; none of those makes the rest unreadable.
 */

import * as z from 'zod';
import { formatAddress, parseAddress } from '../model/address.ts';
import type { EndpointId, EngineId } from '../model/ids.ts';
import { parseEndpointId, parseNetworkId } from '../model/ids.ts';
import { parseMac } from '../model/mac.ts';
import { formatPrefix, type InterfaceAddress, parseInterfaceAddress, prefixOf } from '../model/prefix.ts';
import type {
  EngineContainer,
  EngineEndpoint,
  EngineEvent,
  EngineInfo,
  EngineNetwork,
  EngineSubnet,
  ListedContainer,
  NewNetwork,
} from './engine.ts';

import { pluginName } from './plugin-name.ts';

const text = z
  .string()
  .nullish()
  .transform((value) => value ?? '');
const textMap = z
  .record(z.string(), z.string())
  .nullish()
  .transform((value) => value ?? {});

export const versionAnswer = z.object({ ApiVersion: z.string().regex(/^\d+\.\d+$/), MinAPIVersion: text });

export const infoAnswer = z.object({
  ID: z.string().min(1),
  ServerVersion: text,
  LiveRestoreEnabled: z.boolean().nullish(),
  ClusterStore: z.string().nullish(),
  Swarm: z
    .object({ LocalNodeState: text, ControlAvailable: z.boolean().nullish(), Nodes: z.number().nullish() })
    .nullish(),
  Plugins: z.object({ Network: z.array(z.string()).nullish() }).nullish(),
  DockerRootDir: text,
});

const container = z.object({ Name: text, EndpointID: text, MacAddress: text, IPv4Address: text, IPv6Address: text });

const subnet = z.object({ Subnet: text, IPRange: text, Gateway: text, AuxiliaryAddresses: textMap });

export const networkAnswer = z.object({
  Id: z.string(),
  Name: text,
  Driver: text,
  Scope: text,
  Internal: z.boolean().nullish(),
  Options: textMap,
  Labels: textMap,
  IPAM: z
    .object({
      Driver: text,
      Options: textMap,
      Config: z.array(subnet).nullish(),
    })
    .nullish(),
  Containers: z.record(z.string(), container).nullish(),
});

export const containerAnswer = z.object({
  Id: z.string().min(1),
  Name: text,
  Config: z
    .object({ Hostname: text, Labels: textMap, ExposedPorts: z.record(z.string(), z.unknown()).nullish() })
    .nullish(),
  State: z.object({ Running: z.boolean().nullish() }).nullish(),
  HostConfig: z.object({ NetworkMode: text }).nullish(),
  NetworkSettings: z
    .object({
      SandboxKey: text,
      Networks: z
        .record(z.string(), z.object({ EndpointID: text, Aliases: z.array(z.string()).nullish() }).nullable())
        .nullish(),
    })
    .nullish(),
  GraphDriver: z.object({ Data: z.object({ MergedDir: text }).nullish() }).nullish(),
});

export const createdAnswer = z.object({
  Id: z.string().transform((value, context) => {
    const id = parseNetworkId(value);
    if (id !== undefined) return id;
    context.addIssue('not the id of a network');
    return z.NEVER;
  }),
});

export const networksAnswer = z.array(networkAnswer);

export const containersAnswer = z.array(
  z.object({
    Id: z.string(),
    Names: z
      .array(z.string())
      .nullish()
      .transform((value) => value ?? []),
    State: text,
    Labels: textMap,
    NetworkSettings: z
      .object({ Networks: z.record(z.string(), z.object({ NetworkID: text }).nullable()).nullish() })
      .nullish(),
  }),
);

export const eventLine = z.object({
  Type: text,
  Action: text,
  Actor: z.object({ ID: text, Attributes: textMap }).nullish(),
});

/** What the engine says of itself in an error, `{"message":"…"}`. */
export const errorAnswer = z.object({ message: z.string() });

export function toInfo(answer: z.output<typeof infoAnswer>, apiVersion: string): EngineInfo {
  const swarm = answer.Swarm?.LocalNodeState ?? '';
  return {
    id: answer.ID as EngineId,
    version: answer.ServerVersion,
    apiVersion,
    liveRestore: answer.LiveRestoreEnabled ?? false,
    clusterStore: (answer.ClusterStore ?? '') !== '',
    swarm: swarm !== '' && swarm !== 'inactive',
    manager: answer.Swarm?.ControlAvailable ?? false,
    drivers: answer.Plugins?.Network ?? [],
    ...(answer.Swarm?.Nodes ? { nodes: answer.Swarm.Nodes } : {}),
    ...(answer.DockerRootDir === '' ? {} : { folder: answer.DockerRootDir }),
  };
}

/** As the engine tells them a driver, `80/tcp`: it takes `80` from clients, too, and Compose says it so. */
export function exposedPorts(ports: Readonly<Record<string, unknown>> | null | undefined): readonly string[] {
  return Object.keys(ports ?? {})
    .map((port) => (port.includes('/') ? port : `${port}/tcp`))
    .toSorted();
}

/** Undefined for a network whose id no driver could have been told. */
export function toNetwork(answer: z.output<typeof networkAnswer>): EngineNetwork | undefined {
  const id = parseNetworkId(answer.Id);
  if (id === undefined) return undefined;
  const bridge = answer.Driver === 'bridge' ? bridgeName(answer) : undefined;
  return {
    id,
    name: answer.Name,
    driver: pluginName(answer.Driver),
    ipamDriver: pluginName(answer.IPAM?.Driver ?? ''),
    ipamOptions: answer.IPAM?.Options ?? {},
    labels: answer.Labels,
    scope: answer.Scope,
    internal: answer.Internal ?? false,
    options: answer.Options,
    subnets: (answer.IPAM?.Config ?? []).flatMap(toSubnet),
    ...(bridge === undefined ? {} : { bridge }),
    endpoints: Object.entries(answer.Containers ?? {}).flatMap(([key, value]) => toEndpoint(key, value)),
  };
}

/** The body of `POST /networks/create`. */
export function networkRequest(network: NewNetwork): unknown {
  return {
    Name: network.name,
    // Engines before 25 take a second network of the same name otherwise.
    CheckDuplicate: true,
    ...(network.attachable === undefined ? {} : { Attachable: network.attachable }),
    Driver: network.driver,
    EnableIPv6: network.subnets.some(({ subnet }) => subnet.address.family === 6),
    IPAM: {
      Driver: network.ipamDriver,
      Options: network.ipamOptions,
      Config: network.subnets.map(({ subnet, gateway }) => ({
        Subnet: formatPrefix(subnet),
        ...(gateway === undefined ? {} : { Gateway: formatAddress(gateway) }),
      })),
    },
    Options: network.options,
    Labels: network.labels,
  };
}

/** libnetwork `drivers/bridge`: `br-` and the first 12 characters of the id, unless the option names another. */
function bridgeName(answer: z.output<typeof networkAnswer>): string {
  return answer.Options['com.docker.network.bridge.name'] ?? `br-${answer.Id.slice(0, 12)}`;
}

/** Engines before 25 keep a subnet as the user wrote it, host bits included; a gateway may carry a length. */
function toSubnet(config: z.output<typeof subnet>): EngineSubnet[] {
  const within = parseInterfaceAddress(config.Subnet);
  if (within === undefined) return [];
  const range = parseInterfaceAddress(config.IPRange);
  const gateway = parseAddress(config.Gateway) ?? parseInterfaceAddress(config.Gateway)?.address;
  const auxiliary = Object.entries(config.AuxiliaryAddresses).flatMap(([name, value]) => {
    const address = parseAddress(value);
    return address === undefined ? [] : [[name, address] as const];
  });
  return [
    {
      subnet: prefixOf(within),
      ...(range === undefined ? {} : { range: prefixOf(range) }),
      ...(gateway === undefined ? {} : { gateway }),
      auxiliary: Object.fromEntries(auxiliary),
    },
  ];
}

/** The key is a container's id, or `ep-…`, `lb-…`, `gateway_…` for an endpoint that belongs to none. */
function toEndpoint(key: string, value: z.output<typeof container>): EngineEndpoint[] {
  const id = parseEndpointId(value.EndpointID);
  if (id === undefined) return [];
  const addresses = [value.IPv4Address, value.IPv6Address]
    .map(parseInterfaceAddress)
    .filter((address): address is InterfaceAddress => address !== undefined);
  const mac = parseMac(value.MacAddress);
  return [{ id, container: key, name: value.Name, addresses, ...(mac === undefined ? {} : { mac }) }];
}

export function toContainer(answer: z.output<typeof containerAnswer>): EngineContainer {
  const running = answer.State?.Running ?? false;
  const sandbox = answer.NetworkSettings?.SandboxKey ?? '';
  const root = answer.GraphDriver?.Data?.MergedDir ?? '';
  const exposes = exposedPorts(answer.Config?.ExposedPorts);
  const aliases = aliasesOf(answer);
  return {
    id: answer.Id,
    name: answer.Name.replace(/^\//, ''),
    hostName: answer.Config?.Hostname ?? '',
    labels: answer.Config?.Labels ?? {},
    running,
    networkMode: answer.HostConfig?.NetworkMode ?? '',
    ...(running && sandbox !== '' ? { sandbox } : {}),
    ...(root === '' ? {} : { root }),
    ...(exposes.length === 0 ? {} : { exposes }),
    ...(aliases.size === 0 ? {} : { aliases }),
  };
}

/** Engines before 25 count the beginning of the container's id among them. */
function aliasesOf({
  Id,
  NetworkSettings,
}: z.output<typeof containerAnswer>): ReadonlyMap<EndpointId, readonly string[]> {
  return new Map(
    Object.values(NetworkSettings?.Networks ?? {}).flatMap((on) => {
      const id = parseEndpointId(on?.EndpointID ?? '');
      const aliases = (on?.Aliases ?? []).filter((alias) => alias !== Id.slice(0, 12));
      return id === undefined || aliases.length === 0 ? [] : [[id, aliases] as const];
    }),
  );
}

export function toListed(answer: z.output<typeof containersAnswer>[number]): ListedContainer {
  const project = answer.Labels['com.docker.compose.project'];
  const service = answer.Labels['com.docker.compose.service'];
  const number = answer.Labels['com.docker.compose.container-number'];
  const compose =
    project === undefined || service === undefined
      ? undefined
      : { project, service, ...(number === undefined ? {} : { number }) };
  return {
    id: answer.Id,
    // The others are those by which links call it, with two slashes.
    name: (answer.Names.find((name) => /^\/[^/]+$/.test(name)) ?? '').slice(1),
    running: answer.State === 'running' || answer.State === 'paused',
    ...(compose === undefined ? {} : { compose }),
    networks: Object.entries(answer.NetworkSettings?.Networks ?? {}).map(([key, on]) => {
      const id = parseNetworkId(on?.NetworkID ?? '');
      return id === undefined ? { key } : { key, id };
    }),
  };
}

export function toEvent(line: z.output<typeof eventLine>): EngineEvent {
  return {
    type: line.Type,
    action: line.Action,
    actor: line.Actor?.ID ?? '',
    attributes: line.Actor?.Attributes ?? {},
  };
}
