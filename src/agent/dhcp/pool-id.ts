/** A pool of our IPAM that stands for the DHCP server of a link. */

import { fabricOf } from '../../fabric/fabrics.ts';
import type { PoolId } from '../../model/ids.ts';
import type { Network } from '../../model/network.ts';
import { formatPrefix, type Prefix, parsePrefix, samePrefix } from '../../model/prefix.ts';

export interface LinkPool {
  readonly link: string;
  readonly subnet?: Prefix;
}

/** Whether a network stands on the link of a pool, and has its subnet. */
export function isOf(network: Network, { link, subnet }: LinkPool): boolean {
  const wire = fabricOf(network.fabric).wire?.(network);
  if (wire !== link && network.options.parent !== link) return false;
  const v4 = network.subnets.filter(({ prefix }) => prefix.address.family === 4);
  return subnet === undefined ? v4.length === 0 : v4.some(({ prefix }) => samePrefix(prefix, subnet));
}

/** A function of what it is: Docker keeps it, and sends it back for years. */
export function poolId({ link, subnet }: LinkPool): PoolId {
  return `dhcp/${link}${subnet === undefined ? '' : `/${formatPrefix(subnet).replace('/', '-')}`}` as PoolId;
}

export function readPoolId(id: string): LinkPool | undefined {
  const [kind, link, subnet] = id.split('/');
  if (kind !== 'dhcp' || link === undefined) return undefined;
  const prefix = subnet === undefined ? undefined : parsePrefix(subnet.replace('-', '/'));
  return { link, ...(prefix === undefined ? {} : { subnet: prefix }) };
}
