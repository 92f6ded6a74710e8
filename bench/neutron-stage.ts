/** What the measurements on Neutron have in common. */

import { writeFileSync } from 'node:fs';
import type { Host } from '../test/e2e/bed/host.ts';
import type { OpenStack } from '../test/e2e/bed/openstack/openstack.ts';
import { kuryrConf } from '../test/e2e/suites/neutron.ts';
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

/** Milliseconds that each call takes longer, where that is measured. */
export const LATENCY = 100;
/** How many are started at once, unless the user says otherwise. */
export const CONTAINERS = 50;

/** Milliseconds: the original makes 800 calls for 50 containers. */
export const PATIENCE = 600_000;

/** @throws what the engine says. */
export async function ask(
  { host }: Stage,
  path: string,
  method: 'POST' | 'DELETE' = 'POST',
  body?: object,
): Promise<void> {
  const { status, body: said } = await host.api(path, { method, timeout: PATIENCE, ...(body && { body }) });
  if (status >= 300) throw new Error(`${method} ${path}: ${status} ${said}`);
}

export async function startAgent(host: Host, stack: OpenStack, flags: readonly string[] = []): Promise<void> {
  writeFileSync(host.path('/etc/kuryr.conf'), kuryrConf(stack), { mode: 0o600 });
  const own = ['--plugins', 'berth-neutron=neutron', '--kuryr-conf', '/etc/kuryr.conf', '--log-level', 'warn'];
  await host.startBerth([...own, ...flags], {}, { plugins: ['berth-neutron'] });
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
