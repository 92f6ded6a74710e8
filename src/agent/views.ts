/** Records as the API shows them: all text. */

import { fabricOf } from '../fabric/fabrics.ts';
import { hostLink } from '../fabric/veth.ts';
import type { Drift } from '../kernel/kernel.ts';
import { type KernelObject, objectKey } from '../kernel/objects.ts';
import { formatAddress } from '../model/address.ts';
import type { EndpointId } from '../model/ids.ts';
import type { Endpoint, Network } from '../model/network.ts';
import type { Lease, Pool } from '../model/pool.ts';
import { formatPrefix, hostRange, samePrefix } from '../model/prefix.ts';
import type { Reservation } from '../model/reservation.ts';
import type {
  AttachmentView,
  ConflictView,
  DnsView,
  DriftView,
  EndpointView,
  LeaseView,
  NamedView,
  NetworkView,
  PoolView,
  ReservationView,
} from './api.ts';
import type { AttachedEndpoint } from './attachments.ts';
import type { Conflict } from './conflicts/conflicts.ts';
import type { LeaseSight } from './dhcp/manager.ts';
import type { Names } from './names.ts';
import type { NameState } from './registration/reports.ts';

const optional = <Key extends string, Value>(key: Key, value: Value | undefined): { [K in Key]?: Value } =>
  value === undefined ? {} : ({ [key]: value } as { [K in Key]?: Value });

export const iso = (milliseconds: number): string => new Date(milliseconds).toISOString();

export function networkView(
  network: Network,
  endpoints: number,
  objects: readonly KernelObject[],
  names: Names,
): NetworkView {
  const bridge = objects.find((object) => object.kind === 'link' && object.mtu !== undefined);
  return {
    id: network.id,
    ...optional('name', names.network(network.id)),
    fabric: network.fabric,
    plugin: network.plugin,
    subnets: network.subnets.map((subnet) => ({
      subnet: formatPrefix(subnet.prefix),
      ...optional('gateway', subnet.gateway && formatAddress(subnet.gateway)),
      auxiliary: Object.fromEntries(
        Object.entries(subnet.auxiliary).map(([name, address]) => [name, formatAddress(address)]),
      ),
    })),
    internal: network.internal,
    ...optional('mtu', bridge?.kind === 'link' ? bridge.mtu : undefined),
    options: network.options,
    settings: network.settings,
    ...optional('dns', dnsView(network)),
    endpoints,
    objects: objects.map(objectKey),
    createdAt: iso(network.createdAt),
  };
}

export function conflictView({ address, mac, since }: Conflict): ConflictView {
  return { address: formatAddress(address), mac, since: iso(since) };
}

function dnsView(network: Network): DnsView | undefined {
  const dns = fabricOf(network.fabric).naming?.(network)?.dns;
  if (dns === undefined) return undefined;
  const { server, port, zone, reverse, keyFile } = dns;
  return { server: formatAddress(server), port, zone, reverse, ...optional('keyFile', keyFile) };
}

/** What is known of an endpoint elsewhere. */
interface EndpointSight {
  readonly conflicts: readonly Conflict[];
  readonly called: readonly NameState[];
  readonly details: EndpointView['details'];
}

export function endpointView(
  endpoint: Endpoint,
  objects: readonly KernelObject[],
  names: Names,
  { conflicts, called, details }: EndpointSight,
): EndpointView {
  const link = objects.find((object) => object.kind === 'link');
  return {
    id: endpoint.id,
    network: endpoint.network,
    ...optional('networkName', names.network(endpoint.network)),
    ...optional('container', names.container(endpoint.id)),
    phase: endpoint.phase,
    addresses: endpoint.addresses.map(formatPrefix),
    mac: endpoint.mac,
    link: link?.name ?? hostLink(endpoint),
    ...optional('sandbox', endpoint.sandbox),
    ...optional('sandboxInterface', endpoint.sandboxInterface),
    publishes: endpoint.publishes,
    options: endpoint.options,
    objects: objects.map(objectKey),
    conflicts: conflicts.map(conflictView),
    names: called.map(({ endpoint: _of, ...name }) => name),
    ...optional('details', details),
    createdAt: iso(endpoint.createdAt),
  };
}

export function attachmentView(
  endpoint: AttachedEndpoint,
  network: Network | undefined,
  objects: readonly KernelObject[],
  problem: string | undefined,
  names: Names,
): AttachmentView {
  const { attachment } = endpoint;
  return {
    id: endpoint.id,
    container: attachment.container.name,
    containerId: attachment.container.id,
    interface: attachment.interface,
    network: endpoint.network,
    ...optional('networkName', names.network(endpoint.network)),
    adHoc: network?.adHoc !== undefined,
    addresses: endpoint.addresses.map(formatPrefix),
    gateways: attachment.gateways.map(formatAddress),
    mac: endpoint.mac,
    state: endpoint.phase === 'attached' ? 'plugged' : 'waiting',
    ...optional('problem', problem),
    keep: attachment.keep,
    networkOptions: network?.options ?? {},
    options: endpoint.options,
    objects: objects.map(objectKey),
    createdAt: iso(endpoint.createdAt),
  };
}

