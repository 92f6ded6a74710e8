/** The records of Neutron's objects, in memory, with every change written down first. */

import type { EndpointId, NetworkId, PoolId } from '../../model/ids.ts';
import type { Json } from '../../model/network.ts';
import type { Notes } from '../fabric.ts';
import {
  decodeGroup,
  decodeNetworkRecord,
  decodeOutside,
  decodePool,
  decodePort,
  encodeGroup,
  encodeNetworkRecord,
  encodeOutside,
  encodePool,
  encodePort,
  type GroupRecord,
  type NetworkRecord,
  type OutsideRecord,
  type PoolRecord,
  type PortRecord,
} from './records.ts';

/** The records of one kind. */
export interface Shelf<Key extends string, Kept> {
  get(key: Key): Kept | undefined;
  all(): readonly Kept[];
  /** Durable when it resolves; seen at once by whoever asks. What the store refuses is as it was before. */
  put(record: Kept): Promise<void>;
  /**
   * @param as only if it is this one; default: whatever it is now.
   * @returns false when it is another by then, which stays.
   */
  delete(key: Key, as?: Kept): Promise<boolean>;
}

export interface Book {
  readonly pools: Shelf<PoolId, PoolRecord>;
  readonly networks: Shelf<NetworkId, NetworkRecord>;
  readonly ports: Shelf<string, PortRecord>;
  readonly outside: Shelf<EndpointId, OutsideRecord>;
  readonly groups: Shelf<string, GroupRecord>;
}

/** @param unreadable told of each record that had to be passed over. */
export async function openBook(notes: Notes, unreadable: (key: string) => void): Promise<Book> {
  async function shelf<Key extends string, Kept>(
    prefix: string,
    keyOf: (record: Kept) => Key,
    encode: (record: Kept) => Json,
    decode: (note: Json) => Kept | undefined,
  ): Promise<Shelf<Key, Kept>> {
    const records = new Map<Key, Kept>();
    for (const [name, note] of await notes.list(prefix)) {
      const record = decode(note);
      if (record === undefined) unreadable(name);
      else records.set(keyOf(record), record);
    }
    return {
      get: (key) => records.get(key),
      all: () => [...records.values()],
      async put(record) {
        const key = keyOf(record);
        const before = records.get(key);
        records.set(key, record);
        try {
          await notes.put(prefix + key, encode(record));
        } catch (error) {
          if (records.get(key) === record && before === undefined) records.delete(key);
          else if (records.get(key) === record && before !== undefined) records.set(key, before);
          throw error;
        }
      },
      async delete(key, as = records.get(key)) {
        if (records.get(key) !== as) return false;
        await notes.delete(prefix + key);
        // Written down anew in the meantime, in the store as well: what is asked of that is done in turn.
        if (records.get(key) !== as) return false;
        records.delete(key);
        return true;
      },
    };
  }

  return {
    pools: await shelf('neutron/pool/', ({ id }: PoolRecord) => id, encodePool, decodePool),
    networks: await shelf('neutron/network/', ({ id }: NetworkRecord) => id, encodeNetworkRecord, decodeNetworkRecord),
    ports: await shelf('neutron/port/', ({ key }: PortRecord) => key, encodePort, decodePort),
    outside: await shelf('neutron/outside/', ({ endpoint }: OutsideRecord) => endpoint, encodeOutside, decodeOutside),
    groups: await shelf('neutron/group/', ({ key }: GroupRecord) => key, encodeGroup, decodeGroup),
  };
}
