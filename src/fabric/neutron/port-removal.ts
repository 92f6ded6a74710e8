/** How ports go from Neutron: those that we have made are removed, those that were there are put back as they were. */

import type { Bounds } from '../../openstack/bounds.ts';
import type { Neutron } from '../../openstack/neutron/neutron.ts';
import type { PortChange } from '../../openstack/neutron/requests.ts';
import type { Book } from './book.ts';
import { AGAIN, type Departures } from './departures.ts';
import type { Fastened, PortRecord } from './records.ts';
import { retag } from './tags.ts';
import { leftToLook, mayYetBeDone } from './unanswered.ts';

export interface PortRemovalParts {
  readonly book: Pick<Book, 'ports'>;
  readonly neutron: Pick<Neutron, 'ports'>;
  readonly departures: Departures;
  /** See `PortsParts`. */
  readonly nested: boolean;
  /** Milliseconds for which Neutron may still be at what it has not answered. */
  readonly settle: number;
  /** Undoes what has been done for a port elsewhere. Repeated until it succeeds; the port stays as long. */
  unfasten(record: PortRecord, fastened: Fastened, bounds: Bounds): Promise<void>;
  now(): number;
}

export interface PortRemoval {
  /**
   * Written down when it resolves; Neutron hears of it in the background, also where the store refuses to be written.
   *
   * @param failure of what was asked for last, if it failed.
   */
  begone(record: PortRecord, failure?: unknown): Promise<void>;
  /** Of one that is written down as `leaving`. */
  leave(record: PortRecord): void;
}

export function createPortRemoval(parts: PortRemovalParts): PortRemoval {
  const { book, neutron, departures, nested, settle, now } = parts;
  const { ports } = book;

  async function loosened(record: PortRecord, bounds: Bounds): Promise<PortRecord> {
    const { fastened, ...rest } = record;
    if (fastened === undefined) return record;
    await parts.unfasten(record, fastened, bounds);
    await ports.put(rest);
    return rest;
  }

  async function removeCreated(record: PortRecord, bounds: Bounds): Promise<number | undefined> {
    const { key, port } = record;
    // Without an id, Neutron's answer never reached us, or was never given.
    const found =
      port === undefined ? await neutron.ports.list({ device_id: key }, { ...bounds, fields: ['id'] }) : [{ id: port }];
    for (const { id } of found) await neutron.ports.remove(id, bounds);
    return found.length > 0 ? undefined : leftToLook(record, settle, now());
  }

  /** Only what is still ours: somebody else may have taken it since. */
  async function putBack(record: PortRecord, bounds: Bounds): Promise<number | undefined> {
    const { key, port, before, tags = [], unanswered } = record;
    let current = port === undefined ? undefined : await neutron.ports.get(port, bounds);
    if (current === undefined || before === undefined) return undefined;
    // One that was a trunk's has lost its device to that.
    const ours = current.device_id === key || (nested && !current.device_id && unanswered === undefined);
    if (!ours) return leftToLook(record, settle, now());
    if (tags.length > 0) {
      await retag(neutron.ports, current.id, { remove: tags }, bounds);
      // Which is a change of it.
      current = (await neutron.ports.get(current.id, bounds)) ?? current;
    }
    const { host, mac_address, fixed_ips, ...rest } = before;
    const mac = mac_address !== undefined && mac_address !== current.mac_address ? { mac_address } : {};
    // Neutron changes no MAC address of a port that is bound (PortBound, plugins/ml2/plugin.py), not even in the request that unbinds it.
    // Whether it is bound may be told only to administrators.
    if (!nested && 'mac_address' in mac && current['binding:host_id'] !== '') {
      const revision = { ...bounds, ifRevision: current.revision_number };
      await neutron.ports.update(current.id, { 'binding:host_id': '' }, revision);
      // Neutron answers before it has unbound the port, which is another change of it.
      current = (await neutron.ports.get(current.id, bounds)) ?? current;
      if (current.device_id !== key) return undefined;
    }
    const change = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined)) as PortChange;
    // What somebody has taken from it meanwhile it does not get back: it may be another's.
    const has = (one: { ip_address: string }) =>
      current?.fixed_ips?.some(({ ip_address }) => ip_address === one.ip_address) ?? false;
    const back = {
      ...change,
      ...mac,
      ...(fixed_ips && { fixed_ips: fixed_ips.filter(has) }),
      ...(nested ? {} : { 'binding:host_id': host }),
    };
    await neutron.ports.update(current.id, back, { ...bounds, ifRevision: current.revision_number });
    return undefined;
  }

  function leave(record: PortRecord): void {
    const { key } = record;
    void departures.begin(key, async (bounds) => {
      const known = ports.get(key);
      if (known === undefined) return undefined;
      // The store would not be written when it was to go.
      if (known.phase !== 'leaving') await ports.put(record);
      const current = await loosened(known.phase === 'leaving' ? known : record, bounds);
      const left = await (current.origin === 'adopted' ? putBack(current, bounds) : removeCreated(current, bounds));
      return left ?? ((await ports.delete(key, current)) ? undefined : AGAIN);
    });
  }

  return {
    leave,
    async begone(record, failure) {
      const { endpoint: _gone, ...rest } = record;
      const leaving: PortRecord = {
        ...rest,
        phase: 'leaving',
        ...(mayYetBeDone(failure) ? { unanswered: now() } : {}),
      };
      try {
        await ports.put(leaving);
      } finally {
        leave(leaving);
      }
    },
  };
}
