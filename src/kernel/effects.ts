/** Makes and removes objects in order, as few driver calls as possible, and tells the tracker what came of each. */

import { existsSync } from 'node:fs';
import { asBerthError, BerthError } from '../model/errors.ts';
import { carrier, goWithTheirLink, makeOrder, place, unmakeOrder } from './batch.ts';
import type { ObjectDriver } from './driver.ts';
import { type KernelObject, type ObjectKey, type ObjectKind, objectKey } from './objects.ts';

/** Where the outcome of each effect is written down. */
export interface Ledger {
  made(key: ObjectKey, object: KernelObject): void;
  gone(key: ObjectKey): void;
  doubt(key: ObjectKey): void;
}

export type Failures = Map<ObjectKey, BerthError>;

export interface Effects {
  driverOf(object: KernelObject): ObjectDriver;
  /** Stops at the first that fails. @throws BerthError naming it */
  make(objects: Iterable<KernelObject>): void;
  /** Goes on when one fails. */
  makeEach(objects: Iterable<KernelObject>): Failures;
  /** Goes on when one fails. */
  unmakeEach(objects: Iterable<KernelObject>): Failures;
}

export function createEffects(drivers: readonly ObjectDriver[], ledger: Ledger): Effects {
  const byKind = new Map<ObjectKind, ObjectDriver>();
  for (const driver of drivers) for (const kind of driver.kinds) byKind.set(kind, driver);

  function driverOf(object: KernelObject): ObjectDriver {
    const driver = byKind.get(object.kind);
    if (driver === undefined) throw new BerthError('INTERNAL', `nobody drives kernel objects of kind ${object.kind}`);
    return driver;
  }

  function makeOne(object: KernelObject): void {
    const key = objectKey(object);
    try {
      driverOf(object).make(object);
    } catch (thrown) {
      ledger.doubt(key);
      throw asBerthError(thrown);
    }
    ledger.made(key, object);
  }

  function makeTogether(driver: ObjectDriver, objects: readonly KernelObject[]): boolean {
    if (objects.length === 1 || driver.makeAll === undefined) return false;
    try {
      driver.makeAll(objects);
    } catch {
      return false;
    }
    for (const object of objects) ledger.made(objectKey(object), object);
    return true;
  }

  function unmakeOne(object: KernelObject, failures: Failures): void {
    const key = objectKey(object);
    try {
      driverOf(object).unmake(object);
    } catch (thrown) {
      // With its namespace, everything in it is gone.
      if (object.netns === undefined || existsSync(object.netns)) {
        failures.set(key, asBerthError(thrown));
        return;
      }
    }
    ledger.gone(key);
  }

  function unmakeTogether(driver: ObjectDriver, objects: readonly KernelObject[]): boolean {
    if (objects.length === 1 || driver.unmakeAll === undefined) return false;
    try {
      driver.unmakeAll(objects);
    } catch {
      return false;
    }
    for (const object of objects) ledger.gone(objectKey(object));
    return true;
  }

  function unmakeInOrder(objects: Iterable<KernelObject>, failures: Failures): void {
    for (const run of runs(unmakeOrder(objects), driverOf)) {
      // What fails together is tried one by one, to learn which it is.
      if (!unmakeTogether(run.driver, run.objects)) for (const object of run.objects) unmakeOne(object, failures);
    }
  }

  return {
    driverOf,

    make(objects) {
      for (const run of runs(makeOrder(objects), driverOf)) {
        if (!makeTogether(run.driver, run.objects)) for (const object of run.objects) makeOne(object);
      }
    },

    makeEach(objects) {
      const failures: Failures = new Map();
      for (const run of runs(makeOrder(objects), driverOf)) {
        if (makeTogether(run.driver, run.objects)) continue;
        for (const object of run.objects) {
          try {
            makeOne(object);
          } catch (thrown) {
            failures.set(objectKey(object), asBerthError(thrown));
          }
        }
      }
      return failures;
    },

    unmakeEach(objects) {
      const failures: Failures = new Map();
      const all = [...objects];
      const implied = goWithTheirLink(all);
      const explicit = all.filter((object) => !implied.has(object));
      unmakeInOrder(explicit, failures);
      const stuck = new Set<string>();
      for (const object of explicit) {
        if (object.kind === 'link' && failures.has(objectKey(object))) stuck.add(place(object, object.name));
      }
      const stayed = [...implied].filter((object) => stuck.has(place(object, carrier(object)!)));
      unmakeInOrder(stayed, failures);
      for (const object of implied) if (!failures.has(objectKey(object))) ledger.gone(objectKey(object));
      return failures;
    },
  };
}

interface Run {
  readonly driver: ObjectDriver;
  readonly objects: KernelObject[];
}

/** Consecutive objects of one driver and namespace, which it may take together. */
function runs(objects: readonly KernelObject[], driverOf: (object: KernelObject) => ObjectDriver): Run[] {
  const found: Run[] = [];
  for (const object of objects) {
    const driver = driverOf(object);
    const last = found.at(-1);
    if (last?.driver === driver && last.objects[0]!.netns === object.netns) last.objects.push(object);
    else found.push({ driver, objects: [object] });
  }
  return found;
}
