/**
 * Names across hosts: in each container on a network of the cluster, questions to the engine's resolver (127.0.0.11) are heard first here.
 * What only other hosts know is answered; the rest goes to the engine's resolver as it came, and back.
 *
 * Being one of the upstreams of that resolver would be less, but is not to be had: it asks them from the host's own namespace (engines from 28 on,
 * and any with a resolver on the host), so that nobody could tell who asks; not at all for internal networks (from 25.0.5 on); and only those of
 * `--dns` where that is given. Who asks from within a container cannot be mistaken, and needs no setting. When the agent ends, however
 * it ends, the kernel takes the redirection away (`kernel/resolver/table.ts`): then remote names are not known, and all else is as it was.
 */

import { createSocket } from 'node:dgram';
import { closeSync, existsSync } from 'node:fs';
import { createServer, Socket } from 'node:net';
import type { DomainName } from '../../dns/name.ts';
import { type Datagrams, relayDatagrams } from '../../dns/server/datagrams.ts';
import type { Known } from '../../dns/server/respond.ts';
import { relayStreams, type Streams } from '../../dns/server/streams.ts';
import { type ClusterMember, clusterOf } from '../../fabric/cluster/settings.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { asBerthError } from '../../model/errors.ts';
import type { ClusterEndpoint } from '../../objects/codec.ts';
import type { Events } from '../events.ts';
import type { State } from '../state.ts';
import { indexNames, type NameIndex } from './name-index.ts';

export interface ClusterNames {
  /** Paths of the namespaces in which questions are heard. */
  served(): readonly string[];
  close(): Promise<void>;
}

export interface ClusterNamesParts {
  /** What this host is called in the cluster. */
  readonly host: string;
  /** Of all hosts, as far as they are known. */
  endpointsOn(network: string): readonly ClusterEndpoint[];
  onEndpoints(listener: (network: string) => void): void;
  readonly state: Pick<State, 'endpoints' | 'networks' | 'onChange'>;
  readonly kernel: Pick<Kernel, 'beforeResolver' | 'resolverStream'>;
  readonly events: Pick<Events, 'emit'>;
  /** Milliseconds of a clock that nobody sets. */
  monotonic(): number;
}

/** One container's. */
interface Post {
  /** The networks of the cluster that it is on, the oldest first. */
  networks: readonly ClusterMember[];
  open?: { readonly datagrams: Datagrams; readonly streams: Streams; readonly redirection: number };
  /** Why it could not be opened, as told. */
  problem?: string;
  retry?: NodeJS.Timeout;
}

/** As in moby `libnetwork/sandbox_dns_unix.go`. */
const RESOLVER = { address: '127.0.0.11', port: 53 } as const;
/** Milliseconds: the engine waits for what else is to be done of a change, and its container needs longer to start. */
const SETTLE = 5;
/** Milliseconds: older engines (20.10) make the namespace after Join only. Later it is hardly worth it. */
const RETRIES = [10, 20, 50, 200, 1000, 5000, 60_000] as const;
/** A large network's names are put in order anew at most this share of the time, however fast it changes. */
const INDEX_SHARE = 20;

