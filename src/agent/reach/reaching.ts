/** What `berth ping` and `berth test` need of the agent, put together. */

import type { Kernel } from '../../kernel/kernel.ts';
import { reach } from '../../kernel/reach/reach.ts';
import { formatAddress } from '../../model/address.ts';
import type { Store } from '../../store/store.ts';
import type { Auditor } from '../auditor.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { createJobs } from '../cluster/jobs.ts';
import type { Events } from '../events.ts';
import type { HostFacts } from '../host.ts';
import type { Lifecycle } from '../lifecycle.ts';
import type { Names } from '../names.ts';
import type { State } from '../state.ts';
import { createParties, type Parties } from './parties.ts';
import { createPing, type Ping } from './ping.ts';

export interface Reaching {
  readonly parties: Parties;
  readonly ping: Ping;
  /** Does what other agents ask, from now on. */
  start(): void;
  close(): Promise<void>;
}

export interface ReachingParts {
  /** What this host is called. */
  readonly host: string;
  /** Absent: this host is alone. */
  readonly cluster: Cluster | undefined;
  /** That all hosts share. */
  readonly store: Store;
  readonly state: State;
  readonly names: Names;
  readonly lifecycle: Lifecycle;
  readonly kernel: Kernel;
  readonly hostFacts: HostFacts;
  readonly auditor: Auditor;
  readonly events: Events;
}

export function createReaching(parts: ReachingParts): Reaching {
  const { host, cluster, store, state, names, events } = parts;
  const stop = new AbortController();
  let following: Promise<void> = Promise.resolve();
  const jobs =
    cluster === undefined
      ? undefined
      : createJobs({ store, host, events, perform: (request) => ping.perform(request) });
  const ping = createPing({
    ...parts,
    reach,
    jobs,
    vtep() {
      const vtep = cluster?.view.vtep;
      return vtep === undefined ? undefined : formatAddress(vtep);
    },
  });
  return {
    parties: createParties({ host, state, names, cluster, store }),
    ping,
    start() {
      if (jobs !== undefined) following = jobs.follow(stop.signal);
    },
    async close() {
      stop.abort();
      await following;
    },
  };
}
