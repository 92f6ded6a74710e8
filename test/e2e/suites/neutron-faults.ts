/** Making and unmaking things of Neutron, on several hosts at once, while each call in turn fails in each way. */

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Bed } from '../bed/bed.ts';
import type { Host } from '../bed/host.ts';
import { type Attempt, atEveryCall, type Disturbance, everyFault, type Fault } from '../bed/openstack/calls.ts';
import { type OpenStack, startOpenStack } from '../bed/openstack/openstack.ts';
import { waitFor } from '../bed/process.ts';
import { type EngineCalls, type EngineNetwork, engineCalls, type WantedNetwork } from './engine-calls.ts';
import { neutronHost, warmUp } from './neutron.ts';
import { agree, type Holdings, nothing } from './neutron-agreement.ts';

/** A host whose calls are known by its address. */
export interface FaultyHost {
  /** From 1. */
  readonly number: number;
  readonly host: Host;
  readonly address: string;
  readonly engine: EngineCalls;
}

export interface FaultyBed {
  readonly stack: OpenStack;
  readonly hosts: readonly [FaultyHost, ...FaultyHost[]];
}

/**
 * One Neutron; hosts without engines: one would say that it knows nothing of all this.
 *
 * @param conf of kuryr.conf, in [neutron].
 */
export async function faultyBed(
  bed: Bed,
  count: number,
  // What is not answered within 9 s has a test of its own.
  conf: Readonly<Record<string, string>> = { timeout: '5' },
): Promise<FaultyBed> {
  const lan = await bed.lan({ name: 'management', subnet: '10.8.65.0/24', gateway: '10.8.65.1' });
  const numbers = Array.from({ length: count }, (_, index) => index + 1);
  const hosts = numbers.map((number) => `h${number}`);
  const stack = await startOpenStack({ on: { bed, lan, address: '10.8.65.11' }, hosts });
  await warmUp(stack);
  const started = await Promise.all(
    numbers.map(async (number): Promise<FaultyHost> => {
      const address = `10.8.65.${80 + number}`;
      const host = await neutronHost(bed, lan, `h${number}`, `${address}/24`, stack, { start: false, conf });
      return { number, host, address, engine: engineCalls(host) };
    }),
  );
  return { stack, hosts: started as [FaultyHost, ...FaultyHost[]] };
}

