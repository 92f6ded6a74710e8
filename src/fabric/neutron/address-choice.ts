/**
 * Addresses of a range that Neutron does not know as one: where its subnet gives out others as well. Then we choose, from what is
 * free as far as we know, and Neutron decides.
 */

import { AddressSet } from '../../ipam/ranges.ts';
import { type Address, parseAddress } from '../../model/address.ts';
import { BerthError } from '../../model/errors.ts';
import type { Bounds } from '../../openstack/bounds.ts';
import type { Neutron } from '../../openstack/neutron/neutron.ts';
import type { SubnetSettings } from './settings.ts';

export interface AddressChoice {
  /**
   * The lowest address of a subnet's range that was free when we last looked, and that we have not chosen since; undefined where
   * Neutron chooses.
   *
   * @throws BerthError POOL_EXHAUSTED, after a new look.
   */
  next(subnet: SubnetSettings, bounds: Bounds): Promise<Address | undefined>;
  /** Somebody else has taken addresses of it: the next choice looks first. */
  forget(subnet: SubnetSettings): void;
}

export function createAddressChoice(neutron: Pick<Neutron, 'ports'>): AddressChoice {
  /** By the subnet's id, whatever ranges networks of this host have of it. */
  const seen = new Map<string, AddressSet>();

  async function look({ id, choose }: SubnetSettings, bounds: Bounds): Promise<AddressSet> {
    const taken = new AddressSet();
    const found = await neutron.ports.list({ fixed_ips: `subnet_id=${id}` }, { ...bounds, fields: ['fixed_ips'] });
    const addresses = found.flatMap(({ fixed_ips = [] }) => fixed_ips.filter(({ subnet_id }) => subnet_id === id));
    for (const text of [...addresses.map(({ ip_address }) => ip_address), ...choose!.except]) {
      const address = parseAddress(text);
      if (address !== undefined) taken.add(address.value);
    }
    seen.set(id, taken);
    return taken;
  }

  return {
    async next(subnet, bounds) {
      const { id, choose } = subnet;
      if (choose === undefined) return undefined;
      const [first, last] = [parseAddress(choose.first)!, parseAddress(choose.last)!];
      const except = new Set(choose.except.map((text) => parseAddress(text)!.value));
      const before = seen.get(id);
      let taken = before ?? (await look(subnet, bounds));
      const lowest = (): bigint => {
        let value = taken.firstFree(first.value);
        while (except.has(value)) value = taken.firstFree(value + 1n);
        return value;
      };
      // Others give addresses back, and we hear nothing of it.
      if (before !== undefined && lowest() > last.value) taken = await look(subnet, bounds);
      const value = lowest();
      if (value > last.value)
        throw new BerthError(
          'POOL_EXHAUSTED',
          `the range from ${choose.first} to ${choose.last} has no free address in Neutron`,
        );
      taken.add(value);
      return { family: first.family, value };
    },
    forget: ({ id }) => void seen.delete(id),
  };
}
