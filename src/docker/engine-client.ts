/** The Engine API as `engine.ts` describes it, over HTTP. */

import type { z } from 'zod';
import { BerthError } from '../model/errors.ts';
import type { Engine, EngineEvent, EngineNetwork } from './engine.ts';
import { type EngineHttp, type EngineTls, engineHttp } from './engine-http.ts';
import {
  containerAnswer,
  containersAnswer,
  createdAnswer,
  eventLine,
  infoAnswer,
  networkAnswer,
  networkRequest,
  networksAnswer,
  toContainer,
  toEvent,
  toInfo,
  toListed,
  toNetwork,
  versionAnswer,
} from './engine-wire.ts';
import { readLines } from './lines.ts';
import { shown } from './text.ts';

export interface EngineOptions {
  /** How long one call may take, in milliseconds; 5,000 unless told. */
  readonly deadlineMs?: number;
  /** How long the engine may take to change something, in milliseconds; 60,000 unless told: it waits for plugins. */
  readonly changeDeadlineMs?: number;
  readonly tls?: EngineTls;
  /** Ends all calls: nobody waits any more for what the engine has to say. */
  readonly signal?: AbortSignal;
}

/** What is read here has been the same since this version, and engines up to 29 speak it (29.0 speaks nothing older). */
const NEWEST = '1.44';

/** Networks that are inspected at a time: the engine answers them one after the other anyway. */
const CONCURRENCY = 4;

/**
 * A client of the engine at `unix:///path` or `tcp://host:port`. Connects when it is first used, again after every failure, and
 * asks for the API version each time it connects, because the engine may have been upgraded.
 *
 * @throws BerthError BAD_CONFIG for another kind of address, or TLS files that cannot be read.
 */
export function connectEngine(address: string, options: EngineOptions = {}): Engine {
  const http = engineHttp(address, options.deadlineMs ?? 5000, options);
  let negotiated: string | undefined;

  async function negotiate(): Promise<string> {
    const { ApiVersion, MinAPIVersion } = read('/version', versionAnswer, await http.get('/version'));
    negotiated = newer(older(NEWEST, ApiVersion), MinAPIVersion);
    return negotiated;
  }

  /** With a version's path in front; a failure makes the next call negotiate again. */
  async function versioned<T>(work: (base: string) => Promise<T>): Promise<T> {
    try {
      return await work(`/v${negotiated ?? (await negotiate())}`);
    } catch (error) {
      negotiated = undefined;
      throw error;
    }
  }

  return {
    info: async () => {
      negotiated = undefined;
      return versioned(async (base) =>
        toInfo(read('/info', infoAnswer, await http.get(`${base}/info`)), base.slice(2)),
      );
    },
    networks: (inspect = () => true) =>
      versioned(async (base) => {
        const listed = read('/networks', networksAnswer, await http.get(`${base}/networks`))
          .map(toNetwork)
          .filter((network) => network !== undefined);
        const full = await mapBounded(listed, CONCURRENCY, (network) =>
          inspect(network) ? inspectNetwork(http, base, network.id) : Promise.resolve(network),
        );
        return full.filter((network) => network !== undefined);
      }),
    createNetwork: (network) =>
      versioned(async (base) => {
        const path = '/networks/create';
        const { Id } = read(path, createdAnswer, await http.change('POST', base + path, networkRequest(network)));
        return Id;
      }),
    removeNetwork: (id) => versioned(async (base) => void (await http.change('DELETE', `${base}/networks/${id}`))),
    container: (wanted) =>
      versioned(async (base) => {
        const path = `/containers/${encodeURIComponent(wanted)}/json`;
        const answer = await http.get(base + path);
        return answer === undefined ? undefined : toContainer(read(path, containerAnswer, answer));
      }),
    containers: () =>
      versioned(async (base) => {
        const path = '/containers/json';
        return read(path, containersAnswer, await http.get(`${base}${path}?all=1`)).map(toListed);
      }),
    events: (signal) => followEvents(versioned, http, signal),
  };
}

/** Undefined when it was removed in between. */
async function inspectNetwork(http: EngineHttp, base: string, id: string): Promise<EngineNetwork | undefined> {
  const answer = await http.get(`${base}/networks/${id}`);
  return answer === undefined ? undefined : toNetwork(read(`/networks/${id}`, networkAnswer, answer));
}

type Versioned = <T>(work: (base: string) => Promise<T>) => Promise<T>;

async function* followEvents(versioned: Versioned, http: EngineHttp, signal: AbortSignal): AsyncGenerator<EngineEvent> {
  const filters = encodeURIComponent(JSON.stringify({ type: ['network', 'container', 'daemon'] }));
  try {
    const response = await versioned((base) => http.stream(`${base}/events?filters=${filters}`, signal));
    yield { type: 'engine', action: 'connected', actor: '', attributes: {} };
    for await (const line of readLines(response)) {
      const event = eventLine.safeParse(jsonOf(line));
      if (!event.success)
        throw new BerthError('ENGINE_UNREACHABLE', `Docker sends an event that cannot be read: ${shown(line)}`);
      yield toEvent(event.data);
    }
  } catch (error) {
    if (signal.aborted) return;
    if (error instanceof BerthError) throw error;
    throw new BerthError('ENGINE_UNREACHABLE', `the events of Docker cannot be read: ${(error as Error).message}`);
  }
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function read<S extends z.ZodType>(path: string, schema: S, answer: unknown): z.output<S> {
  const result = schema.safeParse(answer);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const field = issue.path.join('.') || 'the answer';
  throw new BerthError('ENGINE_UNREACHABLE', `Docker answers ${path} with ${field} wrong: ${issue.message}`);
}

function compareVersions(a: string, b: string): number {
  const [aMajor = 0, aMinor = 0] = a.split('.').map(Number);
  const [bMajor = 0, bMinor = 0] = b.split('.').map(Number);
  return aMajor - bMajor || aMinor - bMinor;
}

const older = (a: string, b: string) => (compareVersions(a, b) <= 0 ? a : b);
const newer = (a: string, b: string) => (compareVersions(a, b) >= 0 ? a : b);

/** At most `limit` at a time; after a failure nothing more is begun. */
async function mapBounded<T, R>(items: readonly T[], limit: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const queue = [...items.entries()].reverse();
  const worker = async () => {
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
      results[next[0]] = await work(next[1]).catch((error: unknown) => {
        queue.length = 0;
        throw error;
      });
    }
  };
  await Promise.all(Array.from({ length: limit }, worker));
  return results;
}
