/** What a request changes, worked out from the objects as they are: pure, so that it can be worked out again after a lost race. */

import { BerthError } from '../errors.ts';
import { type Config, checkFields, readFields } from './field.ts';
import type { Allocated, ClusterObject, Kind, Objects } from './kind.ts';
import { keyOf, kindOf, references, targetsOf } from './kinds.ts';

/** An object as it is to be. */
export interface Draft {
  readonly kind: Kind;
  readonly key: string;
  readonly config: Config;
  readonly allocated: Allocated;
  /** What it was; undefined: it is new. */
  readonly existing: ClusterObject | undefined;
}

/**
 * What a body asks for, checked as far as it can be without looking at other objects.
 *
 * @param key from the path; what the body says must lead to the same.
 * @throws BerthError OBJECT_INVALID
 */
export function readBody(kind: Kind, key: string, body: Readonly<Record<string, unknown>>): Config {
  const config = readFields(kind.name, kind.fields, body);
  // There is one of them, and its name need not be repeated.
  const whole = isSingle(kind) && config.name === '' ? { ...config, name: kind.name } : config;
  if (keyOf(kind, whole) !== key) throw new BerthError('OBJECT_INVALID', 'Invalid Key');
  return whole;
}

function isSingle(kind: Kind): boolean {
  return kind.name === 'global' || kind.name === 'aciGw';
}

/**
 * The object that a configuration makes, or makes of the one that there is.
 *
 * @throws BerthError OBJECT_INVALID, OBJECT_CONFLICT, OBJECT_IMMUTABLE, REFERENCE_UNKNOWN, TAGS_EXHAUSTED, CLUSTER_NOT_READY
 */
export function draftPut(kind: Kind, key: string, given: Config, objects: Objects): Draft {
  const existing = objects.get(kind.name, key);
  const asked = isSingle(kind) && existing !== undefined ? fill(given, existing.config) : given;
  const checked = checkFields(kind.fields, asked);
  if (existing === undefined) {
    kind.check?.(checked);
    checkReferences(kind, checked, objects);
    return { kind, key, config: checked, allocated: kind.create?.(checked, objects) ?? {}, existing };
  }
  const config = kind.update(existing, checked, objects);
  kind.check?.(config);
  checkReferences(kind, config, objects);
  return { kind, key, config, allocated: existing.allocated, existing };
}

/** Of the settings of the cluster, those that are not given stay as they are. */
function fill(given: Config, existing: Config): Config {
  return Object.fromEntries(
    Object.entries(given).map(([field, value]) => [field, value === '' ? existing[field]! : value]),
  );
}

function checkReferences(kind: Kind, config: Config, objects: Objects): void {
  for (const reference of references) {
    if (reference.from !== kind.name) continue;
    for (const { name, key } of targetsOf(reference, config)) {
      if (objects.get(reference.to, key) === undefined) {
        throw new BerthError('REFERENCE_UNKNOWN', reference.missing(name, key));
      }
    }
  }
}

/**
 * What goes when an object does: itself, and what is a part of it.
 *
 * @throws BerthError OBJECT_UNKNOWN, OBJECT_IN_USE
 */
export function draftDelete(kind: Kind, key: string, objects: Objects): readonly ClusterObject[] {
  const existing = objects.get(kind.name, key);
  if (existing === undefined) throw new BerthError('OBJECT_UNKNOWN', `${kind.name} not found`);
  const parts: ClusterObject[] = [];
  for (const reference of references) {
    if (reference.to !== kind.name) continue;
    const by = objects.referring(reference, key);
    if (by.length === 0) continue;
    if (reference.inUse !== 'cascade') throw new BerthError('OBJECT_IN_USE', reference.inUse(existing, by));
    parts.push(...by.flatMap((part) => draftDelete(kindOf(part.kind), part.key, objects)));
  }
  kind.delete?.(existing, objects);
  return [existing, ...parts];
}
