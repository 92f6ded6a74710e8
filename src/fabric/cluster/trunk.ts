/** Networks of the cluster that are VLANs: each host has an uplink on which the switches outside carry them. */

import type { KernelObject } from '../../kernel/objects.ts';
import { BerthError } from '../../model/errors.ts';
import type { Network } from '../../model/network.ts';
import type { FabricContext } from '../fabric.ts';
import { type VlanOf, vlanLink, vlanObjects } from '../vlan.ts';
import { clusterKey, settingsOf } from './settings.ts';
import { vlanUplink } from './underlay.ts';

type Surroundings = Pick<FabricContext, 'cluster' | 'host'>;

/** Not by the network: where one has just been removed, and its VLAN is another's already, the interface changes hands. */
const alias = (vlan: VlanOf): string => `berth cluster vlan ${vlan.id}`;

/**
 * Removes the VLANs of uplinks that this host had before its agent was started with others: as ports of the same bridges, they and those of
 * the present uplink would close a loop.
 */
export async function leaveOldUplinks({
  cluster,
  host,
  kernel,
}: Surroundings & Pick<FabricContext, 'kernel'>): Promise<void> {
  if (cluster === undefined) return;
  const base = vlanUplink({ cluster, host });
  const old = host.links.flatMap(({ type, name, alias: found = '', linkIndex }): KernelObject[] => {
    const id = Number(/^berth cluster vlan (\d+)$/.exec(found)?.[1]);
    if (type !== 'vlan' || Number.isNaN(id) || (base !== undefined && name === vlanLink({ base, id }))) return [];
    const parent = host.links.find(({ index }) => index === linkIndex)?.name ?? name;
    return [{ kind: 'link', type: 'vlan', name, parent, vlan: id }];
  });
  if (old.length > 0) await kernel.remove('fabric/cluster/old uplinks', old);
}

/** The port of a network's bridge; none while this host has no uplink. */
export function trunkObjects(network: Network, context: Surroundings): readonly KernelObject[] {
  const { bridge } = settingsOf(network);
  const vlan = vlanOf(network, context);
  if (vlan === undefined || strangerOn(vlan, context) !== undefined) return [];
  return [
    // Nobody has to give it an address: that it is up is all that it needs.
    { kind: 'link', type: 'adopted', name: vlan.base, up: true },
    ...vlanObjects(vlan, alias(vlan), bridge),
  ];
}

/**
 * Whether containers on a network reach anybody from this host.
 *
 * @throws BerthError INTERFACE_UNKNOWN, INTERFACE_UNSUITABLE
 */
export function checkTrunk(network: Network, context: Surroundings): void {
  const { cluster } = settingsOf(network);
  if (cluster?.encapsulation !== 'vlan') return;
  const which = `the network ${clusterKey(network)!} is VLAN ${cluster.tag}`;
  const vlan = vlanOf(network, context);
  if (vlan === undefined) {
    const given = context.cluster?.uplinks ?? [];
    const has = given.length === 0 ? 'has no uplinks: see --uplinks' : `has none of the uplinks ${given.join(', ')}`;
    throw new BerthError('INTERFACE_UNKNOWN', `${which}, and this host ${has}`);
  }
  const stranger = strangerOn(vlan, context);
  if (stranger === undefined) return;
  throw new BerthError(
    'INTERFACE_UNSUITABLE',
    `${which}, and the interface ${vlanLink(vlan)} of this host is there already for something else${stranger}`,
  );
}

function vlanOf(network: Network, context: Surroundings): VlanOf | undefined {
  const base = vlanUplink(context);
  return base === undefined ? undefined : { base, id: settingsOf(network).cluster!.tag };
}

/** Whose the interface is that we would make; a VLAN of an interface is there once only. */
function strangerOn(vlan: VlanOf, { host }: Surroundings): string | undefined {
  const found = host.links.find(({ name }) => name === vlanLink(vlan));
  if (found === undefined || found.alias === alias(vlan)) return undefined;
  return found.alias === undefined ? '' : ` (${found.alias})`;
}
