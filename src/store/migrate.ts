/** Moves what the hosts of a cluster share from one store into another, as one consistent copy. */

import { BerthError } from '../model/errors.ts';
import { isShared, keys } from '../model/keys.ts';
import type { Entry, Operation, Store } from './store.ts';

export interface MigrationOptions {
  /** Where it comes from, for people. */
  readonly origin: string;
  /** Replaces what the target holds. */
  readonly force?: boolean;
  /** Only looks. */
  readonly dryRun?: boolean;
  /** Called after each transaction with the operations that are done, and how many there are. */
  readonly progress?: (done: number, of: number) => void;
}

export interface Migration {
  /** Keys of the source that are state, and not of the moment. */
  readonly keys: number;
  readonly bytes: number;
  /** Keys that the target lacked, had otherwise, or had too many. */
  readonly written: number;
  readonly removed: number;
}

/** etcd takes 128 operations; one of them is the marker. */
const MOST_OPERATIONS = 100;
/** Of keys and values, well below the 1.5 MiB that etcd takes. */
const MOST_BYTES = 512 * 1024;

/**
 * Copies everything, compares the two afterwards, and leaves the source as it is. The target is marked while it is incomplete: no agent
 * starts on it, and a migration that was interrupted goes on when it is run again.
 *
 * What is a host's own stays where it is, in its state file; and what belongs to the moment stays behind: keys that hang on an expiring
 * lease.
 *
 * @throws BerthError STATE_LOCKED while an agent runs on either or something else writes to them; STORE_NOT_EMPTY; those of the
 *   stores; INTERNAL when the copy differs.
 */
export async function migrateStore(source: Store, target: Store, options: MigrationOptions): Promise<Migration> {
  const { origin, force = false, dryRun = false, progress = () => {} } = options;
  await refuseRunning(source, 'the source');
  await refuseRunning(target, 'the target');
  const marker = await target.get(keys.migration);
  const from = await stateOf(source);
  const there = await stateOf(target);
  if (there.size > 0 && marker === undefined && !force) {
    throw new BerthError('STORE_NOT_EMPTY', `the target holds ${there.size} keys of Berth`);
  }
  const operations = difference(from, there);
  const result: Migration = {
    keys: from.size,
    bytes: [...from].reduce((sum, [key, value]) => sum + size(key, value), 0),
    written: operations.filter((operation) => operation.do === 'put').length,
    removed: operations.filter((operation) => operation.do === 'delete').length,
  };
  if (dryRun) return result;

  let revision = await mark(target, marker, origin);
  let done = 0;
  for (const batch of batches(operations)) {
    // Whoever else migrates into this store has changed the marker, and only one may go on.
    const written = await target.transact({
      if: [{ key: keys.migration, is: 'at', revision }],
      then: [...batch, { do: 'put', key: keys.migration, value: origin }],
    });
    if (!written.committed) throw new BerthError('STATE_LOCKED', 'another migration into the same store is under way');
    revision = written.revision;
    done += batch.length;
    progress(done, operations.length);
  }
  await refuseRunning(source, 'the source');
  const now = await stateOf(source);
  if (difference(from, now).length > 0) {
    throw new BerthError('STATE_LOCKED', 'the source was changed in the meantime, so that the copy is of no use');
  }
  const wrong = difference(now, await stateOf(target));
  if (wrong.length > 0) {
    throw new BerthError(
      'INTERNAL',
      `the copy differs from the source in ${wrong.length} keys, such as ${wrong[0]!.key}`,
    );
  }
  const finished = await target.transact({
    if: [{ key: keys.migration, is: 'at', revision }],
    then: [{ do: 'delete', key: keys.migration }],
  });
  if (!finished.committed) throw new BerthError('STATE_LOCKED', 'another migration into the same store is under way');
  return result;
}

async function refuseRunning(store: Store, which: string): Promise<void> {
  const { entries } = await store.list(keys.agents);
  const hosts = entries.map(({ key }) => key.slice(keys.agents.length));
  if (hosts.length === 0) return;
  throw new BerthError(
    'STATE_LOCKED',
    `the agent of ${hosts.join(', ')} runs on ${which}, or was killed less than 15 s ago`,
  );
}

/** One moment of a store: a listing is of one revision. */
async function stateOf(store: Store): Promise<ReadonlyMap<string, string>> {
  const { entries } = await store.list(keys.all);
  return new Map(entries.filter(isState).map(({ key, value }) => [key, value]));
}

function isState({ key, lease }: Entry): boolean {
  return isShared(key) && lease === undefined;
}

/** What makes a store hold exactly what is wanted. */
function difference(wanted: ReadonlyMap<string, string>, there: ReadonlyMap<string, string>): Operation[] {
  const puts = [...wanted].filter(([key, value]) => there.get(key) !== value);
  const deletions = [...there.keys()].filter((key) => !wanted.has(key));
  return [
    ...deletions.map((key): Operation => ({ do: 'delete', key })),
    ...puts.map(([key, value]): Operation => ({ do: 'put', key, value })),
  ];
}

/** @returns the revision of the marker, which nobody else has. */
async function mark(target: Store, found: Entry | undefined, origin: string): Promise<number> {
  const marked = await target.transact({
    if: [
      found === undefined
        ? { key: keys.migration, is: 'absent' }
        : { key: keys.migration, is: 'at', revision: found.modRevision },
    ],
    then: [{ do: 'put', key: keys.migration, value: origin }],
  });
  if (!marked.committed) throw new BerthError('STATE_LOCKED', 'another migration into the same store is under way');
  return marked.revision;
}

function* batches(operations: readonly Operation[]): Generator<readonly Operation[]> {
  let batch: Operation[] = [];
  let bytes = 0;
  for (const operation of operations) {
    const more = size(operation.key, operation.do === 'put' ? operation.value : '');
    if (batch.length >= MOST_OPERATIONS || (batch.length > 0 && bytes + more > MOST_BYTES)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(operation);
    bytes += more;
  }
  if (batch.length > 0) yield batch;
}

function size(key: string, value: string): number {
  return Buffer.byteLength(key) + Buffer.byteLength(value);
}
