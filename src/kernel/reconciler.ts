/**
 * Makes the kernel as declared: the one place where the difference between what is wanted and what is there is worked
 * out and applied, for creating, auditing, repairing and removing alike. Synchronous, and without an interface to the
 * kernel of its own: the drivers do what must be done, in the order of `batch.ts`.
 */

import { asBerthError, BerthError } from '../model/errors.ts';
import { makeOrder } from './batch.ts';
import { differences, satisfies } from './compare.ts';
import { DeltaTracker } from './delta-tracker.ts';
import { createDependents, type Dependents } from './dependents.ts';
import type { ObjectDriver } from './driver.ts';
import { createEffects, type Failures } from './effects.ts';
import type { Drift, KernelStep, Owner } from './kernel.ts';
import { type KernelObject, type ObjectKey, type ObjectKind, objectKey } from './objects.ts';

export interface Removal {
  readonly owner: Owner;
  readonly known: readonly KernelObject[];
}

export interface Reconciler {
  /** As `Kernel.apply`. @throws BerthError */
  apply(owner: Owner, objects: readonly KernelObject[]): void;
  /** As `Kernel.remove`, for many owners at once; what went wrong for each. */
  remove(removals: readonly Removal[]): (BerthError | undefined)[];
  declare(owner: Owner, objects: readonly KernelObject[]): void;
  /**
   * As `Kernel.audit`.
   *
   * @param options.keys of these objects only, as far as they are declared.
   * @throws BerthError when our own namespace cannot be read.
   */
  audit(options: { readonly repair: boolean; readonly keys?: Iterable<ObjectKey> }): Drift[];
  /** @throws BerthError naming the step. */
  execute(steps: readonly KernelStep[]): void;
  /** As it is declared, by whoever had the last word. */
  declared(key: ObjectKey): KernelObject | undefined;
  /** Keys of all that is declared of a kind. */
  declaredOf(kind: ObjectKind): readonly ObjectKey[];
  /** Whether a link that is there under a declared name is ours: made by this process, or marked with the declared alias. */
  owns(link: KernelObject): boolean;
  readonly dependents: Omit<Dependents, 'change'>;
  /** Something failed since the last full audit with repair: what is there is not known for certain. */
  readonly doubtful: boolean;
  close(): void;
}

