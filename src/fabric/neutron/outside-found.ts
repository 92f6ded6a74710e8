/**
 * What leads to the containers of a network from outside, found again in Neutron when no record knows it any more: each thing says in its
 * description what it is for.
 */

import { BerthError } from '../../model/errors.ts';
import type { EndpointId, NetworkId } from '../../model/ids.ts';
import type { Bounds } from '../../openstack/bounds.ts';
import type { Neutron } from '../../openstack/neutron/neutron.ts';
import { orNone } from './find.ts';
import { readFacts } from './marks.ts';
import type { Wishes } from './options.ts';
import { protocolNumber } from './publish.ts';
import type { NetworkRecord, OutsideRecord, PortRecord } from './records.ts';
import { externalNetwork, INTERFACE_NAME } from './router.ts';
import type { NetworkSettings } from './settings.ts';

type Kinds = Pick<Neutron, 'ports' | 'networks' | 'floatingIps' | 'portForwardings'>;

/** What was found for a network. */
export interface WayOutFound {
  readonly settings: Pick<NetworkSettings, 'floatingNetwork' | 'publish' | 'floatingIp'>;
  readonly record: Pick<NetworkRecord, 'router' | 'floating'>;
}

/**
 * Asks nothing where the network's options ask for nothing.
 *
 * @param key of the network's record. @param network of Neutron.
 * @throws BerthError NEUTRON_…, OPENSTACK_…
 */
export async function findWayOut(
  neutron: Kinds,
  { router, floatingNetwork, publish }: Wishes,
  { key, network }: { readonly key: string; readonly network: string },
  bounds: Bounds,
): Promise<WayOutFound> {
  const interfaces =
    router === undefined
      ? []
      : await neutron.ports.list(
          { network_id: network, name: INTERFACE_NAME, description: key },
          { ...bounds, fields: ['device_id'] },
        );
  const attached = interfaces.find(({ device_id }) => device_id)?.device_id;
  const [floating] =
    publish === 'floating-ip'
      ? await neutron.floatingIps.list(
          { description: key },
          { ...bounds, fields: ['id', 'floating_ip_address', 'floating_network_id'] },
        )
      : [];
  const external = floating?.floating_network_id ?? (await externalOf(neutron, floatingNetwork, bounds));
  return {
    settings: {
      ...(external !== undefined && { floatingNetwork: external }),
      ...(publish !== undefined && publish !== 'engine' && { publish }),
      ...(floating && { floatingIp: { id: floating.id, address: floating.floating_ip_address } }),
    },
    record: {
      ...(attached !== undefined && { router: attached }),
      ...(publish === 'floating-ip' && { floating: true }),
    },
  };
}

/** The same for a network that all engines have, whose tags tell it; what is to go with it, who removes it finds there as well. */
export function toldWayOut(id: NetworkId, tags: readonly string[]): WayOutFound {
  const { floatingNetwork, publish, floatingIp } = readFacts(id, tags);
  return {
    settings: {
      ...(floatingNetwork !== undefined && { floatingNetwork }),
      ...(publish !== undefined && { publish }),
      ...(floatingIp !== undefined && { floatingIp }),
    },
    record: {},
  };
}

/** One that is gone, or whose name others have now, keeps no network from being taken up. */
async function externalOf(
  neutron: Kinds,
  wanted: Wishes['floatingNetwork'],
  bounds: Bounds,
): Promise<string | undefined> {
  if (wanted === undefined) return undefined;
  try {
    return await externalNetwork(neutron, wanted, bounds);
  } catch (error) {
    if (error instanceof BerthError && FOUND_NO_MORE.has(error.code)) return undefined;
    throw error;
  }
}
const FOUND_NO_MORE = new Set(['NEUTRON_NOT_FOUND', 'NEUTRON_AMBIGUOUS', 'BAD_OPTION']);

/**
 * The floating IPs that were made for containers, and the ports of the network's floating IP that lead to them.
 *
 * @throws BerthError NEUTRON_…, OPENSTACK_…
 */
export async function findOutside(
  neutron: Kinds,
  host: string,
  { floatingIp }: WayOutFound['settings'],
  ports: readonly (PortRecord & { readonly port: string; readonly endpoint: EndpointId })[],
  bounds: Bounds,
): Promise<readonly OutsideRecord[]> {
  if (ports.length === 0) return [];
  const [floatingIps, forwardings] = await Promise.all([
    orNone(
      neutron.floatingIps.list(
        { port_id: ports.map(({ port }) => port) },
        { ...bounds, fields: ['id', 'description', 'floating_ip_address', 'port_id'] },
      ),
    ),
    floatingIp === undefined ? [] : neutron.portForwardings(floatingIp.id).list({}, bounds),
  ]);
  return ports.flatMap(({ port, endpoint, network }): OutsideRecord[] => {
    const own = floatingIps.find(
      ({ port_id, description }) => port_id === port && description === `berth/${host}/${endpoint.slice(0, 12)}`,
    );
    const forwarded = forwardings.flatMap(({ internal_port_id, protocol, internal_port, external_port }) => {
      const number = protocolNumber(protocol);
      const isWhole = number !== undefined && internal_port !== undefined && external_port !== undefined;
      return internal_port_id === port && isWhole
        ? [{ protocol: number, internal: internal_port, external: external_port }]
        : [];
    });
    if (own === undefined && forwarded.length === 0) return [];
    return [
      {
        endpoint,
        phase: 'held',
        network,
        port,
        ...(own && { floating: { origin: 'created', id: own.id, address: own.floating_ip_address } }),
        ...(forwarded.length > 0 &&
          floatingIp && { forwardings: { floatingIp: floatingIp.id, address: floatingIp.address, ports: forwarded } }),
      },
    ];
  });
}
