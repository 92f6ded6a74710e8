/** Ports that users have made to be used, unbound and of nobody: how they come to be a container's. */

import { randomUUID } from 'node:crypto';
import type { NetworkId, PoolId } from '../../model/ids.ts';
import type { Bounds } from '../../openstack/bounds.ts';
import type { Neutron } from '../../openstack/neutron/neutron.ts';
import type { Port } from '../../openstack/neutron/objects.ts';
import type { Book } from './book.ts';
import { familyOf, fixedIp, type PortRequestParts, type Wanted } from './port-request.ts';
import { type HeldPort, heldAs, isAddressInUse, withoutAddress } from './port-state.ts';
import type { PortRecord } from './records.ts';
import type { NetworkSettings } from './settings.ts';

export interface PortAdoptionParts extends PortRequestParts {
  readonly book: Pick<Book, 'ports'>;
  readonly neutron: Pick<Neutron, 'ports'>;
  /** Of what could not be taken. */
  undo(record: PortRecord, failure: unknown): Promise<void>;
  now(): number;
}

/**
 * Takes a port for a container. Where the network has a family of which the port has no address, it is lent one.
 *
 * @param besides addresses that the container has been given already, by a port that is gone.
 * @throws BerthError POOL_EXHAUSTED, NEUTRON_…, OPENSTACK_…: then it is put back as it was.
 */
export type PortAdoption = (
  place: { readonly network: NetworkId; readonly settings: NetworkSettings },
  pool: PoolId,
  port: Port,
  wanted: Wanted,
  bounds: Bounds,
  besides?: PortRecord['addresses'],
) => Promise<HeldPort>;

export function createPortAdoption(parts: PortAdoptionParts): PortAdoption {
  const { book, neutron, choice, host, nested = false, owner, undo, now } = parts;
  const { ports } = book;
  const bound = nested ? {} : { 'binding:host_id': host };

  return async ({ network, settings }, pool, port, wanted, bounds, besides = []) => {
    const key = randomUUID();
    const own = port.fixed_ips ?? [];
    const given = besides.filter(({ taken }) => taken);
    const lent = lacking(settings, port, given);
    const lend = () => Promise.all(lent.map(({ subnet, address }) => fixedIp(choice, subnet, address, bounds)));
    let more = await lend();
    const before = {
      device_id: port.device_id ?? '',
      device_owner: port.device_owner ?? '',
      host: port['binding:host_id'] ?? '',
      ...(port.mac_address && { mac_address: port.mac_address }),
      ...(lent.length > 0 && { fixed_ips: own }),
    };
    const record: PortRecord = {
      key,
      phase: 'making',
      origin: 'adopted',
      network,
      port: port.id,
      before,
      addresses: [],
      createdAt: now(),
    };
    await ports.put(record);
    const mac =
      wanted.mac !== undefined && wanted.mac !== port.mac_address?.toLowerCase() ? { mac_address: wanted.mac } : {};
    const change = { device_id: key, device_owner: owner, ...bound, ...mac };
    try {
      for (;;) {
        const wish = more.length > 0 ? { ...change, fixed_ips: [...own, ...more] } : change;
        try {
          const got = await neutron.ports.update(port.id, wish, { ...bounds, ifRevision: port.revision_number });
          const held = heldAs(record, got, settings, pool, nested);
          const isTaken = (id: PoolId) => id === pool || given.some((one) => one.pool === id);
          const made = { ...held, addresses: held.addresses.map((one) => ({ ...one, taken: isTaken(one.pool) })) };
          await ports.put(made);
          return made;
        } catch (error) {
          const chosen = lent.filter(({ subnet, address }) => address === undefined && subnet.choose !== undefined);
          if (!isAddressInUse(error) || chosen.length === 0) throw error;
          // Somebody else has taken what we chose.
          for (const { subnet } of chosen) choice.forget(subnet);
          more = await lend();
        }
      }
    } catch (error) {
      await undo(record, error);
      throw withoutAddress(error);
    }
  };
}

/** Subnets of the families in which a port has no address here, one of each, and what the container has been given of it. */
function lacking({ subnets }: NetworkSettings, { fixed_ips = [] }: Port, given: PortRecord['addresses']) {
  return ([4, 6] as const).flatMap((family) => {
    const inFamily = subnets.filter(({ prefix }) => familyOf(prefix) === family);
    if (inFamily.some(({ id }) => fixed_ips.some(({ subnet_id }) => subnet_id === id))) return [];
    const had = given.find(({ on }) => on.address.family === family);
    const subnet = had === undefined ? inFamily[0] : inFamily.find((one) => one.pool === had.pool);
    return subnet === undefined ? [] : [{ subnet, address: had?.on.address }];
  });
}