export function namedView(name: NameState, names: Names): NamedView {
  return { ...name, ...optional('container', names.container(name.endpoint as EndpointId)) };
}

export function poolView(pool: Pool, leases: number, networks: readonly Network[]): PoolView {
  const { first, last } = hostRange(pool.range ?? pool.subnet);
  return {
    id: pool.id,
    space: pool.space,
    subnet: formatPrefix(pool.subnet),
    ...optional('range', pool.range && formatPrefix(pool.range)),
    released: pool.released,
    leases,
    size: String(last - first + 1n),
    networks: networks
      .filter(
        ({ pools, subnets }) =>
          pools?.includes(pool.id) ?? subnets.some(({ prefix }) => samePrefix(prefix, pool.subnet)),
      )
      .map(({ id }) => id),
    createdAt: iso(pool.createdAt),
  };
}

export function leaseView(lease: Lease, names: Names): LeaseView {
  const { holder } = lease;
  const endpoint = holder.kind === 'endpoint' ? holder.endpoint : undefined;
  const named = holder.kind === 'endpoint' || holder.kind === 'request' ? holder.name : undefined;
  return {
    pool: lease.pool,
    address: formatAddress(lease.address),
    kind: holder.kind,
    ...optional('endpoint', endpoint as string | undefined),
    ...optional('container', (endpoint && names.container(endpoint)) ?? named),
    ...optional('mac', lease.mac as string | undefined),
    engine: lease.engine,
    createdAt: iso(lease.createdAt),
  };
}

export function reservationView(reservation: Reservation, lease: Lease | undefined, names: Names): ReservationView {
  const { subnet, address, network, mac, name, createdAt } = reservation;
  return {
    address: formatAddress(address),
    subnet: formatPrefix(subnet),
    ...optional('network', network),
    ...optional('mac', mac as string | undefined),
    ...optional('container', name),
    ...optional('heldBy', lease && holderName(lease, names)),
    createdAt: iso(createdAt),
  };
}

/** A reserved address that nobody has, among the leases. */
export function reservedView({ address, mac, name, createdAt }: Reservation, pool: Pool): LeaseView {
  return {
    pool: pool.id,
    address: formatAddress(address),
    kind: 'reserved',
    ...optional('container', name),
    ...optional('mac', mac as string | undefined),
    engine: '',
    createdAt: iso(createdAt),
  };
}

function holderName({ holder }: Lease, names: Names): string {
  if (holder.kind === 'endpoint')
    return names.container(holder.endpoint) ?? holder.name ?? `endpoint ${holder.endpoint.slice(0, 12)}`;
  if (holder.kind === 'swarm') return 'a container of the swarm';
  return holder.kind === 'request' ? (holder.name ?? 'a container') : `the ${holder.kind}`;
}

/** One that a DHCP server gave: the link stands in the place of a pool. */
export function dhcpLeaseView(lease: LeaseSight, names: Names): LeaseView {
  const { granted, lost, next, client } = lease;
  const address =
    granted === undefined ? lost?.address.replace(/\/.*/, '') : formatAddress(granted.terms.address.address);
  const expiry = granted && granted.requestedAt + granted.terms.lease * 1000;
  return {
    pool: `dhcp/${lease.link}`,
    address: address ?? '',
    kind: 'dhcp',
    ...optional('endpoint', lease.endpoint as string | undefined),
    ...optional('container', (lease.endpoint && names.container(lease.endpoint)) ?? lease.container?.slice(0, 12)),
    mac: client.mac,
    engine: '',
    createdAt: iso(granted?.requestedAt ?? 0),
    dhcp: {
      identity: lease.identity,
      state: lost === undefined ? (granted === undefined ? 'requested' : 'bound') : 'lost',
      ...optional('server', granted && formatAddress(granted.server.address)),
      ...optional('expiresAt', expiry !== undefined && Number.isFinite(expiry) ? iso(expiry) : undefined),
      ...optional('renewsAt', next && iso(next.at)),
      ...optional('gateway', granted?.terms.gateway && formatAddress(granted.terms.gateway)),
      ...optional('hostName', client.fqdn ?? client.hostName),
      dns: (granted?.terms.dns ?? []).map(formatAddress),
      ...optional('domain', granted?.terms.domain),
      search: granted?.terms.search ?? [],
      ...optional('lost', lost?.reason),
    },
  };
}

export function driftView(drift: Drift): DriftView {
  return { ...drift };
}
