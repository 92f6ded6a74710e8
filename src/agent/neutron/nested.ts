/**
 * Containers in a virtual machine, as Neutron must know of them: their addresses as allowed ones of the machine's port, or each as a
 * subport of its trunk. Others change the same port and the same trunk, so every change is made of what is there now, and only if
 * nobody else has changed it meanwhile.
 */

import type { HeldPort } from '../../fabric/neutron/port-state.ts';
import type { Ports } from '../../fabric/neutron/ports.ts';
import type { Fastened } from '../../fabric/neutron/records.ts';
import type { NestedSettings } from '../../fabric/neutron/settings.ts';
import type { HostLink } from '../../kernel/kernel.ts';
import { formatAddress } from '../../model/address.ts';
import { BerthError } from '../../model/errors.ts';
import type { Mac } from '../../model/mac.ts';
import { type Bounds, pause } from '../../openstack/bounds.ts';
import { detailsOf } from '../../openstack/failure.ts';
import type { Neutron } from '../../openstack/neutron/neutron.ts';
import type { Port } from '../../openstack/neutron/objects.ts';
import { keyedMutex } from '../mutex.ts';

export interface NestedConfig {
  readonly driver: NestedSettings['driver'];
  /** The machine's card: `link_iface` of kuryr.conf. */
  readonly link: string;
}

type Calls = Pick<Neutron, 'ports' | 'trunks'>;
type Pairs = NonNullable<Port['allowed_address_pairs']>;
type ByPairs = Extract<Fastened, { by: 'pairs' }>;
type ByTrunk = Extract<Fastened, { by: 'trunk' }>;

export interface Nested {
  readonly driver: NestedConfig['driver'];
  /** The MAC address that containers have; undefined: each its own. */
  sharedMac(links: readonly HostLink[]): Mac | undefined;
  /**
   * Lets a container in at the machine's port. What it is about to do is written down with the port first.
   *
   * @param network Neutron's id. @returns what the link is made of.
   * @throws BerthError INTERFACE_UNKNOWN, NEUTRON_NOT_FOUND, NEUTRON_…, OPENSTACK_…
   */
  fasten(
    port: HeldPort,
    network: { readonly network: string; readonly mtu: number },
    links: readonly HostLink[],
    bounds: Bounds,
  ): Promise<NestedSettings>;
}

export interface NestedParts extends NestedConfig {
  readonly neutron: Calls;
  readonly ports: Pick<Ports, 'fasten'>;
}

/** Of a machine with very many containers, those that come or go at the same moment wait for each other. */
const turns = keyedMutex();
/** Milliseconds at most before what somebody else has changed is tried again. */
const LONGEST_WAIT = 200;

export function createNested({ driver, link, neutron, ports }: NestedParts): Nested {
  function cardOf(links: readonly HostLink[]): HostLink & { readonly mac: Mac } {
    const card = links.find(({ name }) => name === link);
    if (card?.mac === undefined)
      throw new BerthError('INTERFACE_UNKNOWN', `there is no interface ${link} with a MAC address (link_iface)`);
    return { ...card, mac: card.mac };
  }

  /** @throws BerthError NEUTRON_NOT_FOUND */
  async function machinePort(mac: Mac, network: string, bounds: Bounds): Promise<Port> {
    const found = await neutron.ports.list({ mac_address: mac }, bounds);
    // Subports often have the MAC address of their trunk's.
    const [port] =
      driver === 'vlan'
        ? found.filter(({ trunk_details }) => trunk_details !== undefined)
        : found.filter(({ network_id }) => network_id === network);
    if (port !== undefined) return port;
    const which =
      driver === 'vlan' ? 'of a trunk' : `on the network ${network}, which containers share with the machine`;
    throw new BerthError(
      'NEUTRON_NOT_FOUND',
      `Neutron has no port ${which} with the MAC address ${mac} of ${link} (link_iface; ${driver}) that this project may see`,
    );
  }

  async function letThrough(port: HeldPort, mac: Mac, network: string, bounds: Bounds): Promise<void> {
    const machine = await machinePort(mac, network, bounds);
    const wanted = port.addresses.map(({ on }) => ({
      ip_address: formatAddress(on.address),
      mac_address: driver === 'ipvlan' ? mac : port.mac,
    }));
    const there = machine.allowed_address_pairs ?? [];
    // One that somebody else has entered is not ours to remove.
    const pairs = wanted.filter((pair) => !has(there, pair));
    if (pairs.length === 0) return;
    await ports.fasten(port.key, { by: 'pairs', port: machine.id, pairs });
    await changePairs(
      neutron,
      machine.id,
      (before) => [...before, ...pairs.filter((pair) => !has(before, pair))],
      bounds,
    );
  }

  async function becomeSubport(port: HeldPort, mac: Mac, network: string, bounds: Bounds): Promise<number> {
    let machine = await machinePort(mac, network, bounds);
    const trunk = machine.trunk_details!.trunk_id;
    await ports.fasten(port.key, { by: 'trunk', trunk });
    // Neutron makes no subport of what a device has (neutron.services.trunk.rules, check_not_in_use).
    await neutron.ports.update(port.port, { device_id: '' }, bounds);
    for (;;) {
      const { sub_ports } = machine.trunk_details!;
      const known = sub_ports.find(({ port_id }) => port_id === port.port);
      if (known !== undefined) return known.segmentation_id;
      const vlan = freeVlan(sub_ports.map(({ segmentation_id }) => segmentation_id));
      const subport = { port_id: port.port, segmentation_type: 'vlan', segmentation_id: vlan } as const;
      try {
        await neutron.trunks.addSubports(trunk, [subport], bounds);
        return vlan;
      } catch (error) {
        if (!(await mayTryAgain(error, 'DuplicateSubPort', bounds))) throw error;
      }
      machine = await machinePort(mac, network, bounds);
    }
  }

  return {
    driver,
    sharedMac: (links) => (driver === 'ipvlan' ? cardOf(links).mac : undefined),

    async fasten(port, { network, mtu }, links, bounds) {
      const card = cardOf(links);
      const made = { driver, parent: link, mtu: Math.min(mtu, card.mtu) };
      return await turns.run(card.mac, async () => {
        if (driver === 'vlan') return { ...made, vlan: await becomeSubport(port, card.mac, network, bounds) };
        await letThrough(port, card.mac, network, bounds);
        return made;
      });
    },
  };
}

