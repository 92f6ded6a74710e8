/**
 * Keeps the records in step with the engine: learns its names, frees what it has forgotten, takes up what we have forgotten.
 * Runs beside the plugin calls, never within one, and waits for nothing that Docker waits for.
 */

import type { Engine, EngineEvent, EngineInfo, EngineNetwork } from '../docker/engine.ts';
import { asBerthError } from '../model/errors.ts';
import { type EndpointId, type NetworkId, parseNetworkId } from '../model/ids.ts';
import { formatPrefix } from '../model/prefix.ts';
import type { Adoption } from './adoption.ts';
import type { GarbageView } from './api.ts';
import type { PluginConfig } from './config.ts';
import type { Dhcp } from './dhcp/manager.ts';
import type { Events } from './events.ts';
import { findGarbage, type Garbage, garbageId } from './garbage.ts';
import type { Leases } from './leases.ts';
import type { Lifecycle } from './lifecycle.ts';
import type { Metrics } from './metrics.ts';
import type { Names } from './names.ts';
import type { State } from './state.ts';
import { isSwarmPool } from './swarm/spaces.ts';

export interface Collector {
  /** Looks once: frees what has been unknown to the engine for longer than the grace. @throws BerthError ENGINE_UNREACHABLE */
  pass(): Promise<void>;
  /** What a look would free; with `apply`, frees it now, grace or not. */
  collect(apply: boolean): Promise<readonly GarbageView[]>;
  /** The engine's networks that a plugin of ours serves, with their containers. @throws BerthError ENGINE_UNREACHABLE */
  networks(): Promise<readonly EngineNetwork[]>;
  /** Asks the engine what things are called now. @throws BerthError ENGINE_UNREACHABLE */
  learnNames(): Promise<void>;
  engine(): {
    readonly reachable: boolean;
    /** It is not the engine that the records are of. */
    readonly strange: boolean;
    /** Its id, or until it answers the id of the one before. */
    readonly id: string | undefined;
    readonly info?: EngineInfo;
  };
  /**
   * An engine has removed a network that all engines had, which the others hear of by themselves, and tell nobody: it goes here, unless
   * it has containers.
   */
  networkGone(id: NetworkId): Promise<void>;
  /** Follows the engine until the signal aborts: connects again when it goes, and looks at each change. */
  follow(signal: AbortSignal): Promise<void>;
  /**
   * While the engine is being answered about an endpoint, it does not list it yet, however long that takes; nor right afterwards.
   */
  whileAsked<Result>(endpoint: EndpointId, work: () => Promise<Result>): Promise<Result>;
  /** Called by a plugin activation: a new engine process is about to repeat its requests. */
  engineStarted(): void;
}

export interface CollectorParts {
  readonly engine: Engine;
  readonly state: State;
  readonly lifecycle: Lifecycle;
  readonly leases: Leases;
  readonly names: Names;
  readonly events: Events;
  readonly metrics: Metrics;
  readonly plugins: ReadonlyMap<string, PluginConfig>;
  /** Milliseconds. */
  readonly grace: number;
  readonly interval: number;
  readonly adoption: Adoption;
  readonly dhcp: Pick<Dhcp, 'learn' | 'containersChanged' | 'networkGoes'>;
  /** Looks whether the kernel has what the records say, and mends it. */
  audit(): Promise<void>;
  /** Told of all that happens in the engine, as it happens. */
  hear(event: EngineEvent): void;
  /** Id of the engine that the records are of. */
  readonly knownEngine: string | undefined;
  rememberEngine(id: string): Promise<void>;
  /** Milliseconds of a clock that nobody sets: a step of the host's must not make anything old. */
  monotonic(): number;
}

const RECONNECT = { first: 250, most: 5000 } as const;
/** Events after which a list of containers is another one. */
const TELLING = new Set(['create', 'start', 'die', 'destroy', 'rename']);
/** Engine events come in bursts (a compose project); one look serves them all. */
const SETTLE = 300;
/** An engine with thousands of networks is not to be busy with our questions: there is so much more time between them than it needs. */
const SHARE = 4;
const MOST_SETTLE = 10_000;

