/**
 * Who is about to start: to which container an endpoint belongs that is being made. A plugin call does not say, and must not
 * ask; so this knows beforehand which containers there are, and looks at which of them the engine has mounted.
 */

import { randomUUID } from 'node:crypto';
import type { CreateEndpoint } from '../../docker/driver.ts';
import type { Engine, EngineContainer, ListedContainer } from '../../docker/engine.ts';
import type { DhcpSource } from '../../fabric/fabric.ts';
import type { EndpointId, NetworkId } from '../../model/ids.ts';
import type { Network } from '../../model/network.ts';
import type { Names } from '../names.ts';
import { within } from '../within.ts';
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

/** What can be seen of a container that is being started. */
export interface Marks extends Pick<EngineContainer, 'root' | 'exposes'> {
  /** That the user gave it (`--hostname`), without a domain. */
  readonly hostName?: string;
}

export interface Observer {
  /** @param wish.name the container's name, from the engines that tell it. */
  identify(
    network: Network,
    source: DhcpSource,
    wish: Pick<CreateEndpoint, 'mac' | 'exposes'> & { readonly name?: string; readonly endpoint?: EndpointId },
  ): Promise<Who>;
  /**
   * Asks the engine what containers there are, and once more when there is news meanwhile. Never within a plugin call.
   *
   * @throws BerthError ENGINE_UNREACHABLE
   */
  look(): Promise<void>;
  /** Whether there was such a container at the last look, and it was on the network, running or not. */
  isOn(container: string, network: NetworkId): boolean;
  /** As the engine listed it at the last look. */
  container(id: string): ListedContainer | undefined;
  /** By what a container is known when it starts, as far as that is known itself. */
  marks(container: string): Marks | undefined;
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
  /** What the engine has written down of a container, where that can be read. */
  readonly written: (container: string) => Marks | undefined;
  /** Milliseconds of a clock that nobody sets. */
  monotonic(): number;
}

/** How long is waited for the engine to tell what containers there are, when it has been asked. Milliseconds. */
const PATIENCE = 300;
/** How long an answer about one container takes. One that is being started is answered for only when it has started. */
const ANSWERED = 50;

export function createObserver(parts: ObserverParts): Observer {
  const { engine, book, names, monotonic } = parts;
  let containers: readonly ListedContainer[] = [];
  let listed = false;
  let listing: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  const seen = new Map<string, Marks>();
  const inspecting = new Map<string, { readonly since: number; readonly done: Promise<void> }>();

  async function list(): Promise<void> {
    containers = await engine.containers();
    listed = true;
    const ids = new Set(containers.map(({ id }) => id));
    for (const id of seen.keys()) if (!ids.has(id)) seen.delete(id);
    const networks = parts.networks();
    for (const one of containers) {
      if (seen.has(one.id) || inspecting.has(one.id)) continue;
      if (networks.some((network) => isOn(one, network, names.network(network)))) inspect(one.id);
    }
  }

  /** Nobody waits for it who lists: it may take as long as the container's start. */
  function inspect(id: string): void {
    const done = engine
      .container(id)
      .then(
        (found) => {
          if (found === undefined) return;
          const hostName = givenHostName(id, found.hostName);
          seen.set(id, { ...marksOf(found), ...(hostName === undefined ? {} : { hostName }) });
        },
        () => undefined,
      )
      .finally(() => inspecting.delete(id));
    inspecting.set(id, { since: monotonic(), done });
  }

  /** A list that is asked for from now on; those who want one meanwhile share the next. */
  function look(): Promise<void> {
    if (listing === undefined) {
      listing = list().finally(() => {
        listing = undefined;
      });
      return listing;
    }
    next ??= listing
      .catch(() => undefined)
      .then(() => {
        next = undefined;
        return look();
      });
    return next;
  }

  /** What has been asked for is known, or will not be known soon. */
  async function informed(network: NetworkId): Promise<void> {
    const asked = next ?? listing;
    if (asked !== undefined)
      await within(
        PATIENCE,
        asked.catch(() => undefined),
      );
    const name = names.network(network);
    const now = monotonic();
    const fresh = containers
      .filter((one) => !one.running && isOn(one, network, name))
      .flatMap(({ id }) => inspecting.get(id) ?? [])
      .filter(({ since }) => now - since < ANSWERED);
    if (fresh.length > 0) await within(ANSWERED, Promise.all(fresh.map(({ done }) => done)));
  }

  /** The containers of a network that use a lease, or had one, as far as is known. */
  function withLease(network: NetworkId, used: boolean): ReadonlySet<string> {
    const leases = book.all().filter((lease) => lease.network === network && parts.isUsed(lease) === used);
    return new Set(leases.flatMap(({ container }) => container ?? []));
  }

  function marks(container: string): Marks | undefined {
    const known = seen.get(container) ?? parts.written(container);
    if (known !== undefined) {
      seen.set(container, known);
      return known;
    }
    const lease = book.all().find((one) => one.container === container && one.root !== undefined);
    return lease && marksOf(lease);
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
    const rootOf = (id: string): string | undefined => marks(id)?.root;
    const isThere = (id: string): boolean => isMounted({ id, ...marks(id) }, points);
    // Of one that is not known it cannot be told.
    const unknown = ({ id }: ListedContainer): boolean => marks(id) === undefined;
    if (waiting.some(({ id }) => isThere(id))) return waiting.filter((one) => unknown(one) || isThere(one.id));
    // None of them: that is worth something only where mounts of containers are seen at all.
    const sees = containers.some(({ id, running }) => running && rootOf(id) !== undefined && isThere(id));
    return sees ? waiting.filter(({ id }) => rootOf(id) === undefined) : waiting;
  }

  /** Those with the ports that the request tells. Where it tells none, that says nothing: engines leave them out at times. */
  function exposing(waiting: readonly ListedContainer[], ports: readonly string[] = []): readonly ListedContainer[] {
    if (waiting.length < 2 || ports.length === 0) return waiting;
    const same = waiting.filter(({ id }) => marks(id)?.exposes?.join() === ports.join());
    if (same.length > 0) return same;
    const unknown = waiting.filter(({ id }) => marks(id) === undefined);
    return unknown.length > 0 ? unknown : waiting;
  }

  return {
    isOn(container, network) {
      const found = containers.find(({ id }) => id === container);
      const name = names.network(network);
      // As long as the network's name is not known, nobody can tell.
      return found !== undefined && (name === undefined || isOn(found, network, name));
    },
    container: (wanted) => containers.find(({ id }) => id === wanted),
    marks,

    look,

    async identify({ id }, source, wish) {
      await informed(id);
      const named = wish.name === undefined ? undefined : containers.find(({ name }) => name === wish.name);
      const waiting = candidates(known(id), id, names.network(id), withLease(id, true), withLease(id, false));
      const narrowed = exposing(starting(waiting), wish.exposes);
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

/** Without one the engine makes it of the id. */
export function givenHostName(id: string, hostName: string): string | undefined {
  return hostName === '' || id.startsWith(hostName) ? undefined : hostName.replace(/\..*/s, '');
}

function marksOf({ root, exposes }: Pick<Marks, 'root' | 'exposes'>): Marks {
  return { ...(root === undefined ? {} : { root }), ...(exposes === undefined ? {} : { exposes }) };
}
