/** The agent as tests of faults see it: its API, its plugin sockets without an engine between, and starts that must fail. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { EndpointView, HealthView, LeaseView, NetworkView, StatusView } from '../../../src/agent/api.ts';
import { call, type Reply } from '../../../src/docker/testing/client.ts';
import type { Host } from '../bed/host.ts';
import { repository } from '../bed/machine.ts';
import { waitFor } from '../bed/process.ts';

/** What the agent's API answers to a path of `src/agent/api.ts`. */
interface Answers {
  '/v1/status': StatusView;
  '/v1/networks': readonly NetworkView[];
  '/v1/endpoints': readonly EndpointView[];
  '/v1/leases': readonly LeaseView[];
  '/health': HealthView;
}

export async function ask<Path extends keyof Answers>(host: Host, path: Path): Promise<Answers[Path]> {
  const { status, body } = await host.berthApi(path);
  assert.ok(status === 200 || path === '/health', body);
  return JSON.parse(body) as Answers[Path];
}

/** A plugin call without an engine: how long it took, in milliseconds, and what came. */
export async function pluginCall(
  host: Host,
  method: string,
  body: unknown,
  plugin = 'berth',
): Promise<Reply & { readonly milliseconds: number }> {
  const before = performance.now();
  const reply = await call(host.path(`/run/docker/plugins/${plugin}.sock`), method, body);
  return { ...reply, milliseconds: performance.now() - before };
}

/**
 * Does damage that the agent must mend within two seconds. That the machine was busy for a moment is not held against it: of three
 * attempts one counts.
 *
 * @param mended waits until all is well, for as long as that takes.
 */
export async function mendedInTime(damage: () => Promise<unknown>, mended: () => Promise<unknown>): Promise<void> {
  const took: string[] = [];
  while (took.length < 3) {
    await damage();
    const broken = performance.now();
    await mended();
    const seconds = (performance.now() - broken) / 1000;
    if (seconds < 2.5) return;
    took.push(`${seconds.toFixed(2)} s`);
  }
  assert.fail(`it took ${took.join(', ')}, the look itself included`);
}

/** Starts an agent, perhaps a second one, that must end by itself: its exit code, and what it wrote. */
export async function failingStart(
  host: Host,
  flags: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<{ readonly code: number; readonly output: string }> {
  const command = [join(repository, 'bin/berth'), 'agent', ...flags];
  const { code, stdout, stderr } = await host.exec(command, { env, check: false, timeout: 20_000 });
  return { code, output: stdout + stderr };
}

/** Two lines: what failed and why, and what to do next. No stack trace, no log. */
export function assertPlainError(output: string, sentence: RegExp): void {
  const lines = output.trimEnd().split('\n');
  assert.equal(lines.length, 2, output);
  assert.match(lines[0]!, /^berth: /);
  assert.match(lines[0]!, sentence);
  assert.match(lines[1]!, /^ {2}next: \S/);
}

/** Waits until exactly these containers have an endpoint, and exactly these addresses a lease besides gateways. */
export async function settled(host: Host, containers: readonly string[], addresses: readonly string[]): Promise<void> {
  const wanted = JSON.stringify([containers.toSorted(), addresses.toSorted()]);
  let seen = '';
  await waitFor(
    () => `the records to be ${wanted}, not ${seen}`,
    async () => {
      const [endpoints, leases] = await Promise.all([ask(host, '/v1/endpoints'), ask(host, '/v1/leases')]);
      seen = JSON.stringify([
        endpoints.map(({ container, id, phase }) => container ?? `${id.slice(0, 12)} ${phase}`).toSorted(),
        leases
          .filter(({ kind }) => kind !== 'gateway')
          .map(({ address }) => address)
          .toSorted(),
      ]);
      return seen === wanted;
    },
    30_000,
    50,
  );
}
