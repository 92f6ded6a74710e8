/**
 * Who is about to start: to which container an endpoint belongs that is being made. A plugin call does not say, and must not
 * ask; so this knows beforehand which containers there are, and looks at which of them the engine has mounted.
 */

import { randomUUID } from 'node:crypto';
import type { Engine, ListedContainer } from '../../docker/engine.ts';
import type { DhcpSource } from '../../fabric/fabric.ts';
import type { EndpointId, NetworkId } from '../../model/ids.ts';
import type { Mac } from '../../model/mac.ts';
import type { Network } from '../../model/network.ts';
import type { Names } from '../names.ts';
import type { Book } from './book.ts';
import { candidates, choose, identityOf, isOn } from './containers.ts';
import type { Identity } from './identity.ts';
import { isMounted } from './mounts.ts';
import type { DhcpLease } from './record.ts';

export interface Who {
  readonly identity: Identity;
  readonly container?: ListedContainer;
  /** Several came into question, and none could be told from the others. */
  readonly unsure: boolean;
}

export interface Observer {
  /** @param wish.name the container's name, from the engines that tell it. */
  identify(
    network: Network,
    source: DhcpSource,
    wish: { readonly name?: string; readonly mac?: Mac; readonly endpoint?: EndpointId },
  ): Promise<Who>;
  /**
   * Asks the engine what containers there are, and once more when there is news meanwhile. Never within a plugin call.
   *
   * @throws BerthError ENGINE_UNREACHABLE
   */
  look(): Promise<void>;
  /** Whether there was such a container at the last look, and it was on the network, running or not. */
  isOn(container: string, network: NetworkId): boolean;
  /** Where a container's root file system is mounted, as far as is known. */
  root(container: string): string | undefined;
}

export interface ObserverParts {
  readonly engine: Pick<Engine, 'containers' | 'container'>;
  readonly book: Book;
  readonly names: Names;
  /** Networks whose containers are of interest. */
  networks(): readonly NetworkId[];
  /** Whether a container uses a lease, in truth. */
  isUsed(lease: DhcpLease): boolean;
  readonly mountPoints: () => ReadonlySet<string>;
}

/** How long is waited for the engine to tell what containers there are, when it has been asked. Milliseconds. */
const PATIENCE = 300;

export function createObserver(parts: ObserverParts): Observer {
  const { engine, book, names } = parts;
  let containers: readonly ListedContainer[] = [];
  let listed = false;
  let looking: Promise<void> | undefined;
  let again = false;
  /** By container; undefined where the engine does not tell. */
  const roots = new Map<string, string | undefined>();

  async function list(): Promise<void> {
    containers = await engine.containers();
    listed = true;
    const ids = new Set(containers.map(({ id }) => id));
    for (const id of roots.keys()) if (!ids.has(id)) roots.delete(id);
    const networks = parts.networks();
    const unknown = containers.filter(
      (one) => !roots.has(one.id) && networks.some((network) => isOn(one, network, names.network(network))),
    );
    // One that is being started is answered for only when it has started.
    await Promise.all(
      unknown.map(async ({ id }) => {
        const found = await engine.container(id).catch(() => undefined);
        if (found !== undefined) roots.set(id, found.root);
      }),
    );
  }

  /** The containers of a network that use a lease, or had one, as far as is known. */
  function withLease(network: NetworkId, used: boolean): ReadonlySet<string> {
    const leases = book.all().filter((lease) => lease.network === network && parts.isUsed(lease) === used);
    return new Set(leases.flatMap(({ container }) => container ?? []));
  }

  function rootOf(container: string): string | undefined {
    return roots.get(container) ?? book.all().find((lease) => lease.container === container)?.root;
  }

  /** Before the engine has answered, as when it starts its containers after a reboot: those that had a lease. */
  function known(network: NetworkId): readonly ListedContainer[] {
    if (listed) return containers;
    return [...withLease(network, false)].map((id) => ({
      id,
      name: '',
      running: false,
      networks: [{ key: network, id: network }],
    }));
  }

  /** Those that are being started, where that can be seen. */
  function starting(waiting: readonly ListedContainer[]): readonly ListedContainer[] {
    if (waiting.length === 0) return waiting;
    const points = parts.mountPoints();
    const seen = (id: string): boolean => {
      const root = rootOf(id);
      return isMounted({ id, ...(root === undefined ? {} : { root }) }, points);
    };
    const mounted = waiting.filter(({ id }) => seen(id));
    if (mounted.length > 0) return mounted;
    // None of them: that is worth something only where mounts of containers are seen at all.
    const sees = containers.some(({ id, running }) => running && rootOf(id) !== undefined && seen(id));
    return sees ? waiting.filter(({ id }) => rootOf(id) === undefined) : waiting;
  }

  return {
    isOn(container, network) {
      const found = containers.find(({ id }) => id === container);
      const name = names.network(network);
      // As long as the network's name is not known, nobody can tell.
      return found !== undefined && (name === undefined || isOn(found, network, name));
    },
    root: rootOf,

    look() {
      if (looking !== undefined) {
        again = true;
        return looking;
      }
      looking = (async () => {
        do {
          again = false;
          await list();
        } while (again);
      })().finally(() => {
        looking = undefined;
      });
      return looking;
    },

    async identify({ id }, source, wish) {
      if (looking !== undefined) {
        const { promise, resolve } = Promise.withResolvers<void>();
        const timer = setTimeout(resolve, PATIENCE);
        await Promise.race([looking.catch(() => undefined), promise]);
        clearTimeout(timer);
      }
      const named = wish.name === undefined ? undefined : containers.find(({ name }) => name === wish.name);
      const waiting = candidates(known(id), id, names.network(id), withLease(id, true), withLease(id, false));
      const narrowed = starting(waiting);
      const container = named ?? choose(narrowed);
      const found = { unsure: false, ...(container === undefined ? {} : { container }) };
      if (source.identity !== undefined) return { identity: { kind: 'name', name: source.identity }, ...found };
      if (wish.mac !== undefined) return { identity: { kind: 'mac', mac: wish.mac }, ...found };
      if (container !== undefined) return { identity: identityOf(container), ...found };
      if (wish.name !== undefined) return { identity: { kind: 'container', name: wish.name }, unsure: false };
      const passing = wish.endpoint ?? randomUUID().replaceAll('-', '');
      return { identity: { kind: 'endpoint', id: passing.slice(0, 12) }, unsure: narrowed.length > 1 };
    },
  };
}
