/** What was called, and which calls are to fail: the memory that the proxies of a bed's OpenStack share. */

import { setTimeout as delay } from 'node:timers/promises';

export type ServiceName = 'neutron' | 'keystone';

/** One call of the product. Numbers count over both services, in the order in which the calls came. */
export interface Call {
  readonly number: number;
  readonly service: ServiceName;
  /** By which endpoint of the catalog it came: `RegionOne/public`. */
  readonly endpoint: string;
  /** The address that it came from. */
  readonly from: string;
  readonly method: string;
  /** With its query. */
  readonly path: string;
  /** The path without what differs from object to object: `/v2.0/ports/{id}/tags/{tag}`. */
  readonly template: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: string;
  /** Milliseconds of `performance.now()`. */
  readonly started: number;
  /** When it was answered, or cut. */
  ended?: number;
  /** What the service answered; undefined when it was never asked. */
  passed?: { readonly status: number; readonly body: string };
  /** What the product was told; undefined when the connection was cut. */
  status?: number;
  fault?: Fault;
}

export type Fault =
  /** An answer that is not the service's. `passOn`: the service is asked all the same, so that the effect has happened. */
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
      readonly passOn?: boolean;
    }
  /** Nothing happens until the injection is removed; then the call goes on as if nothing had been. */
  | { readonly kind: 'freeze'; readonly when: 'before' | 'after' }
  /** The same before the service is asked; but then it is asked also when nobody waits for its answer any more. */
  | { readonly kind: 'late' }
  /** The connection ends, before the service was asked, or when it has answered and nobody hears it. */
  | { readonly kind: 'cut'; readonly when: 'before' | 'after' }
  /** The service's answer, cut in the middle of its body. */
  | { readonly kind: 'half' }
  /** Milliseconds before the service is asked. */
  | { readonly kind: 'delay'; readonly ms: number };

/** Which calls are meant; everything that is given must be so. */
export interface CallFilter {
  readonly service?: ServiceName;
  readonly endpoint?: string;
  readonly from?: string;
  readonly method?: string;
  readonly template?: string | RegExp;
  readonly where?: (call: Call) => boolean;
}

export interface InjectOptions extends CallFilter {
  /** The how-manieth of the matching calls from now on is the first to fail. Default 1. */
  readonly call?: number;
  /** How many fail, one after the other. Default 1; `Infinity` for all. */
  readonly times?: number;
}

export interface Injection {
  /** The calls that it has befallen. */
  readonly hits: readonly Call[];
  /** Resolves when it has befallen a call. @throws after `timeout` ms (default 20,000). */
  hit(timeout?: number): Promise<Call>;
  /** No further call fails; calls that it froze go on. */
  remove(): void;
}

export interface Calls {
  /** Since the start or the last `clear`, those under way included. */
  all(filter?: CallFilter): readonly Call[];
  /** How often each was called: `{ 'POST /v2.0/ports': 1 }`. */
  counts(filter?: CallFilter): Record<string, number>;
  /** Forgets the calls; numbers go on. */
  clear(): void;
  /** Delays every call by so many milliseconds, until it is set to 0. */
  delayAll(ms: number): void;
  inject(fault: Fault, options?: InjectOptions): Injection;
  /** Removes all injections and the delay. */
  heal(): void;
  /** Waits until no call is under way. @throws after `timeout` ms (default 20,000). */
  settled(timeout?: number, filter?: CallFilter): Promise<void>;
}

/** What a proxy needs of it. */
export interface CallLog extends Calls {
  readonly latency: () => number;
  begin(call: Omit<Call, 'number' | 'started' | 'template'>): { readonly call: Call; readonly frozen: Promise<void> };
  end(call: Call): void;
}

interface ActiveInjection {
  readonly fault: Fault;
  readonly options: InjectOptions;
  readonly hits: Call[];
  readonly thawed: Promise<void>;
  seen: number;
}

export function callLog(): CallLog {
  let calls: Call[] = [];
  let count = 0;
  let latency = 0;
  const open = new Set<Call>();
  const injections = new Map<ActiveInjection, () => void>();
  const remove = (injection: ActiveInjection) => {
    injections.get(injection)?.();
    injections.delete(injection);
  };
  const until = async (what: string, reached: () => boolean, timeout: number) => {
    const deadline = performance.now() + timeout;
    while (!reached()) {
      if (performance.now() > deadline) throw new Error(`Waited ${timeout} ms for ${what}`);
      await delay(5);
    }
  };
  return {
    all: (filter = {}) => calls.filter((call) => matches(call, filter)),
    counts: (filter = {}) => {
      const counts: Record<string, number> = {};
      for (const call of calls) {
        if (!matches(call, filter)) continue;
        const key = `${call.method} ${call.template}`;
        counts[key] = (counts[key] ?? 0) + 1;
      }
      return counts;
    },
    clear: () => {
      calls = [];
    },
    delayAll: (ms) => {
      latency = ms;
    },
    latency: () => latency,
    inject: (fault, options = {}) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      const injection: ActiveInjection = { fault, options, hits: [], thawed: promise, seen: 0 };
      injections.set(injection, resolve);
      return {
        hits: injection.hits,
        hit: async (timeout = 20_000) => {
          await until(`a call that ${JSON.stringify(fault)} befalls`, () => injection.hits.length > 0, timeout);
          return injection.hits[0]!;
        },
        remove: () => remove(injection),
      };
    },
    heal: () => {
      latency = 0;
      for (const injection of injections.keys()) remove(injection);
    },
    settled: (timeout = 20_000, filter = {}) =>
      until('all calls to be answered', () => ![...open].some((call) => matches(call, filter)), timeout),
    begin: (what) => {
      count += 1;
      const call: Call = { ...what, number: count, started: performance.now(), template: pathTemplate(what.path) };
      calls.push(call);
      open.add(call);
      for (const injection of injections.keys()) {
        if (!matches(call, injection.options)) continue;
        injection.seen += 1;
        const { call: first = 1, times = 1 } = injection.options;
        if (injection.seen < first || injection.seen >= first + times || call.fault !== undefined) continue;
        call.fault = injection.fault;
        injection.hits.push(call);
        return { call, frozen: injection.thawed };
      }
      return { call, frozen: Promise.resolve() };
    },
    end: (call) => {
      call.ended = performance.now();
      open.delete(call);
    },
  };
}