/** What a user reads: one line that says who it was. */
export function assertTold(error: unknown): true {
  assert.ok(error instanceof Error && !(error instanceof assert.AssertionError), String(error));
  assert.match(error.message, /Neutron|Keystone/);
  assert.doesNotMatch(error.message, /\n|undefined|\[object/);
  return true;
}

/** As a user does who was told of an error: again, until it works. Where Neutron was away, that is found out within seconds. */
export async function untilItWorks<Result>(work: () => Promise<Result>): Promise<Result> {
  let said: unknown;
  let result: { readonly is: Result } | undefined;
  await waitFor(
    () => `it to work again: ${String(said)}`,
    async () => {
      try {
        result = { is: await work() };
        return true;
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error;
        said = error;
        return false;
      }
    },
    30_000,
    200,
  );
  return result!.is;
}

/** Every way in which one call fails; slowly, which is no fault yet; and for longer than it is repeated. */
export const disturbances: readonly Disturbance[] = [
  ...[...everyFault, { kind: 'delay', ms: 2000 } satisfies Fault].map((fault) => ({ fault })),
  { fault: { kind: 'answer', status: 503 }, times: 5 },
];
/** One each of what ends otherwise: it may have been done, it was and nobody hears so, nothing is heard, half is heard. */
const kinds: readonly Disturbance[] = [
  { fault: { kind: 'answer', status: 500 } },
  { fault: { kind: 'cut', when: 'after' } },
  { fault: { kind: 'freeze', when: 'before' } },
  { fault: { kind: 'half' } },
];
/** Calls that have failed in every way: how each way is told from the others is the same wherever the call is made. */
const tried = new Set<string>();
function disturbancesOf(operation: string): readonly Disturbance[] {
  if (tried.has(operation)) return kinds;
  tried.add(operation);
  return disturbances;
}

/** Something that one asks for, and what takes it back. */
export interface Undertaking<Made> {
  make(): Promise<Made>;
  unmake(made: Made): Promise<void>;
  /** What there is besides. */
  readonly rest: Holdings;
  /** That what was there before is as it was. */
  check?(): Promise<void>;
}

/** Makes and unmakes it with a fault in between; Docker is told of an error or not, but it is as if nothing had been. */
export async function throughout<Made>(
  context: TestContext,
  { stack, hosts }: FaultyBed,
  of: (host: FaultyHost) => Undertaking<Made>,
): Promise<void> {
  const told = { well: 0, failed: 0 };
  const lanes = hosts.map((on) => {
    const { make, unmake, rest, check } = of(on);
    const agreed = async () => {
      await agree(stack, on.host, rest, { written: true });
      await check?.();
    };
    const undisturbed = async () => {
      await unmake(await untilItWorks(make));
      await agreed();
    };
    return {
      filter: { service: 'neutron', from: on.address } as const,
      undisturbed,
      disturbed: async ({ injection, isLast }: Attempt) => {
        let made: { readonly is: Made } | undefined;
        let tries = 0;
        // After the fault before it, Neutron may not be asked at first.
        while (made === undefined && injection.hits.length === 0) {
          try {
            made = { is: await make() };
          } catch (error) {
            assertTold(error);
            assert.ok(++tries < 100, `Neutron is not asked: ${String(error)}`);
            if (injection.hits.length === 0) await delay(100);
          }
        }
        if (made !== undefined) await unmake(made.is);
        await injection.hit();
        await agreed();
        injection.remove();
        told[made === undefined ? 'failed' : 'well']++;
        // Nothing of it stands in the way of the next.
        if (isLast) await undisturbed();
      },
    };
  });
  const calls = await atEveryCall(stack.calls, disturbancesOf, lanes as [(typeof lanes)[0], ...typeof lanes]);
  for (const on of hosts) await agree(stack, on.host, of(on).rest);
  context.diagnostic(
    `${told.well + told.failed} faults, of which Docker was told of ${told.failed}: ${calls.join(', ')}`,
  );
}

export const oneNetwork: Holdings = { networks: 1, containers: 0 };

/** A network on each host that stands while `work` goes on. */
export async function withNetworks(
  { stack, hosts }: FaultyBed,
  wanted: (on: FaultyHost) => WantedNetwork,
  work: (network: (on: FaultyHost) => EngineNetwork) => Promise<void>,
): Promise<void> {
  const networks = new Map<FaultyHost, EngineNetwork>();
  for (const on of hosts) networks.set(on, await untilItWorks(() => on.engine.createNetwork(wanted(on))));
  try {
    await work((on) => networks.get(on)!);
  } finally {
    stack.calls.heal();
    for (const on of hosts) await on.engine.removeNetwork(networks.get(on)!);
    for (const { host } of hosts) await agree(stack, host, nothing);
  }
}

/** An object of Neutron's without what every change changes. */
export async function asItIs(stack: OpenStack, path: string): Promise<unknown> {
  const {
    revision_number: _revision,
    updated_at: _time,
    ...rest
  } = await stack.neutron.get<Record<string, unknown>>(path);
  return rest;
}

/** A network of Docker's. @param check that what was there before is as it was. */
export const networkOn = (
  { engine }: FaultyHost,
  wanted: WantedNetwork,
  check: () => Promise<void> = () => Promise.resolve(),
): Undertaking<EngineNetwork> => ({
  make: () => engine.createNetwork(wanted),
  unmake: (network) => engine.removeNetwork(network),
  rest: nothing,
  check,
});
