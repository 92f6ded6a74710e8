/** What went wrong with a call, as a BerthError that names the request, the answer and the request id. */

import { z } from 'zod';
import { BerthError, type ErrorCode } from '../model/errors.ts';
import type { HttpAnswer, HttpFailure } from './http.ts';
import { oneLine } from './text.ts';

export type ServiceName = 'Keystone' | 'Neutron';

/** What a program needs to know of a call that failed. It is the `cause` of the BerthError. */
export interface CallDetails {
  readonly service: ServiceName;
  /** Such as `POST /v2.0/ports`. */
  readonly request: string;
  /** The status of the answer; undefined when none came. */
  readonly status: number | undefined;
  /** What Neutron calls the error, such as `IpAddressAlreadyAllocated` or `OverQuota` (neutron_lib.exceptions). */
  readonly type: string | undefined;
  readonly requestId: string | undefined;
  /** Whether the server may have done what was asked nevertheless. */
  readonly mayBeDone: boolean;
  /** Milliseconds after which the server asks to be asked again. */
  readonly retryAfter: number | undefined;
}

/** The details of an error that a call has thrown; undefined for any other. */
export function detailsOf(error: unknown): CallDetails | undefined {
  const cause = error instanceof BerthError ? error.cause : undefined;
  return typeof cause === 'object' && cause !== null && 'mayBeDone' in cause ? (cause as CallDetails) : undefined;
}

const failureCodes: Readonly<Record<HttpFailure['kind'], ErrorCode>> = {
  unreachable: 'OPENSTACK_UNREACHABLE',
  certificate: 'OPENSTACK_CERTIFICATE',
  silent: 'OPENSTACK_TIMEOUT',
  'out of time': 'OPENSTACK_TIMEOUT',
  ended: 'OPENSTACK_TIMEOUT',
  broken: 'OPENSTACK_UNREACHABLE',
  'too large': 'OPENSTACK_BAD_ANSWER',
};

export interface Asked {
  readonly service: ServiceName;
  readonly method: string;
  readonly url: URL;
}

const noDetails = { status: undefined, type: undefined, requestId: undefined, retryAfter: undefined };

/** No answer came. */
export function noAnswer(asked: Asked, failure: HttpFailure): BerthError {
  const cause: CallDetails = {
    ...noDetails,
    service: asked.service,
    request: requestLine(asked),
    mayBeDone: failure.sent && asked.method !== 'GET',
  };
  const sentence = `${asked.service} at ${asked.url.origin}: ${requestLine(asked)}: ${oneLine(failure.message, 300)}`;
  return new BerthError(failureCodes[failure.kind], sentence, { cause });
}

/** It was not even tried. */
export function knownAway(asked: Asked, why: string): BerthError {
  const cause: CallDetails = {
    ...noDetails,
    service: asked.service,
    request: requestLine(asked),
    mayBeDone: false,
  };
  const sentence = `${asked.service} at ${asked.url.origin} is away: ${oneLine(why, 300)}`;
  return new BerthError('OPENSTACK_UNREACHABLE', sentence, { cause });
}

/** An answer came that is none of this API. @param what follows "answers …". */
export function badAnswer(asked: Asked, answer: HttpAnswer, what: string): BerthError {
  const cause = detailsFrom(asked, answer, undefined, asked.method !== 'GET');
  return new BerthError('OPENSTACK_BAD_ANSWER', sentenceOf(asked, answer, what), { cause });
}

const said = z.union([
  z.object({ type: z.string().optional(), message: z.string() }),
  z.string().transform((message) => ({ type: undefined, message })),
]);

/** Of a token that is refused, keystonemiddleware tells in HTML; 429 comes from what limits rates. */
const WORDLESS = new Set([401, 429]);

