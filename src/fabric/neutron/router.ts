/**
 * What leads from the subnets of a network to the outside: interfaces of a router that is there already, and a floating IP for the ports
 * that its containers publish. Both come with the network and go with it.
 *
 * An interface is a port that we make and give to the router: it carries our mark, so that after a crash nobody has to guess whose it
 * is. What is attached to the router already stays as it is.
 */

import { BerthError } from '../../model/errors.ts';
import type { Bounds } from '../../openstack/bounds.ts';
import { detailsOf } from '../../openstack/failure.ts';
import type { Neutron } from '../../openstack/neutron/neutron.ts';
import { findOne } from './find.ts';
import { removeFloatingIp } from './floating.ts';
import { isUsedByOthers, type SharedFacts } from './marks.ts';
import type { Reference, Wishes } from './options.ts';
import type { NetworkRecord } from './records.ts';
import type { NetworkSettings } from './settings.ts';

/** How a port is called by which we attach a subnet to a router. */
export const INTERFACE_NAME = 'berth router interface';

type Kinds = Pick<Neutron, 'networks' | 'ports' | 'routers' | 'floatingIps'>;

/** By Neutron's ids. */
export interface WayOut {
  readonly router?: string;
  readonly floatingNetwork?: string;
  readonly publish?: 'floating-ip' | 'security-group';
}

/**
 * What a network's options ask for, looked up in Neutron.
 *
 * @returns undefined where nothing is asked for.
 * @throws BerthError BAD_OPTION, NEUTRON_NOT_FOUND, NEUTRON_AMBIGUOUS
 */
export async function resolveWayOut(
  neutron: Pick<Kinds, 'networks' | 'routers'>,
  { router, floatingNetwork, publish }: Wishes,
  { internal }: { readonly internal: boolean },
  bounds: Bounds,
): Promise<WayOut | undefined> {
  const isEngine = publish === undefined || publish === 'engine';
  if (router === undefined && floatingNetwork === undefined && isEngine) return undefined;
  if (internal)
    throw new BerthError('BAD_OPTION', 'an --internal network has no router, no floating IPs and no published ports');
  if (publish === 'floating-ip' && floatingNetwork === undefined)
    throw new BerthError('BAD_OPTION', "'neutron.publish=floating-ip' needs 'neutron.floating_network'");
  const [attached, outside] = await Promise.all([
    router && findOne(neutron.routers, 'router', router, bounds),
    floatingNetwork && externalNetwork(neutron, floatingNetwork, bounds),
  ]);
  return {
    ...(attached && { router: attached.id }),
    ...(outside && { floatingNetwork: outside }),
    ...(isEngine ? {} : { publish }),
  };
}

/** Neutron's id of a network that floating IPs are of. @throws BerthError BAD_OPTION, NEUTRON_NOT_FOUND, NEUTRON_AMBIGUOUS */
export async function externalNetwork(
  neutron: Pick<Neutron, 'networks'>,
  wanted: Reference,
  bounds: Bounds,
): Promise<string> {
  const found = await findOne(neutron.networks, 'network', wanted, bounds);
  if (found['router:external'] === true) return found.id;
  throw new BerthError('BAD_OPTION', `the network '${found.name}' (${found.id}) of Neutron is not external`);
}

/** What is to be written down before anything is made for it. */
export const toBeMade = ({ router, publish }: WayOut): Pick<NetworkRecord, 'router' | 'floating'> => ({
  ...(router !== undefined && { router }),
  ...(publish === 'floating-ip' && { floating: true }),
});

/**
 * Attaches the subnets, and gets the floating IP for published ports.
 *
 * @param key of the network's record: it stands in the description of what is made.
 */
