/**
 * Ports: one for each container. It is made with the first address that Docker asks for, with all that Neutron needs to know, so that
 * a start is one call; and goes, without anybody waiting for it, when Docker has given back the last.
 */

import { randomUUID } from 'node:crypto';
import { type Address, formatAddress, sameAddress } from '../../model/address.ts';
import { BerthError } from '../../model/errors.ts';
import type { EndpointId, NetworkId, PoolId } from '../../model/ids.ts';
import type { Mac } from '../../model/mac.ts';
import { formatPrefix, type InterfaceAddress, parsePrefix } from '../../model/prefix.ts';
import type { Bounds } from '../../openstack/bounds.ts';
import { detailsOf } from '../../openstack/failure.ts';
import type { Neutron } from '../../openstack/neutron/neutron.ts';
import type { PortChange } from '../../openstack/neutron/requests.ts';
import type { Book } from './book.ts';
import type { Departures } from './departures.ts';
import { createPortAdoption } from './port-adoption.ts';
import { createPortRemoval, type PortRemovalParts } from './port-removal.ts';
import { createPortRequests, familyOf, type PortRequestParts, type Wanted } from './port-request.ts';
import {
  before,
  bindingOf,
  guardsOf,
  type HeldPort,
  heldAs,
  heldBySomebody,
  isAddressInUse,
  isFree,
  isOurs,
  withoutAddress,
} from './port-state.ts';
import type { Fastened, PortRecord } from './records.ts';
import type { NetworkSettings } from './settings.ts';
import { wasNotDone } from './unanswered.ts';
import { createWarmPorts, type WarmPorts, type WarmPortsParts } from './warm.ts';

/** Where a port is to be: Docker's network, and what it is in Neutron. */
export interface Place {
  readonly network: NetworkId;
  readonly settings: NetworkSettings;
}

export interface PortsParts extends PortRequestParts {
  readonly book: Pick<Book, 'ports'>;
  readonly neutron: Pick<Neutron, 'ports'>;
  readonly departures: Departures;
  /** See `PortRemovalParts`. */
  readonly settle: number;
  readonly unfasten: PortRemovalParts['unfasten'];
  /** Whether something is plugged in here as this port. */
  isPlugged(port: string): boolean;
  /** Whether Docker may still have this endpoint. Without, it may. */
  readonly isAlive?: (endpoint: EndpointId) => boolean;
  now(): number;
  /** Absent: none are made ahead. */
  readonly warm?: Pick<WarmPortsParts, 'enabled' | 'failed' | 'times'>;
}

export interface Ports {
  /** Those that are made ahead. */
  readonly warm: WarmPorts;
  /**
   * Safe to repeat with the same MAC. Without one, Docker must have given the addresses of a container before it asks for those of the next.
   *
   * @throws BerthError ADDRESS_TAKEN, MAC_IN_USE, POOL_EXHAUSTED, NEUTRON_…, OPENSTACK_…: nothing is left in Neutron.
   */
  acquire(place: Place, pool: PoolId, wanted: Wanted, bounds: Bounds): Promise<InterfaceAddress>;
  /**
   * Docker has made an endpoint of the addresses that it asked for.
   *
   * @throws BerthError ADDRESS_OUTSIDE when they were not asked for here.
   */
  bind(
    place: Place,
    endpoint: EndpointId,
    addresses: readonly InterfaceAddress[],
    mac: Mac | undefined,
    bounds: Bounds,
  ): Promise<HeldPort>;
  /** Changes what is held, as one container wants it; an adopted port gets back what it had. */
  amend(port: Pick<HeldPort, 'key' | 'port' | 'origin'>, change: PortChange, bounds: Bounds): Promise<void>;
  /** Writes down what is about to be done for it elsewhere, or, with undefined, that it has been undone. */
  fasten(key: string, fastened: Fastened | undefined): Promise<void>;
  /** That an endpoint was given. */
  of(endpoint: EndpointId): HeldPort | undefined;
  /** Docker gives an address back. Of one that is not known, nothing. */
  release(pool: PoolId, address: Address): Promise<void>;
  /** An endpoint is gone, though nobody has given back its addresses. */
  endpointGone(endpoint: EndpointId): Promise<void>;
  /** One that nobody comes back to. */
  abandon(key: string): Promise<void>;
  /** At start: what an earlier process was about to make or to remove. */
  recover(): Promise<void>;
}