/** The server refuses: any status but 2xx. */
export function refused(asked: Asked, answer: HttpAnswer): BerthError {
  const { status } = answer;
  const reason = reasonIn(answer);
  const redirect = status >= 300 && status < 400;
  // Neither Keystone nor Neutron, but something in front of them: they answer errors in JSON.
  const stranger = redirect || (reason === undefined && status < 500 && answer.text !== '' && !WORDLESS.has(status));
  // A proxy that has waited in vain does not know either.
  const mayBeDone = asked.method !== 'GET' && (status === 500 || status === 502 || status === 504);
  const cause = detailsFrom(asked, answer, reason?.type, mayBeDone);
  const code = stranger ? 'OPENSTACK_BAD_ANSWER' : codeOf(asked.service, status, reason?.type);
  const location =
    redirect && answer.headers.location !== undefined ? `, which leads to ${answer.headers.location}` : '';
  const type = reason?.type === undefined ? '' : ` ${reason.type}`;
  const words =
    reason === undefined ? excerpt(answer) : `: ${oneLine(reason.message.replaceAll(/<br *\/?>/g, ' '), 400)}`;
  return new BerthError(code, sentenceOf(asked, answer, `${status}${type}${location}${words}`), { cause });
}

/** Keystone: `{"error": {"title", "message"}}`; Neutron: `{"NeutronError": {"type", "message"}}`, and of its middlewares other forms of this. */
function reasonIn(answer: HttpAnswer): { type?: string | undefined; message: string } | undefined {
  let body: unknown;
  try {
    body = JSON.parse(answer.text);
  } catch {
    return undefined;
  }
  if (typeof body !== 'object' || body === null) return undefined;
  const whole = said.safeParse(body);
  if (whole.success) return whole.data;
  for (const part of Object.values(body)) {
    const parsed = said.safeParse(part);
    if (parsed.success) return parsed.data;
  }
  return undefined;
}

/** Quota errors are conflicts (neutron_lib.exceptions.OverQuota), and so are addresses that have run out. */
const QUOTA_TYPES = new Set(['OverQuota', 'SubnetPoolQuotaExceeded']);

function codeOf(service: ServiceName, status: number, type: string | undefined): ErrorCode {
  if (status === 401) return 'KEYSTONE_REFUSED';
  if (status === 429 || status === 503) return 'OPENSTACK_BUSY';
  if (status >= 500) return 'OPENSTACK_FAILED';
  // All that is asked of Keystone is a token; a token that is none of its own it does not find (404).
  if (service === 'Keystone') return 'KEYSTONE_REFUSED';
  if (type !== undefined && QUOTA_TYPES.has(type)) return 'NEUTRON_QUOTA';
  if (status === 403) return 'NEUTRON_DENIED';
  if (status === 404) return 'NEUTRON_NOT_FOUND';
  if (status === 409) return 'NEUTRON_CONFLICT';
  if (status === 412) return 'NEUTRON_CHANGED';
  return 'NEUTRON_INVALID';
}

function detailsFrom(asked: Asked, answer: HttpAnswer, type: string | undefined, mayBeDone: boolean): CallDetails {
  return {
    service: asked.service,
    request: requestLine(asked),
    status: answer.status,
    type,
    requestId: requestId(answer),
    mayBeDone,
    retryAfter: retryAfter(answer),
  };
}

function sentenceOf(asked: Asked, answer: HttpAnswer, what: string): string {
  const id = requestId(answer);
  return `${asked.service}: ${requestLine(asked)} answers ${what}${id === undefined ? '' : ` (${id})`}`;
}

function requestId({ headers }: HttpAnswer): string | undefined {
  const id = headers['x-openstack-request-id'] ?? headers['x-compute-request-id'];
  return typeof id === 'string' && /^req-[0-9a-fA-F-]{1,64}$/.test(id) ? id : undefined;
}

/** RFC 9110 §10.2.3: seconds, or a date. */
function retryAfter({ headers }: HttpAnswer): number | undefined {
  const text = headers['retry-after'];
  if (text === undefined) return undefined;
  if (/^[0-9]{1,6}$/.test(text)) return Number(text) * 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now());
}

/** Queries may be long, and the same thing is told by the path. */
function requestLine({ method, url }: Asked): string {
  return `${method} ${url.pathname}`;
}

/** What kind of thing came instead of JSON, and how it begins. */
export function excerpt(answer: HttpAnswer): string {
  const kind = oneLine(answer.headers['content-type'] ?? '', 60);
  const beginning = oneLine(answer.text.replaceAll(/<[^>]*>/g, ' '), 120);
  return `${kind === '' ? '' : `, ${kind}`}${beginning === '' ? '' : `, "${beginning}"`}`;
}
