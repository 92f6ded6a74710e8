/** What becomes of names, as those who look at Berth are told. */

import type { EndpointId } from '../../model/ids.ts';
import type { Events } from '../events.ts';
import type { Metrics } from '../metrics.ts';
import type { Names } from '../names.ts';

type Via = 'mdns' | 'dns';

export interface NameState {
  readonly via: Via;
  /** In full, such as `web.local`. */
  readonly name: string;
  readonly endpoint: string;
  /** `leaving`: its container is gone, and the server could not be told yet. */
  readonly state: 'pending' | 'registered' | 'conflict' | 'failed' | 'leaving';
  /** The link, or the server. */
  readonly where: string;
  readonly problem?: string;
}

export interface NameReports {
  /** @param where such as `at 192.0.2.53` or `on br0`. */
  registered(via: Via, name: string, endpoint: string, where: string): void;
  removed(via: Via, name: string, endpoint: string): void;
  failed(via: Via, name: string, endpoint: string, problem: string): void;
  conflict(via: Via, name: string, endpoint: string, problem: string): void;
  /** One that is to be repeated; it need not have been told of. */
  attempt(via: Via, outcome: 'failed' | 'conflict'): void;
}

export function createReports(parts: {
  readonly events: Events;
  readonly metrics: Pick<Metrics, 'nameOperation'>;
  readonly names: Pick<Names, 'describe'>;
}): NameReports {
  const { events, metrics, names } = parts;
  const of = (endpoint: string): string => names.describe(endpoint as EndpointId);
  return {
    registered(via, name, endpoint, where) {
      metrics.nameOperation(via, 'registered');
      events.emit('name.registered', `${name} is the name of ${of(endpoint)} ${where}`, { name, endpoint, via });
    },
    removed(via, name, endpoint) {
      metrics.nameOperation(via, 'removed');
      events.emit('name.removed', `${name} is no name of a container here any more`, { name, endpoint, via });
    },
    failed(via, name, endpoint, problem) {
      events.emit('name.failed', `${name} cannot be registered or taken back: ${problem}`, { name, endpoint, via });
    },
    conflict(via, name, endpoint, problem) {
      events.emit('name.conflict', `${of(endpoint)} cannot be called ${name}: ${problem}`, { name, endpoint, via });
    },
    attempt: (via, outcome) => metrics.nameOperation(via, outcome),
  };
}