export function createPorts(parts: PortsParts): Ports {
  const { book, neutron, departures, choice, host, nested = false, settle, unfasten, now } = parts;
  const { ports } = book;
  const { begone, leave } = createPortRemoval({ book, neutron, departures, nested, settle, unfasten, now });
  const adopt = createPortAdoption({ ...parts, undo });
  const requests = createPortRequests(parts);
  const ahead = parts.warm ?? { enabled: false, failed: () => {} };
  const warm = createWarmPorts({ ...ahead, book, neutron, requests, choice, begone, host, now });

  const holds = (record: PortRecord, pool: PoolId, address: Address): boolean =>
    record.addresses.some((held) => held.pool === pool && sameAddress(held.on.address, address));

  async function fasten(key: string, fastened: Fastened | undefined): Promise<void> {
    const found = ports.get(key);
    if (found === undefined) return;
    const { fastened: _before, ...record } = found;
    await ports.put({ ...record, ...(fastened && { fastened }) });
  }

  /** What the store says to that is not what went wrong. */
  async function undo(record: PortRecord, failure: unknown): Promise<void> {
    await (wasNotDone(failure) ? ports.delete(record.key) : begone(record, failure)).catch(() => {});
  }

  async function make(place: Place, pool: PoolId, wanted: Wanted, bounds: Bounds): Promise<HeldPort> {
    const { settings, network } = place;
    const key = randomUUID();
    const record: PortRecord = { key, phase: 'making', origin: 'created', network, addresses: [], createdAt: now() };
    // Where there is no address, nothing was asked for.
    const asked = await requests(key, settings, pool, wanted, bounds);
    await ports.put(record);
    try {
      const port = await neutron.ports.create(asked, bounds);
      const made = heldAs(record, port, settings, pool, nested);
      await ports.put(made);
      return made;
    } catch (error) {
      await undo(record, error);
      throw error;
    }
  }

  /** Neutron says that the address or the MAC is another port's. @param replaced what the container had until now. */
  async function takeOver(
    place: Place,
    pool: PoolId,
    wanted: Wanted,
    refusal: unknown,
    bounds: Bounds,
    replaced?: PortRecord,
  ): Promise<HeldPort> {
    const subnet = place.settings.subnets.find((one) => one.pool === pool)!;
    const byMac = detailsOf(refusal)?.type === 'MacAddressInUse';
    const which = byMac
      ? { network_id: place.settings.network, mac_address: wanted.mac! }
      : { fixed_ips: [`subnet_id=${subnet.id}`, `ip_address=${formatAddress(wanted.address!)}`] };
    const [port] = await neutron.ports.list(which, bounds);
    if (port === undefined) throw refusal;
    // What an earlier attempt has left, whose answer was lost.
    const ours = port.device_id === undefined ? undefined : ports.get(port.device_id);
    if (replaced === undefined && ours?.phase === 'leaving' && (await departures.done(ours.key, bounds)))
      return await makeOrTakeOver(place, pool, wanted, bounds);
    // A port that is found by its MAC address has the address that was asked for, too, or is not the one that is meant.
    const fits = port.fixed_ips?.some(
      ({ subnet_id, ip_address }) =>
        subnet_id === subnet.id && (wanted.address === undefined || formatAddress(wanted.address) === ip_address),
    );
    const isHeld = ports.all().some((record) => record.port === port.id);
    if (fits === true && !isHeld && isFree(port, parts)) {
      if (replaced !== undefined) await gone(replaced, bounds);
      return await adopt(place, pool, port, wanted, bounds, replaced?.addresses);
    }
    throw heldBySomebody(port, wanted, byMac, refusal);
  }

  /** Its addresses and its MAC are free again. */
  async function gone(record: PortRecord, bounds: Bounds): Promise<void> {
    await begone(record);
    if (!(await departures.done(record.key, bounds)))
      throw new BerthError('OPENSTACK_TIMEOUT', 'Neutron has not yet removed the port that the container had at first');
  }

  /**
   * Neutron gives an address again whose port somebody has removed from it, though the container still has it here. Then others are
   * made until there is one that nobody has; until then those stay, for Neutron not to give the same again.
   */
  async function makeUnused(place: Place, pool: PoolId, wanted: Wanted, bounds: Bounds): Promise<HeldPort> {
    const passed: HeldPort[] = [];
    const isHeld = (made: HeldPort): boolean =>
      ports
        .all()
        .some(
          (other) =>
            other.key !== made.key &&
            other.phase === 'held' &&
            !passed.some(({ key }) => key === other.key) &&
            made.addresses.some((one) => holds(other, one.pool, one.on.address)),
        );
    try {
      for (;;) {
        const made = await make(place, pool, wanted, bounds);
        // What was made ahead with one of its addresses is gone from Neutron.
        for (const { key, phase, addresses } of ports.all())
          if (phase === 'warm' && addresses.some((one) => holds(made, one.pool, one.on.address)))
            await ports.delete(key);
        if (!isHeld(made)) return made;
        passed.push(made);
      }
    } finally {
      for (const one of passed) await begone(one);
    }
  }

  async function makeOrTakeOver(place: Place, pool: PoolId, wanted: Wanted, bounds: Bounds): Promise<HeldPort> {
    const chosen = place.settings.subnets.some(({ choose }) => choose !== undefined);
    for (;;) {
      try {
        return await makeUnused(place, pool, wanted, bounds);
      } catch (error) {
        const inUse = isAddressInUse(error);
        const macInUse = detailsOf(error)?.type === 'MacAddressInUse';
        if ((inUse && wanted.address !== undefined) || (macInUse && wanted.mac !== undefined))
          return await takeOver(place, pool, wanted, error, bounds);
        // Somebody else has taken what we chose: what is free is found out anew.
        if (!inUse || !chosen) throw withoutAddress(error);
        for (const subnet of place.settings.subnets) choice.forget(subnet);
      }
    }
  }

  /** @throws BerthError OPENSTACK_TIMEOUT when it was given up while Neutron was asked for a change of it: nobody had made an endpoint of it. */
  async function keep(record: PortRecord): Promise<void> {
    if (ports.get(record.key)?.phase !== record.phase)
      throw new BerthError('OPENSTACK_TIMEOUT', `Neutron took so long that its port ${record.port} was given up`);
    await ports.put(record);
  }

  /** The same container's, which has been given an address of the other family, or asks again. */
  async function known(
    place: Place,
    pool: PoolId,
    { mac, address }: Wanted,
    bounds: Bounds,
  ): Promise<InterfaceAddress | undefined> {
    const on = ports.all().filter(({ phase, network }) => phase === 'held' && network === place.network);
    const asked = familyOf(place.settings.subnets.find((one) => one.pool === pool)!.prefix);
    const its = mac === undefined ? on.filter((one) => isHalfTaken(one, asked)) : on.filter((one) => one.mac === mac);
    // The last first: one that nobody came back to may be left of earlier.
    for (const record of its.toSorted((a, b) => b.createdAt - a.createdAt)) {
      // Docker asks for addresses before it makes the endpoint. What it gave back after a refusal would be the first container's.
      if (record.endpoint !== undefined && mac !== undefined && parts.isAlive?.(record.endpoint) !== false)
        throw new BerthError('MAC_IN_USE', `the MAC address ${mac} is held by another container on this host`);
      const subnet = place.settings.subnets.find((one) => one.pool === pool)!;
      const isSpare = (one: PortRecord['addresses'][number]): boolean =>
        !one.taken && address !== undefined && one.on.address.family === familyOf(subnet.prefix);
      // Neutron has chosen one of the first subnet of its family; the user's may be of another.
      const found = record.addresses.find((one) => one.pool === pool) ?? record.addresses.find(isSpare);
      if (found === undefined) continue;
      const isAnother = address !== undefined && !sameAddress(found.on.address, address);
      if (isAnother && found.taken) continue;
      if (isAnother && !isOurs(record, found.on.address))
        throw new BerthError('ADDRESS_TAKEN', `the port ${record.port} of Neutron has not ${formatAddress(address)}`);
      const on = isAnother ? { address, length: parsePrefix(subnet.prefix)!.length } : found.on;
      const addresses = record.addresses.map((one) => (one === found ? { pool, on, taken: true } : one));
      if (isAnother) {
        // The user names the second address as well (--ip6), of which Neutron has chosen another in the meantime.
        const second = { address, ...(mac && { mac }) };
        await waitFor(pool, second, bounds);
        const refusal = await refusalOf(
          neutron.ports.update(record.port!, { fixed_ips: fixedIps(place, record, addresses) }, bounds),
        );
        if (refusal !== undefined) {
          // It may be that of a port that is there, which then is the container's one.
          if (!isAddressInUse(refusal) || record.origin === 'adopted') throw refusal;
          await takeOver(place, pool, second, refusal, bounds, record);
          return on;
        }
      }
      if (!found.taken) await keep({ ...record, addresses });
      return on;
    }
    return undefined;
  }

  /** What has just been given back is free again as soon as Neutron has heard of it. */
  async function waitFor(pool: PoolId, { mac, address }: Wanted, bounds: Bounds): Promise<void> {
    for (const record of ports.all()) {
      if (record.phase === 'held' && address !== undefined && holds(record, pool, address) && record.mac !== mac)
        throw new BerthError(
          'ADDRESS_TAKEN',
          `the address ${formatAddress(address)} is held by another container on this host`,
        );
      const hasIt = address !== undefined && holds(record, pool, address);
      // What nobody uses makes way.
      if (record.phase === 'warm' && hasIt) await begone(record);
      else if (record.phase !== 'leaving') continue;
      const same = hasIt || (mac !== undefined && record.mac === mac);
      if (same && !(await departures.done(record.key, bounds)))
        throw new BerthError('OPENSTACK_TIMEOUT', 'Neutron has not yet removed the port that had this address before');
    }
  }

  return {
    async acquire(place, pool, wanted, bounds) {
      const before = await known(place, pool, wanted, bounds);
      if (before !== undefined) return before;
      const made = await warm.take(place, pool, wanted);
      if (made !== undefined) return made.addresses.find((one) => one.pool === pool)!.on;
      await waitFor(pool, wanted, bounds);
      const { addresses } = await makeOrTakeOver(place, pool, wanted, bounds);
      return addresses.find((one) => one.pool === pool)!.on;
    },

    async bind(place, endpoint, addresses, mac, bounds) {
      const record = ports
        .all()
        .find(
          ({ network, phase, endpoint: other, addresses: own }) =>
            phase === 'held' &&
            network === place.network &&
            (other === undefined || other === endpoint) &&
            addresses.some((on) => own.some((one) => formatPrefix(one.on) === formatPrefix(on))),
        );
      if (record?.port === undefined || record.mac === undefined || record.binding === undefined)
        throw new BerthError(
          'ADDRESS_OUTSIDE',
          `the address ${addresses.map(formatPrefix).join(', ') || '(none)'} was not asked of Neutron: the network needs --ipam-driver of the same plugin`,
        );
      const { port, mac: own, binding } = record;
      const given: HeldPort = { ...record, port, mac: own, binding, endpoint };
      if (mac === undefined || mac === own) {
        await ports.put(given);
        return given;
      }
      // Chosen by the user, of an engine that tells it only now. Neutron changes that of no port that is bound (PortBound, plugins/ml2/plugin.py).
      if (!nested) await neutron.ports.update(port, { 'binding:host_id': '' }, bounds);
      const back = nested ? {} : { 'binding:host_id': host };
      const changed = await neutron.ports.update(port, { mac_address: mac, ...back }, bounds);
      const result = { ...given, mac, binding: bindingOf(changed, nested) };
      await keep(result);
      return result;
    },

    async amend({ key, port, origin }, change, bounds) {
      if (Object.keys(change).length === 0) return;
      if (origin === 'adopted') {
        const record = ports.get(key);
        const found = await neutron.ports.get(port, bounds);
        if (record?.before !== undefined && found !== undefined)
          // What it had at first, should it be changed again.
          await ports.put({ ...record, before: { ...before(found, change), ...record.before } });
      }
      const changed = await neutron.ports.update(port, change, bounds);
      const record = ports.get(key);
      if (record?.phase === 'held' && change.security_groups !== undefined)
        await ports.put({ ...record, ...guardsOf(changed) });
    },

    fasten,

    of(endpoint) {
      const found = ports.all().find((one) => one.endpoint === endpoint && one.phase === 'held');
      const { port, mac, binding } = found ?? {};
      return port === undefined || mac === undefined || binding === undefined
        ? undefined
        : { ...found!, port, mac, binding };
    },

    async release(pool, address) {
      const record = ports.all().find((one) => one.phase === 'held' && holds(one, pool, address));
      if (record === undefined) return;
      const addresses = record.addresses.map((one) =>
        one.pool === pool && sameAddress(one.on.address, address) ? { ...one, taken: false } : one,
      );
      if (addresses.some(({ taken }) => taken)) await ports.put({ ...record, addresses });
      else await begone(record);
    },

    async endpointGone(endpoint) {
      const record = ports.all().find((one) => one.endpoint === endpoint && one.phase === 'held');
      if (record !== undefined) await begone(record);
    },

    async abandon(key) {
      const record = ports.get(key);
      if (record?.phase === 'held') await begone(record);
    },

    warm,

    async recover() {
      for (const record of ports.all()) {
        if (record.phase === 'making') await begone({ ...record, unanswered: now() });
        else if (record.phase === 'leaving') leave(record);
      }
    },
  };
}

/**
 * Whether a container has been given an address of it, and none of this family yet. The engine asks for all addresses of an endpoint, and
 * makes it, before it asks for those of the next on the same network (moby `libnetwork/network.go`, networkLocker).
 */
const isHalfTaken = ({ endpoint, addresses }: PortRecord, family: 4 | 6): boolean =>
  endpoint === undefined &&
  addresses.some(({ taken, on }) => taken && on.address.family !== family) &&
  addresses.some(({ on }) => on.address.family === family) &&
  !addresses.some(({ taken, on }) => taken && on.address.family === family);

/** With what an adopted port has besides. */
const fixedIps = ({ settings }: Place, { before }: PortRecord, addresses: PortRecord['addresses']) => {
  const ours = addresses.map(({ pool, on }) => ({
    subnet_id: settings.subnets.find((subnet) => subnet.pool === pool)!.id,
    ip_address: formatAddress(on.address),
  }));
  const isThere = ({ ip_address }: { ip_address: string }) => ours.some((one) => one.ip_address === ip_address);
  return [...(before?.fixed_ips ?? []).filter((one) => !isThere(one)), ...ours];
};

const refusalOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => undefined,
    (error: unknown) => error,
  );
