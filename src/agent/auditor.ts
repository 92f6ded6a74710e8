/** Declared intent against the kernel: at kernel events at once, and all of it in a rolling pass. */

import { pluggedObjects } from '../fabric/plugged.ts';
import { containerLink, hostLink } from '../fabric/veth.ts';
import { makeOrder } from '../kernel/batch.ts';
import type { Drift, Kernel, KernelStep } from '../kernel/kernel.ts';
import { asBerthError } from '../model/errors.ts';
import type { EndpointId } from '../model/ids.ts';
import type { Endpoint } from '../model/network.ts';
import type { Events } from './events.ts';
import type { HostFacts } from './host.ts';
import type { Lifecycle } from './lifecycle.ts';
import type { Metrics } from './metrics.ts';
import { isNamespace } from './occupied.ts';
import type { State } from './state.ts';

export interface AuditTotals {
  readonly lastFullPass: Date | undefined;
  readonly drifts: number;
  readonly repaired: number;
}

export interface Auditor {
  /** Compares everything now. */
  audit(repair: boolean): Promise<readonly Drift[]>;
  /** Compares and mends everything; a failure is told, and the next pass tries again. */
  pass(): Promise<void>;
  totals(): AuditTotals;
  start(): void;
  stop(): void;
}

export interface AuditorParts {
  readonly state: State;
  readonly kernel: Kernel;
  readonly host: HostFacts;
  readonly lifecycle: Lifecycle;
  readonly events: Events;
  readonly metrics: Metrics;
  /** Milliseconds between full passes. */
  readonly interval: number;
}

export function createAuditor(parts: AuditorParts): Auditor {
  const { state, kernel, lifecycle, events, metrics } = parts;
  let timer: NodeJS.Timeout | undefined;
  let passing = false;
  let lastFullPass: Date | undefined;
  let drifts = 0;
  let repaired = 0;

  /** Whether it concerns only containers that have just ended: the engine is about to tell, and then nothing of them is declared. */
  function isOver(drift: Drift): boolean {
    return drift.owners.every((owner) => {
      const sandbox = endpointOf(owner)?.sandbox;
      return sandbox !== undefined && !isNamespace(sandbox);
    });
  }

  function endpointOf(owner: string): Endpoint | undefined {
    if (!owner.startsWith('endpoint/')) return undefined;
    return state.endpoints.get(owner.slice('endpoint/'.length) as EndpointId);
  }

  function report(all: readonly Drift[]): void {
    const found = all.filter((drift) => drift.repaired || !isOver(drift));
    for (const drift of found) {
      drifts += 1;
      if (drift.repaired) repaired += 1;
      metrics.drift(drift.key.split(/[ @]/)[0]!, drift.what, drift.repaired);
      const outcome = drift.repaired
        ? 'and was repaired'
        : `and could not be repaired: ${drift.error ?? 'not asked to'}`;
      const fields = drift.fields
        .map(({ name, declared, found: seen }) => `${name} ${seen} instead of ${declared}`)
        .join(', ');
      events.emit(
        drift.repaired ? 'drift.repaired' : 'drift.found',
        `${drift.key} is ${drift.what}${fields && ` (${fields})`} ${outcome}`,
        {
          key: drift.key,
          owners: drift.owners.join(' '),
        },
      );
    }
    for (const drift of found) if (drift.what === 'missing' && drift.repaired) replugOwner(drift);
  }

  /**
   * A link that was deleted took the container's interface with it. It has been made again, with that interface in the container; what
   * the engine did to it there at the start is done again.
   */
  function replugOwner(drift: Drift): void {
    for (const owner of drift.owners) {
      const endpoint = endpointOf(owner);
      if (endpoint === undefined) continue;
      // One of the two is its link, depending on the network.
      if (![hostLink(endpoint), containerLink(endpoint)].some((name) => drift.key === `link ${name}`)) continue;
      kernel.execute(replugSteps(endpoint)).then(
        () =>
          events.emit(
            'endpoint.replugged',
            `endpoint ${endpoint.id.slice(0, 12)} was plugged into its container again`,
            { endpoint: endpoint.id },
          ),
        (error: unknown) =>
          events.emit(
            'background.failed',
            `cannot plug endpoint ${endpoint.id.slice(0, 12)} into its container again: ${asBerthError(error).message}`,
          ),
      );
    }
  }

  function replugSteps(endpoint: Endpoint): KernelStep[] {
    const network = state.networks.get(endpoint.network);
    if (network === undefined) return [];
    const inside = lifecycle.objectsOfEndpoint(endpoint).filter(({ netns }) => netns === endpoint.sandbox);
    return makeOrder([...pluggedObjects(network, endpoint), ...inside]).map((object) => ({ make: object }));
  }

  async function audit(repair: boolean): Promise<readonly Drift[]> {
    const started = performance.now();
    await parts.host.refresh();
    const found = await kernel.audit({ repair });
    // Who only looks does not want it mended, and the same drift would be counted at each look.
    if (repair) report(found);
    lastFullPass = new Date();
    metrics.fullPass((performance.now() - started) / 1000);
    return found;
  }

  async function pass(): Promise<void> {
    if (passing) return;
    passing = true;
    // The kernel is audited also when the chores fail: they need the store, it does not.
    for (const work of [() => lifecycle.maintain(), () => audit(true)]) {
      await work().catch((error: unknown) => {
        events.emit('audit.failed', `the audit could not be done: ${asBerthError(error).message}`);
      });
    }
    passing = false;
  }

  return {
    audit,
    pass,
    totals: () => ({ lastFullPass, drifts, repaired }),
    start() {
      kernel.onDrift(report);
      timer = setInterval(() => void pass(), parts.interval);
      timer.unref();
    },
    stop: () => clearInterval(timer),
  };
}
