/** What the measurements on Neutron have in common. */

import type { Host } from '../test/e2e/bed/host.ts';
import type { OpenStack } from '../test/e2e/bed/openstack/openstack.ts';
import type { Context } from './benchmark.ts';

/** Plugins that are measured side by side. */
export interface Variant {
  readonly name: string;
  readonly driver: string;
  /** The first two numbers of its subnets: kuryr looks for subnets by their CIDR in all of Neutron. */
  readonly range: string;
}

export interface Stage {
  readonly stack: OpenStack;
  readonly host: Host;
  readonly image: string;
  readonly variants: readonly Variant[];
  readonly context: Context;
}

/** Samples by variant and by what was measured. */
export type Results = ReadonlyMap<string, ReadonlyMap<string, readonly number[]>>;

/** Waits until Neutron has not been asked for anything for a while: what is done in the background counts, too. */
export async function quiet({ calls }: OpenStack): Promise<void> {
  for (let before = -1; before !== calls.all().length; ) {
    before = calls.all().length;
    await calls.settled(120_000);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