function matches(call: Call, filter: CallFilter): boolean {
  const { template } = filter;
  return (
    (filter.service === undefined || filter.service === call.service) &&
    (filter.endpoint === undefined || filter.endpoint === call.endpoint) &&
    (filter.from === undefined || filter.from === call.from) &&
    (filter.method === undefined || filter.method === call.method) &&
    (template === undefined ||
      (typeof template === 'string' ? template === call.template : template.test(call.template))) &&
    (filter.where === undefined || filter.where(call))
  );
}

/** The path of a call with identifiers (UUIDs, with or without hyphens) and tags replaced, without its query. */
export function pathTemplate(path: string): string {
  return path
    .replace(/[?#].*$/, '')
    .replaceAll(/[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}(?=\/|$)/gi, '{id}')
    .replace(/\/tags\/[^/]+$/, '/tags/{tag}');
}

/** Every way in which a call can fail, for tests that go through all of them. */
export const everyFault: readonly Fault[] = [
  { kind: 'answer', status: 401 },
  { kind: 'answer', status: 409 },
  { kind: 'answer', status: 429, headers: { 'retry-after': '1' } },
  { kind: 'answer', status: 500 },
  { kind: 'answer', status: 503 },
  { kind: 'freeze', when: 'before' },
  { kind: 'freeze', when: 'after' },
  { kind: 'cut', when: 'before' },
  { kind: 'cut', when: 'after' },
  { kind: 'half' },
];

/** A fault that befalls a call, and perhaps as often again when it is repeated. */
export interface Disturbance {
  readonly fault: Fault;
  /** Default 1. */
  readonly times?: number;
}

/** What a sweep over the calls of an operation does at one of them. */
export interface Attempt extends Disturbance {
  /** The how-manieth call of the operation fails, from 1. */
  readonly call: number;
  /** Method and template of that call in the undisturbed run. */
  readonly operation: string;
  readonly injection: Injection;
  /** No other follows at this call. */
  readonly isLast: boolean;
}

/** Somebody who runs the operation, each with calls of his own. */
export interface Lane {
  /** Which calls are his. */
  readonly filter: CallFilter;
  undisturbed(): Promise<void>;
  disturbed(attempt: Attempt): Promise<void>;
}

/**
 * Runs an operation undisturbed and counts its calls; then runs `disturbed` for each call and each disturbance of it, with that call
 * failing; the lanes share this among them. All leave behind what they found. A call that the disturbed run never makes is an error:
 * nothing would be tested.
 *
 * @returns the calls, in their order.
 */
export async function atEveryCall(
  calls: Calls,
  disturbances: (operation: string) => readonly Disturbance[],
  lanes: readonly [Lane, ...Lane[]],
): Promise<readonly string[]> {
  const [first] = lanes;
  calls.clear();
  await first.undisturbed();
  await calls.settled(undefined, first.filter);
  const operations = calls.all(first.filter).map(({ method, template }) => ({ method, template }));
  if (operations.length === 0) throw new Error('The operation makes no call');
  const nameOf = ({ method, template }: (typeof operations)[number]): string => `${method} ${template}`;
  const work = operations.flatMap((which, index) =>
    disturbances(nameOf(which)).map((what, nth, all) => ({ which, index, what, isLast: nth === all.length - 1 })),
  );
  async function disturb({ which, index, what, isLast }: (typeof work)[number], lane: Lane): Promise<void> {
    const { fault, times = 1 } = what;
    const operation = nameOf(which);
    const isSame = (other: typeof which) => nameOf(other) === operation;
    // The how-manieth of its kind: what is done at the same time may come in any order.
    const call = operations.slice(0, index + 1).filter(isSame).length;
    const injection = calls.inject(fault, { ...lane.filter, ...which, call, times });
    try {
      await lane.disturbed({ call: index + 1, operation, fault, times, injection, isLast });
    } catch (cause) {
      const how = `${JSON.stringify(fault)}${times === 1 ? '' : ` ${times} times`}`;
      throw new Error(`Call ${index + 1}, ${operation}, with ${how}: ${String(cause)}`, { cause });
    } finally {
      injection.remove();
    }
    if (injection.hits.length === 0) throw new Error(`Call ${index + 1}, ${operation}, was not made again`);
    await calls.settled(undefined, lane.filter);
  }
  await Promise.all(
    lanes.map(async (lane) => {
      for (let next = work.shift(); next !== undefined; next = work.shift()) {
        try {
          await disturb(next, lane);
        } catch (error) {
          work.length = 0;
          throw error;
        }
      }
    }),
  );
  return operations.map(nameOf);
}