export function createCollector(parts: CollectorParts): Collector {
  const { engine, state, lifecycle, leases, names, events, metrics, plugins } = parts;
  const firstSeen = new Map<string, number>();
  /** When the engine was last answered about an endpoint; Infinity while it is waiting. */
  const answeredAt = new Map<EndpointId, number>();
  /** Networks that have gone elsewhere, and that this engine may list for another moment: they are not to be taken over again. */
  const goneElsewhere = new Set<NetworkId>();
  /** Why a network could not be taken over, as it was last told. */
  const refusals = new Map<string, string>();
  let info: EngineInfo | undefined;
  /**
   * The event stream has not broken since it was asked: it is the same engine. Asking is not cheap, engines start programs to
   * learn their own versions (30 ms for 20.10), and containers start and end all the time.
   */
  let infoIsCurrent = false;
  let reachable = false;
  let knownEngine = parts.knownEngine;
  let strange = false;
  let soon: { readonly timer: NodeJS.Timeout; readonly due: number } | undefined;
  let passing: Promise<void> = Promise.resolve();
  /** How long the engine took to answer last. Milliseconds. */
  let took = 0;

  const served = ({ driver, ipamDriver }: EngineNetwork): boolean => plugins.has(driver) || plugins.has(ipamDriver);

  /** A cluster has thousands of networks, and the containers of each cost a call: those of networks without any are not asked for. */
  function mayHaveContainers(): (network: EngineNetwork) => boolean {
    const pools = new Map(leases.pools().map(({ id, subnet }) => [id, formatPrefix(subnet)]));
    const leased = new Set<string | undefined>();
    for (const { pool, holder } of leases.all())
      if (holder.kind !== 'gateway' && holder.kind !== 'auxiliary') leased.add(pools.get(pool));
    return (network) =>
      served(network) &&
      (!state.networks.has(network.id) ||
        state.endpointsOf(network.id).length > 0 ||
        network.subnets.some(({ subnet }) => leased.has(formatPrefix(subnet))));
  }

  async function look(): Promise<{ networks: readonly EngineNetwork[]; garbage: readonly Garbage[] }> {
    const before = parts.monotonic();
    const all = await engine.networks(mayHaveContainers());
    took = parts.monotonic() - before;
    const networks = all.filter(served);
    names.learn(networks);
    leases.learnEngine(all);
    lifecycle.learnBridges(all.flatMap(({ bridge }) => bridge ?? []));
    const records = {
      networks: [...state.networks.values()],
      endpoints: [...state.endpoints.values()],
      pools: leases.pools().filter((pool) => !isSwarmPool(pool)),
      leases: leases.all().filter(leases.isOwn),
      poolsAreShared: leases.isShared,
    };
    return { networks, garbage: findGarbage(records, networks, new Set(plugins.keys())) };
  }

  /** @returns false when it has changed since it was looked at: then it is judged by the next look. */
  async function free(garbage: Garbage): Promise<boolean> {
    switch (garbage.kind) {
      case 'endpoint': {
        const { endpoint } = garbage;
        const isGone = await lifecycle.serialise(endpoint.id, async () => {
          if (state.endpoints.get(endpoint.id) !== endpoint) return false;
          await lifecycle.removeEndpoint(endpoint.id);
          return true;
        });
        if (!isGone) return false;
        await leases.endpointGone(endpoint);
        break;
      }
      case 'network':
        await parts.dhcp.networkGoes(garbage.network.id);
        await lifecycle.removeNetwork(garbage.network.id);
        await leases.freeReleased(garbage.network);
        if (leases.isShared) await leases.freePoolsOf(garbage.network);
        break;
      case 'lease':
        if (!(await leases.free(garbage.lease))) return false;
        break;
      case 'pool':
        await leases.freePool(garbage.pool);
        break;
    }
    metrics.garbage(garbage.kind);
    events.emit(`${garbage.kind}.freed`, `${garbage.kind} ${garbageId(garbage)} was freed: ${garbage.reason}`);
    return true;
  }

  /** When the engine last asked for it: it may ask again for what an interrupted request has left. */
  function lastAsked(garbage: Garbage): number {
    switch (garbage.kind) {
      case 'endpoint':
        return answeredAt.get(garbage.endpoint.id) ?? Number.NEGATIVE_INFINITY;
      case 'network':
        return Number.NEGATIVE_INFINITY;
      case 'lease':
        return leases.askedAt(garbage.lease.pool, garbage.lease.address);
      case 'pool':
        return leases.askedAt(garbage.pool.id);
    }
  }

  async function remember(id: string): Promise<void> {
    strange = false;
    if (knownEngine === id) return;
    await parts.rememberEngine(id);
    knownEngine = id;
  }

  const isUnknown = (seen: EngineNetwork): boolean => !goneElsewhere.has(seen.id) && parts.adoption.isUnknown(seen);

  /** Networks that the engine has and we do not: our store was lost, or replaced. Their definition stands in the engine. */
  async function adopt(networks: readonly EngineNetwork[]): Promise<void> {
    const unknown = networks.filter(isUnknown);
    for (const seen of unknown) await adoptOne(seen);
    if (unknown.length > 0) await parts.audit();
  }

  /** One that cannot be taken up keeps no other from it. */
  async function adoptOne(seen: EngineNetwork): Promise<void> {
    try {
      await parts.adoption.adopt(seen);
      refusals.delete(seen.id);
      events.emit('network.adopted', `network ${seen.name} was taken over from the engine: it was not in the store`, {
        network: seen.id,
      });
    } catch (error) {
      const { message } = asBerthError(error);
      if (refusals.get(seen.id) === message) return;
      refusals.set(seen.id, message);
      events.emit('network.refused', `network ${seen.name} cannot be taken over from the engine: ${message}`, {
        network: seen.id,
      });
    }
  }

  /** One at a time: while the engine or the store is slow, looks would pile up, each to free the same. */
  function pass(): Promise<void> {
    passing = passing.catch(() => undefined).then(passOnce);
    return passing;
  }

  async function whichEngine(): Promise<EngineInfo> {
    info = await engine.info();
    infoIsCurrent = true;
    // Another engine knows nothing of our networks, which does not make them garbage: perhaps --docker names the wrong one.
    strange = knownEngine !== undefined && knownEngine !== info.id;
    return info;
  }

  async function passOnce(): Promise<void> {
    const known = infoIsCurrent && info !== undefined ? info : await whichEngine();
    // What the engine says is of some time between the two, which may be far apart: this process or the engine stood still.
    const asked = parts.monotonic();
    const { networks, garbage } = await look();
    const answered = parts.monotonic();
    setReachable(true);
    const listed = new Set(networks.map((seen) => seen.id));
    for (const gone of goneElsewhere) if (!listed.has(gone)) goneElsewhere.delete(gone);
    leases.reconciled();
    const ids = new Set(garbage.map(garbageId));
    for (const id of firstSeen.keys()) if (!ids.has(id)) firstSeen.delete(id);
    for (const [endpoint, at] of answeredAt) if (asked - at >= parts.grace) answeredAt.delete(endpoint);
    const due = garbage.filter((item) => {
      const id = garbageId(item);
      const since = firstSeen.get(id) ?? answered;
      firstSeen.set(id, since);
      return asked - since >= parts.grace && asked - lastAsked(item) >= parts.grace;
    });
    // Before anything follows from what an engine does not know, it is made sure that it is the right one.
    const sure = due.length > 0 || networks.some(isUnknown);
    const { id } = sure ? await whichEngine() : known;
    if (!strange) {
      for (const seen of networks) await lifecycle.serialise(seen.id, () => leases.match(seen));
      for (const item of due) {
        if (await free(item)) firstSeen.delete(garbageId(item));
      }
      await adopt(networks);
      await parts.dhcp.learn(networks);
      await remember(id);
    }
    // What is on its way out is looked at again as soon as its grace is over, not at the next interval.
    if (firstSeen.size > 0) lookSoon(Math.min(parts.grace, parts.interval) + SETTLE);
  }

  function setReachable(is: boolean): void {
    metrics.engineReachable(is);
    if (reachable !== is) {
      events.emit(
        is ? 'engine.reachable' : 'engine.unreachable',
        is ? `the engine ${info?.version ?? ''} answers` : 'the engine does not answer',
      );
    }
    reachable = is;
  }

  function lookSoon(delay: number): void {
    const due = parts.monotonic() + delay;
    if (soon !== undefined && soon.due <= due) return;
    clearTimeout(soon?.timer);
    const timer = setTimeout(() => void lookNow(), delay);
    timer.unref();
    soon = { timer, due };
  }

  async function lookNow(): Promise<void> {
    // What is asked for meanwhile is one more look, not many.
    await passing.catch(() => undefined);
    soon = undefined;
    await pass().catch((error: unknown) => {
      const { code, message } = asBerthError(error);
      if (code === 'ENGINE_UNREACHABLE') setReachable(false);
      else events.emit('collector.failed', `cannot compare the records with the engine: ${message}`);
    });
  }

  return {
    pass,
    async whileAsked(endpoint, work) {
      answeredAt.set(endpoint, Number.POSITIVE_INFINITY);
      try {
        return await work();
      } finally {
        answeredAt.set(endpoint, parts.monotonic());
      }
    },
    networks: async () => (await engine.networks(served)).filter(served),
    learnNames: async () => names.learn((await engine.networks()).filter(served)),
    engine: () => ({ reachable, strange, id: info?.id ?? knownEngine, ...(info === undefined ? {} : { info }) }),
    engineStarted() {
      infoIsCurrent = false;
      lookSoon(SETTLE);
    },

    networkGone(id) {
      const forgotten = passing
        .catch(() => undefined)
        .then(async () => {
          const network = state.networks.get(id);
          if (network === undefined) return;
          if (state.endpointsOf(id).length === 0) {
            goneElsewhere.add(id);
            await free({ kind: 'network', network, reason: 'another engine has removed it' });
          }
          lookSoon(SETTLE);
        });
      passing = forgotten;
      return forgotten;
    },

    async collect(apply) {
      const { garbage } = await look();
      const views: GarbageView[] = [];
      for (const item of garbage) {
        const removed = apply && (await free(item));
        views.push({ kind: item.kind, id: garbageId(item), reason: item.reason, removed });
      }
      if (apply && info !== undefined) await remember(info.id);
      return views;
    },

    async follow(signal) {
      const timer = setInterval(() => {
        infoIsCurrent = false;
        lookSoon(0);
      }, parts.interval);
      signal.addEventListener('abort', () => clearInterval(timer), { once: true });
      let wait: number = RECONNECT.first;
      while (!signal.aborted) {
        try {
          infoIsCurrent = false;
          await pass();
          wait = RECONNECT.first;
          for await (const event of engine.events(signal)) {
            // Between the look and the stream it may have been started anew; its settings change without a restart, too.
            if (event.type === 'engine' || event.type === 'daemon') infoIsCurrent = false;
            parts.hear(event);
            const made =
              event.type === 'network' && event.action === 'create' ? parseNetworkId(event.actor) : undefined;
            if (made !== undefined && event.attributes.name) names.learnNetwork(made, event.attributes.name);
            // At once: who was made is soon to start.
            if (event.type === 'container' && TELLING.has(event.action)) parts.dhcp.containersChanged();
            if (
              event.type !== 'container' ||
              event.action === 'die' ||
              event.action === 'destroy' ||
              event.action === 'start' ||
              event.action === 'rename'
            )
              lookSoon(Math.max(SETTLE, Math.min(took * SHARE, MOST_SETTLE)));
          }
        } catch (error) {
          const failure = asBerthError(error);
          if (failure.code !== 'ENGINE_UNREACHABLE')
            events.emit('collector.failed', `cannot compare the records with the engine: ${failure.message}`);
        }
        if (signal.aborted) return;
        setReachable(false);
        await pause(wait, signal);
        wait = Math.min(wait * 2, RECONNECT.most);
      }
    },
  };
}

/** Waits with a deadline that an abort cuts short. */
function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, milliseconds);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done, { once: true });
  });
}
