/** Sentences about bridges of Open vSwitch that are not there. */

import { BerthError } from '../model/errors.ts';
import type { Bridge } from './switches.ts';

/** `it has ovsbr0, ovsbr1`: for whoever mistyped a name. */
export function listBridges(bridges: readonly Pick<Bridge, 'name'>[]): string {
  const names = bridges.map(({ name }) => name).toSorted();
  return names.length === 0 ? 'it has none' : `it has ${names.join(', ')}`;
}

export function noSuchBridge(name: string, bridges: readonly Pick<Bridge, 'name'>[]): BerthError {
  return new BerthError(
    'OVS_BRIDGE_UNKNOWN',
    `Open vSwitch on this host has no bridge ${name}: ${listBridges(bridges)}`,
  );
}
