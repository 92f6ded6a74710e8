/**
 * Keeps the Docker networks of this host's engine as the cluster's objects say. Beside the plugin calls, never within one: the engine
 * calls us while it makes a network. Each pass compares all that there is with all that should be, so whatever was missed (the engine
 * was down, the agent was, a user removed one by hand) is made up for.
 */

import type { Engine, EngineEvent, EngineNetwork } from '../../docker/engine.ts';
import { asBerthError } from '../../model/errors.ts';
import type { Objects } from '../../model/objects/kind.ts';
import type { Events } from '../events.ts';
import type { Adopting } from './adopting.ts';
import { type Plan, planNetworks, type Removal } from './plan.ts';
import { createRetries } from './retries.ts';
import { type WantedNetwork, wantedNetworks } from './wanted.ts';

export interface EngineNetworks {
  /** Something may have changed. */
  look(): void;
  /** Told of all that happens in the engine, as it happens. */
  hear(event: EngineEvent): void;
  /** What is not as it should be, a sentence each. */
  problems(): readonly string[];
  /** Ends when what is under way has ended. */
  close(): Promise<void>;
}

export interface EngineNetworksParts {
  readonly engine: Pick<Engine, 'networks' | 'createNetwork' | 'removeNetwork'>;
  /** As last known; undefined until they have been read. */
  objects(): Objects | undefined;
  /** Name of the plugin that the networks are made with, as driver and as IPAM driver. */
  readonly driver: string;
  readonly events: Pick<Events, 'emit'>;
  /** The engine answers, and is the one that the records are of. */
  ready(): boolean;
  /** Makes the networks of users known to the cluster. */
  readonly adopting?: Adopting;
  /**
   * Where all engines have the networks that one of them makes: does some work while no other host does the same.
   *
   * @returns false when another is at it: then it is tried again.
   */
  alone?(work: () => Promise<void>): Promise<boolean>;
  /** Milliseconds between passes without any reason. */
  readonly interval: number;
  monotonic(): number;
}

/** Changes come in bursts; one pass serves them all. Milliseconds. */
const SETTLE = 150;
/** The engine makes networks one after the other for the most part. */
const CONCURRENCY = 4;
/** So many are worth telling how far it is, this often. */
const MANY = 100;
const PROGRESS = 10_000;
/** Milliseconds until an engine that did not answer is asked again. */
const RECONNECT = { first: 1000, most: 30_000 } as const;
/** After these a network that had containers may have none. */
const LEAVING = new Set(['die', 'destroy', 'disconnect']);

