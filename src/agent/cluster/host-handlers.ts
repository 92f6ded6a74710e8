/** What the agent's API says of the hosts of the cluster, and does about them. */

import { BerthError } from '../../model/errors.ts';
import { nearest } from '../../model/nearest.ts';
import type { Store } from '../../store/store.ts';
import type { ApiHandler } from '../api-server.ts';
import type { Cluster } from './cluster.ts';
import { removeHost } from './host-removal.ts';
import { hostView } from './host-views.ts';

export interface HostHandlerParts {
  /** Absent: this host is alone. */
  readonly cluster: Pick<Cluster, 'host' | 'hosts'> | undefined;
  /** That all hosts share. */
  readonly store: Store;
}

export function hostHandlers({ cluster, store }: HostHandlerParts): Readonly<Record<string, ApiHandler>> {
  const member = () => {
    if (cluster !== undefined) return cluster;
    throw new BerthError(
      'CLUSTER_ABSENT',
      'this host is in no cluster: its agent keeps all state in a file of its own',
    );
  };
  const views = () =>
    member()
      .hosts()
      .map((host) => hostView(host, member().host));
  const find = (name: string) => {
    const all = views();
    const found = all.find((host) => host.name === name);
    if (found !== undefined) return found;
    const like = nearest(
      name,
      all.map((host) => host.name),
    );
    throw new BerthError(
      'HOST_UNKNOWN',
      `there is no host '${name.slice(0, 64)}' in the cluster${like.length === 0 ? '' : `; did you mean ${like.join(' or ')}?`}`,
    );
  };

  return {
    'GET hosts': ({ path }) => Promise.resolve(path[1] === undefined ? views() : find(path[1])),
    'DELETE hosts': async ({ path }) => {
      if (path[1] === undefined) throw new BerthError('UNKNOWN_METHOD', 'a host is removed by its name');
      const host = find(path[1]);
      return { ...host, removed: await removeHost(store, host.name) };
    },
  };
}
