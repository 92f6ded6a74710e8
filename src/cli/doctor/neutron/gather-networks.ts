/** The networks of Docker that are Neutron's, and what Neutron knows of each. */

import { markOf } from '../../../fabric/neutron/networks.ts';
import { tagOf } from '../../../fabric/neutron/tags.ts';
import type { NetworkId } from '../../../model/ids.ts';
import type { Bounds } from '../../../openstack/bounds.ts';
import type { Neutron } from '../../../openstack/neutron/neutron.ts';
import type { Network } from '../../../openstack/neutron/objects.ts';
import type { NeutronNetworkFacts } from './facts.ts';

/** As the agent shows it; of the engine's only id and name are known. */
export interface DockerNetwork {
  readonly id: string;
  readonly name: string;
  readonly internal?: boolean;
  readonly subnets?: readonly { readonly gateway?: string }[];
  readonly settings?: unknown;
}

/** @throws BerthError OPENSTACK_…, NEUTRON_… */
export async function gatherNetworks(
  neutron: Pick<Neutron, 'networks' | 'subnets' | 'ports'>,
  host: string,
  docker: readonly DockerNetwork[],
  bounds: Bounds,
): Promise<readonly NeutronNetworkFacts[]> {
  const asAgent = docker.some(({ settings }) => settings !== undefined);
  const found = asAgent ? await byId(neutron, docker, bounds) : await byMark(neutron, host, docker, bounds);
  return await Promise.all(found.map(([on, network]) => factsOf(neutron, on, network, bounds)));
}

type Found = readonly (readonly [DockerNetwork, Network | undefined])[];

async function byId(
  { networks }: Pick<Neutron, 'networks'>,
  docker: readonly DockerNetwork[],
  bounds: Bounds,
): Promise<Found> {
  const ids = docker.map(({ settings }) => (settings as { readonly network?: string } | undefined)?.network ?? '');
  const found = new Map(
    (await networks.list({ id: ids.filter((id) => id !== '') }, bounds)).map((network) => [network.id, network]),
  );
  return docker.map((on, index) => [on, found.get(ids[index]!)]);
}

/** Of what no agent tells, only what Neutron has: the others are not its own. */
async function byMark(
  { networks }: Pick<Neutron, 'networks'>,
  host: string,
  docker: readonly DockerNetwork[],
  bounds: Bounds,
): Promise<Found> {
  const marks = docker.map(({ id }) => markOf(host, id as NetworkId));
  const [made, adopted] = await Promise.all([
    networks.list({ description: marks }, bounds),
    networks.list({ 'tags-any': marks.map(tagOf) }, bounds),
  ]);
  return docker.flatMap((on, index) => {
    const mark = marks[index]!;
    const network =
      made.find(({ description }) => description === mark) ??
      adopted.find(({ tags = [] }) => tags.includes(tagOf(mark)));
    return network === undefined ? [] : [[on, network] as const];
  });
}

async function factsOf(
  neutron: Pick<Neutron, 'subnets' | 'ports'>,
  on: DockerNetwork,
  network: Network | undefined,
  bounds: Bounds,
): Promise<NeutronNetworkFacts> {
  const { id, name, internal = false, settings } = on;
  const mtu = (settings as { readonly mtu?: number } | undefined)?.mtu;
  const facts = { id, name, internal, ...(mtu === undefined ? {} : { mtu }) };
  const told = (on.subnets ?? []).flatMap(({ gateway }) => gateway ?? []);
  if (network === undefined) return { ...facts, gateways: told, subnets: [], gatewayOwners: {}, hasDhcp: false };
  const subnets = await neutron.subnets.list({ network_id: network.id }, bounds);
  const own = subnets.flatMap(({ gateway_ip }) => gateway_ip ?? []);
  const gateways = on.subnets === undefined ? own : told;
  const fields = ['device_owner', 'fixed_ips', 'name', 'id'] as const;
  const [atGateways, dhcp] = await Promise.all([
    gateways.length === 0
      ? []
      : neutron.ports.list(
          { network_id: network.id, fixed_ips: gateways.map((address) => `ip_address=${address}`) },
          { ...bounds, fields },
        ),
    neutron.ports.list(
      { network_id: network.id, device_owner: ['network:dhcp', 'network:distributed'] },
      { ...bounds, fields: ['id'] },
    ),
  ]);
  const owners = atGateways.flatMap(({ fixed_ips = [], device_owner, name: called, id: port }) =>
    fixed_ips.map(({ ip_address }) => [ip_address, device_owner || called || port] as const),
  );
  return {
    ...facts,
    network,
    subnets,
    gateways,
    gatewayOwners: Object.fromEntries(owners.filter(([address]) => gateways.includes(address))),
    hasDhcp: dhcp.length > 0,
  };
}