export function createEngineNetworks(parts: EngineNetworksParts): EngineNetworks {
  const { engine, events, driver } = parts;
  const retries = createRetries(parts.monotonic);
  /** Made by us and seen since, by what they stand for. */
  let present: ReadonlyMap<string, EngineNetwork> = new Map();
  let blocked: readonly string[] = [];
  /** Events that are of our own doing, `create ID` and `destroy ID`; some come before the engine has answered. */
  const own = new Set<string>();
  let timer: { readonly timeout: NodeJS.Timeout; readonly due: number } | undefined;
  let running: Promise<void> | undefined;
  let again = false;
  let closed = false;
  let reconnect: number = RECONNECT.first;

  const interval = setInterval(() => look(0), parts.interval);
  interval.unref();

  function look(delay: number): void {
    if (closed) return;
    if (running !== undefined) {
      again = true;
      return;
    }
    const due = parts.monotonic() + delay;
    if (timer !== undefined && timer.due <= due) return;
    clearTimeout(timer?.timeout);
    const timeout = setTimeout(run, delay);
    timeout.unref();
    timer = { timeout, due };
  }

  function run(): void {
    timer = undefined;
    again = false;
    running = pass()
      .then(() => {
        reconnect = RECONNECT.first;
        return Math.min(retries.wait() ?? Infinity, parts.adopting?.wait() ?? Infinity);
      })
      .catch((error: unknown) => {
        const { code, message } = asBerthError(error);
        if (!closed && code !== 'ENGINE_UNREACHABLE')
          events.emit('engine-networks.failed', `cannot compare the cluster's networks with the engine's: ${message}`);
        const wait = reconnect;
        reconnect = Math.min(reconnect * 2, RECONNECT.most);
        return wait;
      })
      .then((wait) => {
        running = undefined;
        if (again) look(SETTLE);
        if (Number.isFinite(wait)) look(Math.max(wait, SETTLE));
      });
  }

  /** @returns what is to be done; undefined: nothing now. */
  async function compare(): Promise<{ plan: Plan; objects: Objects } | undefined> {
    const objects = parts.objects();
    if (objects === undefined || !parts.ready()) return undefined;
    const listed = await engine.networks(() => false);
    if (closed || (await parts.adopting?.listed(listed, objects)) === true) return undefined;
    return { plan: planNetworks(wantedNetworks(objects, driver), listed, parts.adopting?.adopted()), objects };
  }

  async function pass(): Promise<void> {
    const found = await compare();
    if (found === undefined) return;
    const { make: toMake, remove: toRemove } = found.plan;
    if (parts.alone === undefined || toMake.length + toRemove.length === 0) return carryOut(found.plan, found.objects);
    const done = await parts.alone(async () => {
      const now = await compare();
      if (now !== undefined) await carryOut(now.plan, now.objects);
    });
    if (!done) again = true;
  }

  async function carryOut(plan: Plan, objects: Objects): Promise<void> {
    for (const { key, name } of plan.make) {
      if (!present.has(key)) continue;
      events.emit('engine-network.missing', `the Docker network ${name} was removed by hand; it is made again`, {
        network: key,
      });
    }
    present = plan.present;
    // Where there is not even a tenant there was never a cluster: it is the wrong store, or a new one.
    const known = objects.list('tenant').length > 0;
    tellBlocked(plan, known);
    retries.keep(new Set([...plan.make, ...plan.remove].map(({ key }) => key)));
    own.clear();
    const stuck = new Set<string>();
    await each(known ? plan.remove : [], async (removal) => {
      if (!(await remove(removal))) stuck.add(removal.network.name);
    });
    const progress = countProgress(plan.make.length);
    await each(plan.make, async (wanted) => {
      if (!stuck.has(wanted.name) && isWanted(wanted)) await make(wanted);
      progress();
    });
  }

  /** It may have gone, or be another one, while others were made. */
  function isWanted({ object: { kind, key, createdAt } }: WantedNetwork): boolean {
    return parts.objects()?.get(kind, key)?.createdAt === createdAt;
  }

  async function make(wanted: WantedNetwork): Promise<void> {
    const { key, name } = wanted;
    if (!retries.due(key)) return;
    try {
      const id = await engine.createNetwork(wanted);
      own.add(`create ${id}`);
      retries.done(key);
      present = new Map(present).set(key, { id } as EngineNetwork);
      events.emit('engine-network.made', `the Docker network ${name} was made for the ${key}`, { network: key });
    } catch (error) {
      fail(error, key, `the ${key} cannot be made a Docker network of this host`);
    }
  }

  /** @returns whether it is gone. */
  async function remove({ network, key, reason }: Removal): Promise<boolean> {
    const { id, name } = network;
    if (!retries.due(key)) return false;
    own.add(`destroy ${id}`);
    try {
      await engine.removeNetwork(id);
      retries.done(key);
      const why = {
        gone: `the cluster has no ${key} any more`,
        changed: `the ${key} is another one now`,
        double: `there are two of the ${key}`,
      };
      events.emit('engine-network.removed', `the Docker network ${name} was removed: ${why[reason]}`, { network: key });
      return true;
    } catch (error) {
      own.delete(`destroy ${id}`);
      fail(error, key, `the Docker network ${name}, which stands for nothing any more, cannot be removed`);
      return false;
    }
  }

  /** @throws what concerns all of them. */
  function fail(error: unknown, key: string, what: string): void {
    const { code, message } = asBerthError(error);
    if (code === 'ENGINE_UNREACHABLE') throw error;
    const sentence = `${what}: ${message}`;
    if (retries.failed(key, sentence)) events.emit('engine-network.refused', sentence, { network: key });
  }

  function tellBlocked(plan: Plan, known: boolean): void {
    const sentences = plan.blocked.map(
      ({ wanted, by }) =>
        `the ${wanted.key} is not on this host: another Docker network, ${by.id.slice(0, 12)}, is called ${by.name}`,
    );
    if (!known && plan.remove.length > 0) {
      sentences.push(
        `${plan.remove.length} Docker networks of this host are of a cluster, and the store has no cluster: they are kept`,
      );
    }
    for (const sentence of sentences) if (!blocked.includes(sentence)) events.emit('engine-network.refused', sentence);
    blocked = sentences;
  }

  function countProgress(total: number): () => void {
    let done = 0;
    let told = parts.monotonic();
    return () => {
      done += 1;
      if (total < MANY || parts.monotonic() - told < PROGRESS) return;
      told = parts.monotonic();
      events.emit('engine-networks.progress', `${done} of ${total} networks of the cluster have been made`);
    };
  }

  /** A few at a time; after a failure nothing more is begun, and nothing is left under way. */
  async function each<Item>(items: readonly Item[], work: (item: Item) => Promise<void>): Promise<void> {
    const queue = items[Symbol.iterator]();
    let failure: { readonly error: unknown } | undefined;
    const worker = async () => {
      for (const item of queue) {
        if (failure !== undefined || closed || !parts.ready()) return;
        try {
          await work(item);
        } catch (error) {
          failure ??= { error };
        }
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, worker));
    if (failure !== undefined) throw failure.error;
  }

  return {
    look: () => look(SETTLE),
    problems: () => [...blocked, ...retries.sentences(), ...(parts.adopting?.problems() ?? [])],

    hear({ type, action, actor }) {
      if (type === 'engine') {
        retries.hurry();
        look(SETTLE);
      } else if (type === 'network' && (action === 'create' || action === 'destroy')) {
        if (!own.delete(`${action} ${actor}`)) look(SETTLE);
      }
      if (LEAVING.has(action) && retries.sentences().length > 0) {
        retries.hurry();
        look(SETTLE);
      }
    },

    async close() {
      closed = true;
      clearInterval(interval);
      clearTimeout(timer?.timeout);
      await running;
    },
  };
}
