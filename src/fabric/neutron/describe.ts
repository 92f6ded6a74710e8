/** What containers on a network must know, from what its user wants and what Neutron has. */

import { formatAddress, parseAddress } from '../../model/address.ts';
import { BerthError } from '../../model/errors.ts';
import type { Bounds } from '../../openstack/bounds.ts';
import type { Network, Subnet } from '../../openstack/neutron/objects.ts';
import type { NetworkRequest } from '../fabric.ts';
import { ETHERNET_MTU } from '../mtu.ts';
import { freeRanges } from './free-ranges.ts';
import type { NetworkWishes } from './network-wishes.ts';
import { readWishes, type Wishes } from './options.ts';
import type { PoolRecord } from './records.ts';
import type { NetworkSettings, SubnetSettings } from './settings.ts';

export function createDescribing(
  wished: Pick<NetworkWishes, 'policy'>,
  defaults: { readonly interfacePrefix: string },
) {
  return async (
    wishes: Wishes,
    pools: readonly PoolRecord[],
    found: { readonly network: Network; readonly subnets: readonly Subnet[] },
    securityGroups: readonly string[] | undefined,
    bounds: Bounds,
  ): Promise<NetworkSettings> => {
    const settings = settingsOf(found.network, found.subnets, pools, wishes);
    const adopted = wishes.network !== undefined || Object.keys(wishes.subnets).length > 0;
    const policy = adopted ? await wished.policy(wishes, bounds) : undefined;
    return {
      ...settings,
      interfacePrefix: wishes.interfacePrefix ?? defaults.interfacePrefix,
      ...(securityGroups && { securityGroups: [...securityGroups] }),
      // Of a network that we have made, these are its own.
      ...(adopted && wishes.portSecurity !== undefined && { portSecurity: wishes.portSecurity }),
      ...(policy && { qosPolicy: policy }),
      ...(wishes.warmPorts !== undefined && wishes.warmPorts > 0 && { warmPorts: wishes.warmPorts }),
    };
  };
}

/** Users give the same options to the driver and to IPAM, or to either. @throws BerthError BAD_OPTION */
export function wishesOf({ options }: NetworkRequest, pools: readonly PoolRecord[]): Wishes {
  const wishes = [...pools.map((pool) => readWishes(pool.options)), readWishes(options)];
  return {
    ...Object.assign({}, ...wishes),
    subnets: Object.assign({}, ...wishes.map(({ subnets }) => subnets)),
    pools: Object.assign({}, ...wishes.map((one) => one.pools)),
  };
}

function settingsOf(network: Network, subnets: readonly Subnet[], pools: readonly PoolRecord[], wishes: Wishes) {
  const carried = network.mtu ?? ETHERNET_MTU;
  if (wishes.mtu !== undefined && wishes.mtu > carried)
    throw new BerthError(
      'BAD_OPTION',
      `the network of Neutron carries packets of ${carried} bytes, not of mtu=${wishes.mtu}`,
    );
  return {
    network: network.id,
    mtu: wishes.mtu ?? carried,
    subnets: pools.map((pool, index): SubnetSettings => {
      const subnet = subnets[index]!;
      const choose = choiceFor(pool, subnet);
      return {
        id: subnet.id,
        prefix: subnet.cidr,
        ...(subnet.gateway_ip && { gateway: subnet.gateway_ip }),
        pool: pool.id,
        routes: (subnet.host_routes ?? []).map(({ destination, nexthop }) => ({ destination, via: nexthop })),
        ...(choose && { choose }),
      };
    }),
  };
}

/** Undefined where all that Neutron would give out is what Docker's network may have. */
function choiceFor({ subnet, range, gateway, auxiliary }: PoolRecord, { allocation_pools = [], gateway_ip }: Subnet) {
  // Docker's network may have another gateway than the subnet, which has its own all the same.
  const own = parseAddress(gateway_ip ?? '');
  const kept = [...auxiliary, ...(gateway === undefined ? [] : [gateway.address]), ...(own === undefined ? [] : [own])];
  const [usable] = freeRanges(subnet, range);
  if (usable === undefined) return undefined;
  const { first, last } = usable;
  const given = allocation_pools.map(({ start, end }) => ({ start: parseAddress(start)!, end: parseAddress(end)! }));
  const isOurs = given.every(
    ({ start, end }) =>
      start.value >= first.value &&
      end.value <= last.value &&
      !kept.some(({ value }) => value >= start.value && value <= end.value),
  );
  if (isOurs && given.length > 0) return undefined;
  return { first: formatAddress(first), last: formatAddress(last), except: kept.map(formatAddress) };
}
