/** From what `berth attach` asks for to a network and an endpoint: everything is decided and checked here, and nothing done. */

import { createHash } from 'node:crypto';
import type { CreateEndpoint } from '../docker/driver.ts';
import type { EngineContainer } from '../docker/engine.ts';
import { chosenMac, containerSettings } from '../fabric/container-options.ts';
import { fabricOf } from '../fabric/fabrics.ts';
import { gatewaysFor } from '../fabric/gateways.ts';
import type { HostView } from '../kernel/kernel.ts';
import { type Address, formatAddress, sameAddress } from '../model/address.ts';
import { BerthError } from '../model/errors.ts';
import type { EndpointId, NetworkId } from '../model/ids.ts';
import { type Mac, macFromAddress, macFromIdentity } from '../model/mac.ts';
import type { Endpoint, Network, Subnet } from '../model/network.ts';
import { contains, formatPrefix, type InterfaceAddress, prefixOf, samePrefix } from '../model/prefix.ts';
import type { AttachRequest, WantedAddress } from './attach-request.ts';
import type { Dhcp } from './dhcp/manager.ts';
import type { HostFacts } from './host.ts';
import type { Leases } from './leases.ts';
import type { Lifecycle } from './lifecycle.ts';
import type { Names } from './names.ts';
import type { State } from './state.ts';

export interface PlanParts {
  readonly state: State;
  readonly lifecycle: Lifecycle;
  readonly leases: Leases;
  readonly names: Names;
  readonly dhcp: Pick<Dhcp, 'serves' | 'acquire' | 'settled' | 'attached' | 'networkGoes' | 'leases'>;
  readonly host: HostFacts;
  now(): number;
}

/** What the interface is called unless the user says: pipework's choice, and then the next. */
const FIRST_INTERFACE = 1;
/** The plugin name of networks that no plugin was asked for. */
const ATTACH = 'attach';
/** RFC 1123 §2.1, one label. */
const HOST_NAME = /^[0-9A-Za-z](?:[0-9A-Za-z-]{0,61}[0-9A-Za-z])?$/;

/**
 * The network that it is plugged into: the named one, or one that is made up from the options.
 *
 * @throws BerthError BAD_OPTION, BAD_ADDRESS, NETWORK_UNKNOWN, INTERFACE_UNKNOWN, SUBNET_OVERLAP, …
 */
export async function planNetwork(
  request: AttachRequest,
  id: EndpointId,
  named: Network | undefined,
  parts: PlanParts,
): Promise<Network> {
  if (named !== undefined) return checkNamed(request, named);
  // Whoever attaches a container has often made the bridge a moment ago.
  await parts.host.refresh();
  return makeUp(request, id, parts);
}

/**
 * The endpoint, with its addresses: leased, where they are of a pool of ours or of a DHCP server. Until it stands in the records
 * `dhcp.settled` has not been called.
 *
 * @param inside the container's network namespace as it is now.
 * @throws BerthError BAD_OPTION, ADDRESS_OUTSIDE, ADDRESS_TAKEN, MAC_IN_USE, INTERFACE_EXISTS, DHCP_NO_ANSWER, …
 */
export async function planEndpoint(
  request: AttachRequest,
  id: EndpointId,
  network: Network,
  container: EngineContainer,
  inside: HostView,
  parts: PlanParts,
): Promise<Endpoint> {
  const { state, lifecycle, leases, dhcp, names } = parts;
  const link = chooseInterface(request.interface, container, inside, state);
  const fabric = fabricOf(network.fabric);
  const settings = fabric.planEndpoint(network, { options: request.endpointOptions }, lifecycle.context());
  const fixed = wantedAddresses(request, network);
  if (!leadsNowhere(network)) for (const { address } of fixed) checkFree(address, network, parts);
  const wantedMac = request.mac ?? chosenMac({ settings });
  const sharedMac = fabric.sharedMac?.(network, lifecycle.context());
  const usualMac = fabric.defaultMac?.(network, settings);
  const mac = (address: Address | undefined) =>
    sharedMac ?? chooseMac(wantedMac ?? usualMac, address, id, network, state, names);
  const common = {
    id,
    network: network.id,
    phase: 'created',
    publishes: false,
    options: request.endpointOptions,
    settings,
    createdAt: parts.now(),
  } as const;
  async function hold(): Promise<Pick<Endpoint, 'addresses' | 'mac'>> {
    const addresses = await holdAll(request, network, fixed, (subnet, address) =>
      leases.hold(network, subnet.prefix, id, { address, name: container.name, mac: request.mac }),
    );
    return { addresses, mac: mac(addresses[0]?.address) };
  }
  const held =
    dhcp.serves(network) && !request.noAddress
      ? await dhcp.acquire(network, dhcpRequest(request, common, container, wantedMac && mac(undefined)))
      : await hold();
  const bare: Endpoint = { ...common, ...held };
  return {
    ...bare,
    attachment: {
      container: { id: container.id, name: container.name },
      keep: request.keep,
      interface: link,
      gateways: chooseGateways(request, network, bare, inside),
      displaced: [],
      request: request.canonical,
    },
  };
}