export function createReconciler(drivers: readonly ObjectDriver[]): Reconciler {
  const tracker = new DeltaTracker<ObjectKey, KernelObject, Owner>(satisfies);
  /** Links that this process made and has not deleted. */
  const madeLinks = new Set<ObjectKey>();
  const effects = createEffects(drivers, {
    made(key, object) {
      tracker.made(key, object);
      if (object.kind === 'link') madeLinks.add(key);
    },
    gone(key) {
      tracker.gone(key);
      madeLinks.delete(key);
    },
    doubt: (key) => tracker.doubt(key),
  });
  const dependents = createDependents();
  let doubtful = false;

  function declare(owner: Owner, after: ReadonlyMap<ObjectKey, KernelObject>): void {
    const before = tracker.declaredBy(owner);
    tracker.declare(owner, after);
    for (const key of new Set([...before.keys(), ...after.keys()])) {
      dependents.change(key, before.get(key), tracker.wanted(key));
    }
  }

  function pendingUpdates(keys: Iterable<ObjectKey>): KernelObject[] {
    return [...keys].flatMap((key) => tracker.pendingUpdates.get(key) ?? []);
  }

  function pendingDeletions(keys: Iterable<ObjectKey>): KernelObject[] {
    return [...keys].flatMap((key) => tracker.pendingDeletions.get(key)?.value ?? []);
  }

  /** Makes what is pending among these keys, then deletes. New before old: where both can be, nothing is cut off. */
  function flush(keys: ReadonlySet<ObjectKey>): void {
    const deletions = pendingDeletions(keys);
    let obstacle: BerthError | undefined;
    try {
      effects.make(pendingUpdates(keys));
    } catch (thrown) {
      // The old may be in the way of the new, such as a VXLAN device with the same identifier.
      const [refused] = makeOrder(pendingUpdates(keys));
      if (!deletions.some((object) => object.kind === refused?.kind)) throw thrown;
      obstacle = asBerthError(thrown);
    }
    const [failure] = effects.unmakeEach(deletions).values();
    if (failure !== undefined) throw obstacle ?? failure;
    if (obstacle !== undefined) effects.make(pendingUpdates(keys));
  }

  /**
   * Puts an owner's earlier declaration back, and the kernel with it. What was not made is not touched either: it may have
   * been there before us, and have been the reason of the failure.
   *
   * @param doomed what was to be deleted anyway.
   */
  function undo(
    owner: Owner,
    before: ReadonlyMap<ObjectKey, KernelObject>,
    keys: ReadonlySet<ObjectKey>,
    doomed: ReadonlySet<ObjectKey>,
  ): void {
    const notMade = [...keys].filter((key) => tracker.pendingUpdates.has(key) && !doomed.has(key));
    declare(owner, before);
    for (const key of notMade) if (tracker.pendingDeletions.has(key)) tracker.gone(key);
    try {
      flush(keys);
    } catch {
      // The next full audit puts right what could not be put back now.
    }
  }

  /** Looks for declared objects; what could not be looked at is in the answer. */
  function look(keys: Iterable<ObjectKey>): Failures {
    const objects = [...keys].flatMap((key) => tracker.wanted(key) ?? []);
    const unreadable: Failures = new Map();
    for (const [driver, ofDriver] of Map.groupBy(objects, (object) => effects.driverOf(object))) {
      for (const [netns, wanted] of Map.groupBy(ofDriver, (object) => object.netns)) {
        const wantedKeys = wanted.map(objectKey);
        try {
          tracker.resync(wantedKeys, driver.find(wanted, netns));
        } catch (thrown) {
          // Another namespace may be gone, which is for its owner to notice; ours cannot be.
          if (netns === undefined && driver.mayBeAway !== true) throw asBerthError(thrown);
          for (const key of wantedKeys) {
            tracker.doubt(key);
            unreadable.set(key, asBerthError(thrown));
          }
        }
      }
    }
    return unreadable;
  }

  function driftOf(key: ObjectKey): Drift {
    const found = tracker.found(key);
    const fields = found === undefined ? [] : differences(tracker.wanted(key)!, found);
    const what = found === undefined ? 'missing' : 'different';
    return { key, owners: tracker.owners(key), what, fields, repaired: false };
  }

  return {
    get doubtful() {
      return doubtful;
    },

    apply(owner, objects) {
      const before = tracker.declaredBy(owner);
      const after = keyed(objects);
      const keys = new Set([...after.keys(), ...before.keys()]);
      const doomed = new Set([...keys].filter((key) => tracker.pendingDeletions.has(key)));
      for (const [key, deletion] of tracker.pendingDeletions) if (deletion.owner === owner) keys.add(key);
      declare(owner, after);
      try {
        flush(keys);
      } catch (thrown) {
        doubtful = true;
        undo(owner, before, keys, doomed);
        throw thrown;
      }
    },

    remove(removals) {
      const keysByOwner = new Map<Owner, Set<ObjectKey>>();
      for (const { owner, known } of removals) {
        const keys = new Set([...tracker.declaredBy(owner).keys(), ...(keysByOwner.get(owner) ?? [])]);
        keysByOwner.set(owner, keys);
        declare(owner, new Map());
        for (const object of known) tracker.condemn(owner, objectKey(object), object);
      }
      // With what an earlier removal for the same owner could not delete.
      for (const [key, { owner }] of tracker.pendingDeletions) keysByOwner.get(owner)?.add(key);
      const all = new Set([...keysByOwner.values()].flatMap((keys) => [...keys]));
      const failures = effects.unmakeEach(pendingDeletions(all));
      // What others still want, they may want otherwise.
      for (const [key, error] of effects.makeEach(pendingUpdates(all))) failures.set(key, error);
      if (failures.size > 0) doubtful = true;
      return removals.map(({ owner }) => {
        const failed = [...keysByOwner.get(owner)!].find((key) => failures.has(key));
        return failed === undefined ? undefined : failures.get(failed);
      });
    },

    declare(owner, objects) {
      declare(owner, keyed(objects));
    },

    audit({ repair, keys }) {
      const looked = new Set(keys ?? tracker.wantedKeys());
      const unreadable = look(looked);
      const drifts = [...looked].filter((key) => tracker.pendingUpdates.has(key)).map(driftOf);
      const errors = new Map(unreadable);
      if (repair) {
        if (keys === undefined) doubtful = false;
        const within = drifts.map(({ key }) => key).filter((key) => !unreadable.has(key));
        for (const [key, error] of effects.makeEach(pendingUpdates(within))) errors.set(key, error);
        // A removal that failed has been reported to whoever asked for it, but it is still to be done.
        if (keys === undefined) effects.unmakeEach(pendingDeletions(tracker.pendingDeletions.keys()));
      }
      return drifts.map((drift) => {
        const error = errors.get(drift.key);
        return error === undefined ? { ...drift, repaired: repair } : { ...drift, error: error.message };
      });
    },

    execute(steps) {
      for (const [index, step] of steps.entries()) {
        const object = 'make' in step ? step.make : step.unmake;
        const key = objectKey(object);
        try {
          if ('make' in step) effects.driverOf(object).make(object);
          else effects.driverOf(object).unmake(object);
        } catch (thrown) {
          doubtful = true;
          tracker.doubt(key);
          const error = asBerthError(thrown);
          const which = `step ${index + 1} of ${steps.length} (${'make' in step ? 'make' : 'remove'} ${key})`;
          throw new BerthError(error.code, `${which}: ${error.message}`, { cause: error });
        }
        if ('make' in step) tracker.made(key, object);
        else tracker.doubt(key);
      }
    },

    declared: (key) => tracker.wanted(key),
    declaredOf: (kind) => [...tracker.wantedKeys()].filter((key) => tracker.wanted(key)!.kind === kind),
    dependents,
    owns(link) {
      const key = objectKey(link);
      const found = tracker.found(key);
      if (madeLinks.has(key)) return true;
      return link.kind === 'link' && found?.kind === 'link' && link.alias !== undefined && link.alias === found.alias;
    },

    close() {
      for (const driver of drivers) driver.close();
    },
  };
}

function keyed(objects: readonly KernelObject[]): Map<ObjectKey, KernelObject> {
  return new Map(objects.map((object) => [objectKey(object), object]));
}