export async function openWayOut(
  neutron: Kinds,
  { router, floatingNetwork, publish }: WayOut,
  { key, origin }: Pick<NetworkRecord, 'key' | 'origin'>,
  { network, subnets }: Pick<NetworkSettings, 'network' | 'subnets'>,
  bounds: Bounds,
): Promise<Pick<NetworkSettings, 'floatingNetwork' | 'publish' | 'floatingIp'>> {
  if (router !== undefined) {
    // Nothing can be attached to a network that was made a moment ago.
    const there =
      origin === 'created'
        ? []
        : await neutron.ports.list({ network_id: network, device_id: router }, { ...bounds, fields: ['fixed_ips'] });
    const attached = new Set(there.flatMap(({ fixed_ips = [] }) => fixed_ips.map(({ subnet_id }) => subnet_id)));
    const wanted = subnets.filter(({ id }) => !attached.has(id));
    const ports = wanted.map(({ id, prefix, gateway }) => {
      if (gateway === undefined)
        throw new BerthError('BAD_OPTION', `the subnet ${prefix} has no gateway, which the router would be`);
      return {
        network_id: network,
        description: key,
        name: INTERFACE_NAME,
        fixed_ips: [{ subnet_id: id, ip_address: gateway }],
      };
    });
    for (const { id } of await neutron.ports.createMany(ports, bounds))
      await neutron.routers.addInterface(router, { port_id: id }, bounds);
  }
  const settings = { ...(floatingNetwork !== undefined && { floatingNetwork }), ...(publish && { publish }) };
  if (publish !== 'floating-ip' || floatingNetwork === undefined) return settings;
  const made = await neutron.floatingIps.create({ floating_network_id: floatingNetwork, description: key }, bounds);
  return { ...settings, floatingIp: { id: made.id, address: made.floating_ip_address } };
}

/**
 * Removes what `openWayOut` has made, as far as it came.
 *
 * @param left told when the router stays attached, because other hosts use the network.
 * @returns false where something was not there that Neutron may still be making.
 */
export async function closeWayOut(
  neutron: Kinds,
  { id, router, floating, network, key, tags }: NetworkRecord,
  left: (sentence: string) => void,
  bounds: Bounds,
): Promise<boolean> {
  const isSettled = floating !== true || (await removeFloatingIp({ neutron }, undefined, key, bounds));
  if (router === undefined || network === undefined) return isSettled;
  // Our tag goes first: of two hosts that leave at the same time, at least one then finds that it is the last.
  for (const tag of tags) await neutron.networks.removeTag(network, tag, bounds);
  const there = await neutron.networks.get(network, bounds);
  if (there === undefined) return isSettled;
  if (isUsedByOthers(there.tags ?? [], id)) {
    left(`the network ${network} stays attached to its router: other hosts use it`);
    return isSettled;
  }
  await detachRouters(neutron, network, bounds, router);
  const rest = await neutron.ports.list({ network_id: network, description: key }, { ...bounds, fields: ['id'] });
  for (const { id } of rest) await neutron.ports.remove(id, bounds);
  return isSettled;
}

/**
 * The same for a network that all engines have: whichever of them has made it, what is to go stands in its tags.
 *
 * @param inUse others are on the network of Neutron: it stays attached.
 */
export async function closeSharedWayOut(
  neutron: Kinds,
  network: string,
  { router, floatingIp }: Pick<SharedFacts, 'router' | 'floatingIp'>,
  inUse: boolean,
  bounds: Bounds,
): Promise<void> {
  if (floatingIp !== undefined) await neutron.floatingIps.remove(floatingIp.id, bounds);
  if (router !== undefined && !inUse) await detachRouters(neutron, network, bounds, router);
}

/**
 * Detaches a network from routers to which a host of ours has attached it, also another one that has left that to who goes last.
 *
 * @param router only from this one.
 */
export async function detachRouters(neutron: Kinds, network: string, bounds: Bounds, router?: string): Promise<void> {
  const ports = await neutron.ports.list(
    { network_id: network, ...(router !== undefined && { device_id: router }) },
    { ...bounds, fields: ['id', 'device_id', 'device_owner', 'description'] },
  );
  for (const { id, device_id, device_owner, description } of ports)
    if (
      device_id !== undefined &&
      device_owner?.startsWith('network:') === true &&
      description?.startsWith('berth/') === true
    )
      await detachInterface(neutron, device_id, id, bounds);
}

/** Neutron removes the port as well. One that is gone is no error. @param port of Neutron. */
export async function detachInterface(
  neutron: Pick<Neutron, 'routers'>,
  router: string,
  port: string,
  bounds: Bounds,
): Promise<void> {
  try {
    await neutron.routers.removeInterface(router, { port_id: port }, bounds);
  } catch (error) {
    // The answer of an earlier attempt was lost.
    if (detailsOf(error)?.status !== 404) throw error;
  }
}