/** The server is told the container's name, and knows the container by it again. */
function dhcpRequest(
  request: AttachRequest,
  { id, network }: Pick<Endpoint, 'id' | 'network'>,
  { name }: EngineContainer,
  mac: Mac | undefined,
): CreateEndpoint {
  const identity = `attached ${name} ${request.interface ?? ''}`
    .trim()
    .replaceAll(/[^0-9A-Za-z.:_-]/g, ':')
    .slice(0, 64);
  const hostname = HOST_NAME.test(name) ? { hostname: name } : {};
  return {
    network,
    endpoint: id,
    addresses: [],
    ...(mac === undefined ? {} : { mac }),
    options: { identity, ...hostname, ...request.endpointOptions },
    publishes: false,
  };
}

/** @throws BerthError INTERFACE_EXISTS */
function chooseInterface(
  wanted: string | undefined,
  container: EngineContainer,
  inside: HostView,
  state: State,
): string {
  const planned = [...state.endpoints.values()].flatMap(({ attachment }) =>
    attachment?.container.id === container.id ? [attachment.interface] : [],
  );
  const taken = new Set([...inside.links.map(({ name }) => name), ...planned]);
  if (wanted !== undefined) {
    if (taken.has(wanted)) {
      throw new BerthError('INTERFACE_EXISTS', `the container ${container.name} has an interface ${wanted} already`);
    }
    return wanted;
  }
  for (let number = FIRST_INTERFACE; ; number++) if (!taken.has(`eth${number}`)) return `eth${number}`;
}

/** A network for this one container. */
async function makeUp(request: AttachRequest, id: EndpointId, { lifecycle, leases, now }: PlanParts): Promise<Network> {
  const subnets = request.addresses.map(({ address, length }): Subnet => {
    if (length === undefined) {
      const shown = formatAddress(address);
      throw new BerthError(
        'BAD_ADDRESS',
        `the address ${shown} has no prefix length: give ${shown}/${address.family === 4 ? 24 : 64}, say, or name a network that has the subnet`,
      );
    }
    const prefix = prefixOf({ address, length });
    const gateway = request.gateways.find((one) => contains(prefix, one));
    return { prefix, auxiliary: {}, ...(gateway === undefined ? {} : { gateway }) };
  });
  // What leads nowhere is on no segment: every container may have the same address there.
  const nowhere = request.options.mode === 'dummy';
  const plan = {
    id: createHash('sha256').update(`network of ${id}`).digest('hex') as NetworkId,
    plugin: ATTACH,
    subnets: nowhere ? [] : subnets,
    internal: false,
    options: request.options,
  };
  const settings = await fabricOf('lan').planNetwork(plan, lifecycle.context());
  const leased = subnets.some(({ prefix }) => leases.serves(prefix));
  return { ...plan, fabric: 'lan', leased, settings, adHoc: true, createdAt: now() };
}

/** @throws BerthError BAD_OPTION, NETWORK_UNKNOWN */
function checkNamed(request: AttachRequest, network: Network): Network {
  const [option] = Object.keys(request.options);
  if (option !== undefined) {
    throw new BerthError(
      'BAD_OPTION',
      `the network has its own settings: the option '${option}' cannot be given with it`,
    );
  }
  if (network.adHoc !== undefined) {
    throw new BerthError('NETWORK_UNKNOWN', 'that network belongs to one attachment, and cannot have a second');
  }
  return network;
}

