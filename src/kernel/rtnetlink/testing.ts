/** For tests: the driver's work as ip, bridge and tc see it, and what every kind of object has to fulfil. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { type Address, parseAddress } from '../../model/address.ts';
import { type Mac, parseMac } from '../../model/mac.ts';
import { type InterfaceAddress, type Prefix, parseInterfaceAddress, parsePrefix } from '../../model/prefix.ts';
import { differences } from '../compare.ts';
import type { ObjectDriver } from '../driver.ts';
import { type KernelObject, objectKey } from '../objects.ts';

export const address = (text: string): Address => parseAddress(text)!;
export const mac = (text: string): Mac => parseMac(text)!;
export const prefix = (text: string): Prefix => parsePrefix(text)!;
export const on = (text: string): InterfaceAddress => parseInterfaceAddress(text)!;

/** Runs a command line; its words are separated by blanks. */
export function run(line: string): string {
  const [program, ...words] = line.split(' ');
  return execFileSync(program!, words, { encoding: 'utf8' });
}

/** One record that iproute2 prints as JSON; it describes its fields nowhere, and the assertions say what is in them. */
// biome-ignore lint/suspicious/noExplicitAny: see above
export type Shown = Readonly<Record<string, any>>;

/** The records that `ip -j`, `bridge -j` or `tc -j` prints. */
export function records(line: string): Shown[] {
  return JSON.parse(run(line) || '[]') as Shown[];
}

/** What differs between the declared object and what the driver finds; `missing` when it finds nothing. */
export function drift(driver: ObjectDriver, object: KernelObject): unknown {
  const found = driver.find([object], object.netns).get(objectKey(object));
  return found === undefined ? 'missing' : differences(object, found);
}

/** Made, found as declared, made again without harm, unmade, not found, unmade again without harm. `there` looks with iproute2. */
export function lifecycle(driver: ObjectDriver, object: KernelObject, there: () => boolean): void {
  const name = objectKey(object);
  assert.equal(drift(driver, object), 'missing', `${name} before`);
  driver.make(object);
  assert.ok(there(), `${name} made`);
  assert.deepEqual(drift(driver, object), [], name);
  driver.make(object);
  assert.deepEqual(drift(driver, object), [], `${name} made again`);
  driver.unmake(object);
  assert.ok(!there(), `${name} unmade`);
  assert.equal(drift(driver, object), 'missing', `${name} unmade`);
  driver.unmake(object);
}
