/** Which addresses of a network of the cluster are for whom, by the layout of its pool. */

import { type Address, formatAddress } from '../model/address.ts';
import { type Range, without } from '../model/objects/ranges.ts';
import type { Pool, PoolLayout } from '../model/pool.ts';
import { hostRange } from '../model/prefix.ts';

/** Where in a pool an address may be. */
export interface Limits {
  /** Where one is looked for that is not named, in order. */
  readonly ranges: readonly Range[];
  /** Why an address is not for who asks, even by its number; undefined: it may be. */
  refusal(address: Address): string | undefined;
}

/**
 * As Contiv had it: the containers of a group with a range of its own get addresses of it, all others those that are left; who names
 * an address may have any that is free. Except that an address in another group's range is that group's, and the gateway's is the
 * gateway's, whoever names it.
 *
 * @param group the name of the group that asks; absent: nobody's.
 */
export function limitsOf({ layout, subnet }: Pool, group: string | undefined): Limits {
  const given: PoolLayout = layout ?? { hosts: hostRange(subnet), groups: {} };
  const { hosts, gateway, groups } = given;
  const own = group === undefined ? undefined : groups[group];
  const others = Object.entries(groups).filter(([name]) => name !== group);
  const only = gateway === undefined ? [] : [{ first: gateway.value, last: gateway.value }];
  const whole = own ?? hosts;
  const holds = ({ first, last }: Range, { value }: Address) => value >= first && value <= last;
  return {
    ranges: whole === undefined ? [] : without(whole, [...only, ...others.map(([, range]) => range)]),
    refusal(address) {
      if (only.some((range) => holds(range, address))) return 'the gateway of the network';
      const [name] = others.find(([, range]) => holds(range, address)) ?? [];
      if (name !== undefined) return `kept for the group ${name}`;
      if (hosts === undefined || holds(hosts, address)) return undefined;
      const show = (value: bigint) => formatAddress({ family: subnet.address.family, value });
      return `not among those of the network, ${show(hosts.first)}-${show(hosts.last)}`;
    },
  };
}