/** @throws BerthError ADDRESS_OUTSIDE */
function wantedAddresses(request: AttachRequest, network: Network): readonly InterfaceAddress[] {
  return request.addresses.map(({ address, length }: WantedAddress) => {
    if (leadsNowhere(network) && length !== undefined) return { address, length };
    const subnet = network.subnets.find(({ prefix }) => contains(prefix, address))?.prefix;
    if (subnet !== undefined && (length === undefined || length === subnet.length)) {
      return { address, length: subnet.length };
    }
    const known = network.subnets.map(({ prefix }) => formatPrefix(prefix)).join(', ');
    const shown = length === undefined ? formatAddress(address) : formatPrefix({ address, length });
    throw new BerthError(
      'ADDRESS_OUTSIDE',
      `the address ${shown} is not within the network's ${known || 'subnets: it has none'}`,
    );
  });
}

function leadsNowhere({ adHoc, subnets }: Network): boolean {
  return adHoc !== undefined && subnets.length === 0;
}

/** @throws BerthError ADDRESS_TAKEN */
function checkFree(address: Address, network: Network, { state, names }: PlanParts): void {
  const shown = formatAddress(address);
  if (network.subnets.some(({ gateway }) => gateway !== undefined && sameAddress(gateway, address))) {
    throw new BerthError('ADDRESS_TAKEN', `the address ${shown} is the gateway of the network`);
  }
  for (const other of state.networks.values()) {
    if (!other.subnets.some(({ prefix }) => contains(prefix, address))) continue;
    const holder = state.holder(other.id, shown);
    if (holder === undefined) continue;
    throw new BerthError('ADDRESS_TAKEN', `the address ${shown} is held by ${names.describe(holder.id)}`);
  }
}

/** The addresses that are wanted; or, where none is named, one of each subnet that our IPAM serves. */
async function holdAll(
  request: AttachRequest,
  network: Network,
  fixed: readonly InterfaceAddress[],
  hold: (subnet: Subnet, address: Address | undefined) => Promise<Address | undefined>,
): Promise<readonly InterfaceAddress[]> {
  if (request.noAddress) return [];
  if (fixed.length > 0) {
    for (const { address } of fixed) {
      const subnet = network.subnets.find(({ prefix }) => contains(prefix, address));
      if (subnet !== undefined) await hold(subnet, address);
    }
    return fixed;
  }
  const found: InterfaceAddress[] = [];
  for (const subnet of network.subnets) {
    const { prefix } = subnet;
    if (found.some(({ address }) => address.family === prefix.address.family)) continue;
    const address = await hold(subnet, undefined);
    if (address === undefined) {
      throw new BerthError(
        'BAD_ADDRESS',
        `the addresses of ${formatPrefix(prefix)} are given out by Docker itself: name one with --address that Docker does not give, or say --no-address`,
      );
    }
    found.push({ address, length: prefix.length });
  }
  return found;
}

/** @throws BerthError MAC_IN_USE */
function chooseMac(
  wanted: Mac | undefined,
  address: Address | undefined,
  id: EndpointId,
  network: Network,
  state: State,
  names: Names,
): Mac {
  const onSegment = [...state.networks.values()].filter(
    (other) =>
      other.id === network.id ||
      other.subnets.some(({ prefix }) => network.subnets.some((own) => samePrefix(own.prefix, prefix))),
  );
  const holderOf = (mac: Mac) =>
    onSegment.map((other) => state.macHolder(other.id, mac)).find((holder) => holder !== undefined);
  if (wanted !== undefined) {
    const holder = holderOf(wanted);
    if (holder === undefined) return wanted;
    throw new BerthError('MAC_IN_USE', `the MAC address ${wanted} is held by ${names.describe(holder.id)}`);
  }
  const usual = address === undefined ? undefined : macFromAddress(address);
  if (usual !== undefined && holderOf(usual) === undefined) return usual;
  return macFromIdentity(id);
}

/**
 * Those that were named; else the network's own, in families in which the container has no way out yet: who names none does
 * not want another way out.
 */
function chooseGateways(
  request: AttachRequest,
  network: Network,
  endpoint: Endpoint,
  inside: HostView,
): readonly Address[] {
  if (request.gateways.length > 0) return request.gateways;
  if (network.internal || !containerSettings(endpoint).defaultRoute) return [];
  const { gateway4, gateway6 } = gatewaysFor(network, endpoint);
  return [gateway4, gateway6].filter(
    (gateway) =>
      gateway !== undefined &&
      !inside.routes.some(
        ({ table, destination }) =>
          table === 254 && destination.length === 0 && destination.address.family === gateway.family,
      ),
  ) as Address[];
}
