/**
 * Ports that are made before a container needs them, bound to this host, so that its start asks Neutron for nothing. A port that a
 * container has had is not given to another: it goes when the container ends, and others are made in the background.
 */

import { randomUUID } from 'node:crypto';
import { sameAddress } from '../../model/address.ts';
import { asBerthError, BerthError } from '../../model/errors.ts';
import type { NetworkId, PoolId } from '../../model/ids.ts';
import { within } from '../../openstack/bounds.ts';
import type { Neutron } from '../../openstack/neutron/neutron.ts';
import type { Port } from '../../openstack/neutron/objects.ts';
import type { AddressChoice } from './address-choice.ts';
import type { Book } from './book.ts';
import type { Wishes } from './options.ts';
import type { PortRemoval } from './port-removal.ts';
import type { PortRequests, Wanted } from './port-request.ts';
import { heldAs } from './port-state.ts';
import type { PortRecord } from './records.ts';
import type { NetworkSettings } from './settings.ts';
import { wasNotDone } from './unanswered.ts';

/** Where ports are to be: Docker's network, and what it is in Neutron. */
interface Place {
  readonly network: NetworkId;
  readonly settings: NetworkSettings;
}

export interface WarmPortsParts {
  readonly book: Pick<Book, 'ports'>;
  readonly neutron: Pick<Neutron, 'ports'>;
  readonly requests: PortRequests;
  readonly choice: AddressChoice;
  readonly begone: PortRemoval['begone'];
  readonly host: string;
  /** Without, nobody could use them: ports have MAC addresses, and the engine chooses its own. What there is goes. */
  readonly enabled: boolean;
  /** That none can be made at the moment. */
  failed(network: NetworkId, sentence: string): void;
  now(): number;
  readonly times?: WarmTimes;
}

/** Milliseconds. */
export interface WarmTimes {
  /** From the start of a container until another port is made: so Neutron is not asked while the container starts, and once for several. */
  readonly delay: number;
  /** Of one attempt. */
  readonly attempt: number;
  readonly firstWait: number;
  readonly longestWait: number;
}

const USUAL: WarmTimes = { delay: 1000, attempt: 60_000, firstWait: 1000, longestWait: 60_000 };

export interface WarmPorts {
  /** One for a container that wants no MAC address, and no address or that of a warm port; undefined where there is none. */
  take(place: Place, pool: PoolId, wanted: Wanted): Promise<PortRecord | undefined>;
  /** Makes in the background what is missing, now or after the usual delay. */
  replenish(place: Place, delay?: number): void;
  /**
   * Compares with Neutron, in one call: what is gone there is forgotten, and what nobody remembers, because our store was lost, is removed.
   * Never rejects. Asks nothing where no network has such ports.
   *
   * @param places all networks, with all of their containers known.
   */
  check(places: readonly Place[]): Promise<void>;
  /** Neutron has answered again. */
  hurry(): void;
  /** The network goes: none is made from now on, and what there is goes. Written down when it resolves. */
  close(network: NetworkId): Promise<void>;
  stop(): void;
}

/** @throws BerthError BAD_OPTION where a network cannot have the warm ports that its options ask for. */
export function checkWarmPorts(
  { warmPorts = 0 }: Wishes,
  of: { readonly enabled: boolean; readonly shared: boolean; readonly nested: boolean },
): void {
  if (warmPorts === 0) return;
  if (of.nested)
    throw new BerthError('BAD_OPTION', "'neutron.warm_ports' is not for containers in a virtual machine of Neutron's");
  // The other engines are not told the options of such a network.
  if (of.shared) throw new BerthError('BAD_OPTION', "a network that all engines have takes no 'neutron.warm_ports'");
  if (!of.enabled)
    throw new BerthError(
      'BAD_OPTION',
      "'neutron.warm_ports' needs --neutron-macs=neutron for the agent, and then a restart of the engine: while the engine chooses MAC addresses, no port can be made before it has",
    );
}

interface Pool {
  place: Place;
  timer: NodeJS.Timeout | undefined;
  running: boolean;
  again: boolean;
  wait: number;
  /** How many may be asked for at once: fewer after a failure. */
  most: number;
  /** Failing, and told. */
  told: boolean;
}