/** Undoes what `fasten` has done, or was about to do. Safe to repeat. @throws BerthError NEUTRON_…, OPENSTACK_… */
export async function unfasten(
  neutron: Calls,
  port: string | undefined,
  fastened: ByPairs | ByTrunk,
  bounds: Bounds,
): Promise<void> {
  if (fastened.by === 'pairs') {
    const without = (before: Pairs) => before.filter((pair) => !has(fastened.pairs, pair));
    await changePairs(neutron, fastened.port, without, bounds);
    return;
  }
  try {
    if (port !== undefined) await neutron.trunks.removeSubports(fastened.trunk, [port], bounds);
  } catch (error) {
    // There is no such trunk, or no such subport.
    if (detailsOf(error)?.status !== 404) throw error;
  }
}

const has = (pairs: Pairs, { ip_address, mac_address }: Pairs[number]): boolean =>
  pairs.some((pair) => pair.ip_address === ip_address && pair.mac_address === mac_address);

/** Of a port that is gone, nothing. */
async function changePairs(
  neutron: Calls,
  id: string,
  change: (before: Pairs) => Pairs,
  bounds: Bounds,
): Promise<void> {
  for (;;) {
    const port = await neutron.ports.get(id, bounds);
    const before = port?.allowed_address_pairs ?? [];
    const after = change(before);
    if (port === undefined || after.length === before.length) return;
    try {
      await neutron.ports.update(id, pairsOf(after), { ...bounds, ifRevision: port.revision_number });
      return;
    } catch (error) {
      if (!(await mayTryAgain(error, 'NEUTRON_CHANGED', bounds))) throw error;
    }
  }
}

const pairsOf = (pairs: Pairs) => ({
  allowed_address_pairs: pairs.map(({ ip_address, mac_address }) => ({
    ip_address,
    ...(mac_address && { mac_address }),
  })),
});

/** Whether it failed because somebody else was quicker, and there is time left. Waits a little, each time another while. */
async function mayTryAgain(
  error: unknown,
  why: 'NEUTRON_CHANGED' | 'DuplicateSubPort',
  bounds: Bounds,
): Promise<boolean> {
  const changed = error instanceof BerthError && (error.code === why || detailsOf(error)?.type === why);
  return changed && (await pause(Math.random() * LONGEST_WAIT, bounds));
}

/** By chance: others that choose at the same moment most likely choose another. @throws BerthError NEUTRON_QUOTA when there is none. */
function freeVlan(taken: readonly number[]): number {
  const used = new Set(taken);
  const free = Array.from({ length: 4094 }, (_, index) => index + 1).filter((vlan) => !used.has(vlan));
  const vlan = free[Math.floor(Math.random() * free.length)];
  if (vlan === undefined)
    throw new BerthError('NEUTRON_QUOTA', 'the trunk of this machine has a subport for each of 4094 VLANs');
  return vlan;
}