/** Serves from now on; also the containers that run already, as after a restart. */
export function serveClusterNames(parts: ClusterNamesParts): ClusterNames {
  const { host, state, kernel, events, monotonic } = parts;
  /** By path of the container's network namespace. */
  const posts = new Map<string, Post>();
  const indices = new Map<
    string,
    { index: NameIndex; stale: boolean; readonly built: number; readonly cost: number }
  >();
  let soon: NodeJS.Timeout | undefined;
  let closed = false;

  parts.onEndpoints((network) => {
    const known = indices.get(network);
    if (known !== undefined) known.stale = true;
  });
  state.onChange(() => {
    soon ??= setTimeout(compare, SETTLE).unref();
  });

  function indexOf(network: string): NameIndex {
    const known = indices.get(network);
    const now = monotonic();
    if (known !== undefined && (!known.stale || now - known.built < known.cost * INDEX_SHARE)) return known.index;
    const index = indexNames(network, host, parts.endpointsOn(network));
    const built = monotonic();
    indices.set(network, { index, stale: false, built, cost: built - now });
    return index;
  }

  const lookup =
    (post: Post) =>
    (name: DomainName): Known | undefined => {
      for (const { network, group } of post.networks) {
        const known = indexOf(network).find(name, group);
        if (known !== undefined) return known;
      }
      return undefined;
    };

  /** The networks of each container here. */
  function wanted(): ReadonlyMap<string, readonly ClusterMember[]> {
    const found = new Map<string, ClusterMember[]>();
    const endpoints = [...state.endpoints.values()].toSorted((a, b) => a.createdAt - b.createdAt);
    for (const endpoint of endpoints) {
      const network = state.networks.get(endpoint.network);
      const member = network === undefined ? undefined : clusterOf(network);
      // Attachments are none of the engine's networks: whoever has one need not have the engine's resolver.
      if (member === undefined || endpoint.phase !== 'attached' || endpoint.attachment !== undefined) continue;
      if (endpoint.sandbox === undefined) continue;
      const networks = found.get(endpoint.sandbox) ?? [];
      if (!networks.includes(member)) networks.push(member);
      found.set(endpoint.sandbox, networks);
    }
    return found;
  }

  function compare(): void {
    soon = undefined;
    if (closed) return;
    const now = wanted();
    for (const [sandbox, post] of posts) {
      const networks = now.get(sandbox);
      if (networks !== undefined) post.networks = networks;
      else {
        posts.delete(sandbox);
        void leave(post);
      }
    }
    const used = new Set([...now.values()].flat().map(({ network }) => network));
    for (const network of indices.keys()) if (!used.has(network)) indices.delete(network);
    for (const [sandbox, networks] of now) {
      if (posts.has(sandbox)) continue;
      const post: Post = { networks };
      posts.set(sandbox, post);
      void take(sandbox, post, 0);
    }
  }

  async function take(sandbox: string, post: Post, attempt: number): Promise<void> {
    const current = (): boolean => !closed && posts.get(sandbox) === post;
    try {
      const sockets = await kernel.beforeResolver(sandbox);
      const [asked, onward] = [createSocket('udp4'), createSocket('udp4')];
      asked.bind({ fd: sockets.datagrams });
      onward.bind({ fd: sockets.onward });
      const server = createServer().listen({ fd: sockets.streams });
      post.open = {
        redirection: sockets.redirection,
        datagrams: relayDatagrams({ asked, onward, next: RESOLVER, lookup: lookup(post), monotonic }),
        streams: relayStreams({
          server,
          lookup: lookup(post),
          onward: async () => new Socket({ fd: await kernel.resolverStream(sandbox) }),
        }),
      };
      if (!current()) await leave(post);
    } catch (error) {
      if (!current()) return;
      const { code, message } = asBerthError(error);
      const wait = RETRIES[code === 'KERNEL_LACKS' ? RETRIES.length - 1 : Math.min(attempt, RETRIES.length - 1)]!;
      // One that is gone is known to be gone soon.
      if (post.problem !== message && wait >= 1000 && existsSync(sandbox)) {
        post.problem = message;
        events.emit('names.failed', `a container cannot ask for containers of other hosts by name: ${message}`, {
          sandbox,
        });
      }
      post.retry = setTimeout(() => void take(sandbox, post, attempt + 1), wait).unref();
    }
  }

  async function leave(post: Post): Promise<void> {
    clearTimeout(post.retry);
    const { open } = post;
    if (open === undefined) return;
    delete post.open;
    // First: what is asked from now on goes elsewhere.
    closeSync(open.redirection);
    open.streams.close();
    await open.datagrams.close();
  }

  compare();
  return {
    served: () => [...posts].flatMap(([sandbox, { open }]) => (open === undefined ? [] : [sandbox])),
    async close() {
      closed = true;
      clearTimeout(soon);
      const all = [...posts.values()];
      posts.clear();
      await Promise.all(all.map(leave));
    },
  };
}