export function createWarmPorts(parts: WarmPortsParts): WarmPorts {
  const { neutron, requests, choice, begone, host, enabled, failed, now, times = USUAL } = parts;
  const { ports } = parts.book;
  const ending = new AbortController();
  const pools = new Map<NetworkId, Pool>();
  const closed = new Set<NetworkId>();
  let comparing = false;
  const name = `container on ${host} (made ahead)`;

  const warmOn = (network: NetworkId): readonly PortRecord[] =>
    ports.all().filter((record) => record.phase === 'warm' && record.network === network);
  /** Also those that are being made, or are on their way out without ever having been used: there are never more than were asked for. */
  const aheadOn = (network: NetworkId): number =>
    ports.all().filter((record) => record.ahead === true && record.network === network).length;

  async function keep(record: PortRecord, port: Port, { network, settings }: Place): Promise<void> {
    try {
      const { addresses, ...held } = heldAs(record, port, settings, settings.subnets[0]!.pool as PoolId, false);
      // A container that took it could not start; one that makes its own is told why.
      if (UNUSABLE.has(held.binding.type))
        throw new BerthError('PORT_UNBOUND', `Neutron does not bind ports to ${host}: ${held.binding.type}`);
      const free = addresses.map((address) => ({ ...address, taken: false }));
      await ports.put({ ...held, phase: 'warm', addresses: free });
    } catch (error) {
      await begone({ ...record, port: port.id });
      throw error;
    }
    if (closed.has(network)) await begone(ports.get(record.key)!);
  }

  /** @returns milliseconds until there is more to do; undefined when all are there. */
  async function fill({ place, most }: Pool): Promise<number | undefined> {
    const { network, settings } = place;
    const { warmPorts = 0 } = settings;
    const missing = warmPorts - aheadOn(network);
    // Others are on their way out first.
    if (missing <= 0) return warmOn(network).length < warmPorts ? times.firstWait : undefined;
    const records = Array.from(
      { length: Math.min(missing, most) },
      (): PortRecord => ({
        key: randomUUID(),
        phase: 'making',
        ahead: true,
        origin: 'created',
        network,
        addresses: [],
        createdAt: now(),
      }),
    );
    const bounds = within(times.attempt, ending.signal);
    let made: readonly Port[];
    try {
      // All are to have addresses of the same subnets, and Docker asks the first for one.
      const pool = settings.subnets[0]!.pool as PoolId;
      const wanted = await Promise.all(records.map(({ key }) => requests(key, settings, pool, { name }, bounds)));
      for (const record of records) await ports.put(record);
      made = await neutron.ports.createMany(wanted, bounds);
    } catch (error) {
      // Others have taken what we chose, or what we chose is free again.
      for (const subnet of settings.subnets) choice.forget(subnet);
      for (const record of records)
        if (ports.get(record.key) !== undefined)
          await (wasNotDone(error) ? ports.delete(record.key) : begone(record, error)).catch(() => {});
      throw error;
    }
    const kept = await Promise.allSettled(records.map((record, index) => keep(record, made[index]!, place)));
    for (const one of kept) if (one.status === 'rejected') throw one.reason;
    return missing <= records.length ? undefined : 0;
  }

  async function run(pool: Pool): Promise<void> {
    const { network } = pool.place;
    pool.running = true;
    let next: number | undefined;
    try {
      next = await fill(pool);
      pool.most *= 2;
      if (next === undefined) Object.assign(pool, { wait: times.firstWait, told: false });
    } catch (error) {
      const { message } = asBerthError(error);
      // Neutron makes all or none, and its quota may have room for some.
      pool.most = Math.max(1, Math.floor(Math.min(pool.most, pool.place.settings.warmPorts!) / 2));
      if (!pool.told && !ending.signal.aborted) failed(network, `cannot make warm ports now: ${message}`);
      pool.told = true;
      next = pool.wait;
      pool.wait = Math.min(pool.wait * 2, times.longestWait);
    }
    pool.running = false;
    if (pool.again) next ??= times.delay;
    pool.again = false;
    if (next !== undefined) later(pool, next);
  }

  function later(pool: Pool, delay: number): void {
    if (ending.signal.aborted || closed.has(pool.place.network)) return;
    pool.timer = setTimeout(() => {
      pool.timer = undefined;
      void run(pool);
    }, delay);
    pool.timer.unref();
  }

  function replenish(place: Place, delay = times.delay): void {
    const { network, settings } = place;
    if (!enabled || (settings.warmPorts ?? 0) === 0 || closed.has(network)) return;
    const fresh = { timer: undefined, running: false, again: false, wait: times.firstWait, told: false };
    const pool: Pool = pools.get(network) ?? { place, ...fresh, most: Number.POSITIVE_INFINITY };
    pools.set(network, pool);
    pool.place = place;
    if (pool.running) pool.again = true;
    else if (pool.timer === undefined) later(pool, delay);
  }

  /** Those that are named as ours, and were on this network before our store was lost. One that is wired is a container's. */
  const isForgotten = (port: Pick<Port, 'id' | 'name' | 'device_id' | 'status'>, known: ReadonlySet<string>): boolean =>
    port.name === name && port.status !== 'ACTIVE' && !known.has(port.id) && !known.has(port.device_id ?? '');

  async function compare(places: readonly Place[]): Promise<void> {
    const byNetwork = new Map(places.map((place) => [place.settings.network, place]));
    const before = ports.all();
    const found = await neutron.ports.list(
      { description: `berth/${host}`, network_id: [...byNetwork.keys()] },
      {
        ...within(times.attempt, ending.signal),
        fields: ['id', 'name', 'device_id', 'network_id', 'status'],
      },
    );
    const there = new Set(found.map(({ id }) => id));
    for (const record of before)
      if (record.phase === 'warm' && !there.has(record.port!) && ports.get(record.key) === record)
        await ports.delete(record.key);
    // Records are written before Neutron is asked and go after it was.
    const known = new Set([...before, ...ports.all()].flatMap(({ key, port }) => (port ? [key, port] : [key])));
    for (const port of found) {
      if (!isForgotten(port, known)) continue;
      const { network } = byNetwork.get(port.network_id)!;
      const key = port.device_id || port.id;
      const record = { key, network, port: port.id, addresses: [], createdAt: now() };
      await begone({ ...record, origin: 'created', phase: 'leaving', ahead: true });
    }
  }

  return {
    async take(place, pool, { address, mac }) {
      if (mac !== undefined || !enabled) return undefined;
      const found = warmOn(place.network).find(({ addresses }) =>
        addresses.some(
          ({ pool: of, on }) => of === pool && (address === undefined || sameAddress(on.address, address)),
        ),
      );
      if (found === undefined) return undefined;
      const { ahead: _unused, ...record } = found;
      const addresses = found.addresses.map((one) => ({ ...one, taken: one.pool === pool }));
      const taken: PortRecord = { ...record, phase: 'held', addresses, createdAt: now() };
      // Seen at once by whoever asks next.
      await ports.put(taken);
      replenish(place);
      return taken;
    },

    replenish,

    async check(places) {
      const wanting = places.filter(({ settings }) => settings.warmPorts !== undefined);
      for (const record of ports.all()) {
        const isWanted = enabled && wanting.some(({ network }) => network === record.network);
        if (record.phase === 'warm' && !isWanted) await begone(record).catch(() => {});
      }
      if (!enabled || wanting.length === 0) return;
      if (comparing) return;
      comparing = true;
      // That Neutron does not answer is told elsewhere; it is compared again.
      await compare(wanting).catch(() => {});
      comparing = false;
      for (const place of wanting) replenish(place, 0);
    },

    hurry() {
      for (const pool of pools.values()) {
        if (pool.timer === undefined || !pool.told) continue;
        clearTimeout(pool.timer);
        later(pool, 0);
      }
    },

    async close(network) {
      closed.add(network);
      clearTimeout(pools.get(network)?.timer);
      pools.delete(network);
      for (const record of warmOn(network)) await begone(record);
    },

    stop() {
      ending.abort();
      for (const { timer } of pools.values()) clearTimeout(timer);
    },
  };
}

/** `binding:vif_type` of ports that nobody can wire. */
const UNUSABLE: ReadonlySet<string> = new Set(['unbound', 'binding_failed']);
