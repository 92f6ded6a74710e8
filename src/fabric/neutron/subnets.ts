/** Subnets of a network, as they are to be made. */

import { formatAddress } from '../../model/address.ts';
import { formatPrefix, samePrefix } from '../../model/prefix.ts';
import type { SubnetRequest } from '../../openstack/neutron/requests.ts';
import type { NetworkRequest } from '../fabric.ts';
import { freeRanges } from './free-ranges.ts';
import type { Wishes } from './options.ts';
import type { PoolRecord } from './records.ts';

/** How what we make for a plugin begins. */
export const prefixName = ({ plugin }: NetworkRequest): string => (plugin === 'kuryr' ? 'kuryr' : 'berth');

/** @param key stands in its description. */
export function subnetRequest(
  pool: PoolRecord,
  key: string,
  network: string,
  wishes: Wishes,
  request: NetworkRequest,
  dhcp: boolean,
): SubnetRequest {
  const { subnet, range, auxiliary, subnetPool, gateway } = pool;
  const told = request.subnets.find(({ prefix }) => samePrefix(prefix, subnet))?.gateway;
  const via = request.internal ? undefined : told;
  const kept = [...auxiliary, ...(via === undefined ? [] : [via]), ...(gateway === undefined ? [] : [gateway.address])];
  const pools = range === undefined && auxiliary.length === 0 ? undefined : freeRanges(subnet, range, kept);
  return {
    network_id: network,
    name: `${prefixName(request)}-subnet-${formatPrefix(subnet)}`,
    description: key,
    ip_version: subnet.address.family,
    cidr: formatPrefix(subnet),
    gateway_ip: via === undefined ? null : formatAddress(via),
    enable_dhcp: wishes.dhcp ?? dhcp,
    ...(pools && {
      allocation_pools: pools.map(({ first, last }) => ({ start: formatAddress(first), end: formatAddress(last) })),
    }),
    ...(subnetPool && { subnetpool_id: subnetPool }),
  };
}
