/**
 * Calls to the API servers of OpenStack: JSON both ways, repeated where that can do no harm, failed at once while the server is
 * known to be away.
 */

import type { BerthError } from '../model/errors.ts';
import { type Availability, createAvailability } from './availability.ts';
import { type Bounds, pause } from './bounds.ts';
import { badAnswer, detailsOf, excerpt, knownAway, noAnswer, refused, type ServiceName } from './failure.ts';
import { createHttp, type HttpAnswer, HttpFailure, type HttpOptions, type Method } from './http.ts';
import { pathTemplate } from './template.ts';

export interface ApiCall {
  readonly service: ServiceName;
  readonly method: Method;
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** Becomes JSON. */
  readonly body?: unknown;
  /** Whether a second one does no harm where the first may have been done; so for all but POST, unless told. */
  readonly repeatable?: boolean | undefined;
  readonly bounds?: Bounds | undefined;
}

export interface ApiAnswer {
  readonly status: number;
  readonly headers: HttpAnswer['headers'];
  /** Parsed; undefined where there is none. */
  readonly body: unknown;
}

export interface Api {
  /**
   * The answer of status 2xx.
   *
   * @throws BerthError OPENSTACK_…, KEYSTONE_… or NEUTRON_…; `detailsOf` tells more of it.
   */
  call(call: ApiCall): Promise<ApiAnswer>;
  close(): void;
}

/** What became of one request; a call that is repeated makes several. */
export interface Exchange {
  readonly service: ServiceName;
  readonly method: Method;
  /** Such as `/v2.0/ports/{id}`. */
  readonly template: string;
  /** Of the answer; undefined: there was none, for this reason. */
  readonly status: number | undefined;
  readonly failure?: string;
  /** Whether a missing answer is the server's fault, and not our own hurry. */
  readonly isAway: boolean;
  readonly seconds: number;
  /** What the server's clock said (`Date`), in milliseconds since 1970, to the second. */
  readonly date?: number;
}

export interface ApiOptions extends HttpOptions {
  /** How often a call is repeated; 3 unless told. */
  readonly repeats?: number | undefined;
  /** Milliseconds before the first repetition; 200 unless told. Each next waits twice as long. */
  readonly backOff?: number | undefined;
  /** Told of every request when it is over, for who counts them. */
  readonly observe?: ((exchange: Exchange) => void) | undefined;
}

const LONGEST_BACK_OFF = 5000;
/** What a server or a proxy answers that is not able to right now. */
const PASSING = new Set([500, 502, 503, 504]);
/** Of a proxy behind which nobody is. */
const UNSERVED = new Set([502, 503, 504]);

/** @throws BerthError BAD_CONFIG for certificates that cannot be used. */
export function createApi(options: ApiOptions = {}): Api {
  const { repeats = 3, backOff = 200, observe } = options;
  const http = createHttp(options);
  const servers = new Map<string, Availability>();
  const availabilityOf = (origin: string): Availability => {
    const known = servers.get(origin) ?? createAvailability();
    servers.set(origin, known);
    return known;
  };

  async function once(call: ApiCall, availability: Availability): Promise<ApiAnswer> {
    const { url, method, bounds = {} } = call;
    const body = call.body === undefined ? undefined : JSON.stringify(call.body);
    const headers = {
      Accept: 'application/json',
      'User-Agent': 'berth',
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...call.headers,
    };
    const began = performance.now();
    const tell = (outcome: Pick<Exchange, 'status' | 'failure' | 'isAway' | 'date'>): void => {
      const seconds = (performance.now() - began) / 1000;
      observe?.({ service: call.service, method, template: pathTemplate(url.pathname), seconds, ...outcome });
    };
    let answer: HttpAnswer;
    try {
      answer = await http.exchange({ method, url, headers, body, bounds });
    } catch (error) {
      const failure = error instanceof HttpFailure ? error : undefined;
      const isAway = failure !== undefined && failure.kind !== 'out of time' && failure.kind !== 'ended';
      tell({ status: undefined, failure: failure?.message ?? String(error), isAway });
      if (failure?.kind === 'unreachable' || failure?.kind === 'silent') availability.failed(failure.message);
      else availability.undecided();
      throw failure === undefined ? error : noAnswer(call, failure);
    }
    availability.answered();
    const date = Date.parse(answer.headers.date ?? '');
    tell({
      status: answer.status,
      isAway: UNSERVED.has(answer.status),
      ...(Number.isNaN(date) ? {} : { date }),
    });
    if (answer.status < 200 || answer.status > 299) throw refused(call, answer);
    return { status: answer.status, headers: answer.headers, body: parse(call, answer) };
  }

  /** Milliseconds after which to repeat a call that failed so; undefined: not at all. */
  function repetition(call: ApiCall, error: unknown, failures: number, availability: Availability): number | undefined {
    const details = detailsOf(error);
    if (details === undefined || failures > repeats) return undefined;
    // A server that has kept us waiting once is not made to do so again, and a certificate does not change.
    if (details.status === undefined && (error as BerthError).code !== 'OPENSTACK_UNREACHABLE') return undefined;
    const { status, retryAfter, mayBeDone } = details;
    const repeatable = call.repeatable ?? call.method !== 'POST';
    const again =
      status === undefined
        ? repeatable || !mayBeDone
        : status === 429 ||
          (PASSING.has(status) && repeatable) ||
          (retryAfter !== undefined && [409, 503].includes(status));
    if (!again) return undefined;
    const wait = Math.min(LONGEST_BACK_OFF, backOff * 2 ** (failures - 1)) * (0.5 + Math.random() / 2);
    return Math.max(wait, retryAfter ?? 0, availability.remaining());
  }

  return {
    async call(call) {
      const { bounds = {} } = call;
      const availability = availabilityOf(call.url.origin);
      const away = availability.away();
      if (away !== undefined) throw knownAway(call, away);
      for (let failures = 1; ; failures++) {
        try {
          return await once(call, availability);
        } catch (error) {
          const wait = repetition(call, error, failures, availability);
          // There is no pause that would leave no time for the answer.
          if (wait === undefined || !(await pause(wait, bounds))) throw error;
        }
      }
    },
    close: () => http.close(),
  };
}

function parse(call: ApiCall, answer: HttpAnswer): unknown {
  if (answer.status === 204 || answer.text === '') return undefined;
  const type = answer.headers['content-type'] ?? '';
  if (!/^application\/([\w.-]+\+)?json\b/i.test(type))
    throw badAnswer(call, answer, `what is not JSON${excerpt(answer)}`);
  try {
    return JSON.parse(answer.text);
  } catch {
    throw badAnswer(call, answer, `broken JSON${excerpt(answer)}`);
  }
}
