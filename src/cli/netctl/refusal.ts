/** What went wrong between us and a master, in Contiv's words first (scripts look for them), then why, and what helps. */

import type { IncomingHttpHeaders } from 'node:http';
import { MasterFailure } from './failure.ts';
import { printable } from './text.ts';

/** As Go's http package writes the methods in its errors: `Get "http://…": …`. */
function asGo(method: string, url: string, why: string): string {
  const short = url.length > 300 ? `${url.slice(0, 300)}…` : url;
  return `${method[0]}${method.slice(1).toLowerCase()} "${short}": ${why}`;
}

/** No connection, or none that lasted until the end of the answer. */
export function unreachable(
  method: string,
  url: string,
  error: Error & { readonly code?: string },
  timeout: number,
): MasterFailure {
  const { hostname, port, protocol } = new URL(url);
  const place = `${hostname}:${port || (protocol === 'https:' ? 443 : 80)}`;
  const failure = (why: string, next: string, cause?: string): MasterFailure =>
    new MasterFailure('unreachable', asGo(method, url, why), { cause, next });
  const another = 'name another master with --netmaster or NETMASTER';
  switch (error.code) {
    case 'ECONNREFUSED':
      return failure(
        `dial tcp ${place}: connect: connection refused`,
        `Start a master there (berth master, or netmaster), or ${another}.`,
        `nothing listens on ${place}`,
      );
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return failure(
        `dial tcp: lookup ${hostname}: no such host`,
        'Name a master with --netmaster http://HOST:9999, or set NETMASTER.',
        `no address is known for ${hostname}`,
      );
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return failure(
        `dial tcp ${place}: connect: no route to host`,
        `See whether this host reaches it, or ${another}.`,
      );
    case 'TIMEOUT':
    case 'ETIMEDOUT':
      return failure(
        'context deadline exceeded (i/o timeout)',
        `See what it does, ${another}, or wait longer with --timeout.`,
        `there was no whole answer within ${Number((timeout / 1000).toPrecision(2))} s${method === 'GET' ? '' : '; what was asked for may have been done or not'}`,
      );
    case 'ECONNRESET':
    case 'EPIPE':
      return failure(
        'EOF',
        'See whether it was done, and ask again; the log of the master says why.',
        'the master broke off before its answer was whole',
      );
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
      return failure(
        'x509: certificate signed by unknown authority',
        'Name its authority with --cacert FILE; --insecure would trust anybody.',
      );
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return failure(
        `x509: certificate is not valid for ${hostname}`,
        'Name the master as its certificate does, or have it say this name too.',
      );
    case 'CERT_HAS_EXPIRED':
      return failure('x509: certificate has expired', 'Renew the certificate of the master.');
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
    case 'ERR_SSL_PACKET_LENGTH_TOO_LONG':
      return failure('http: server gave HTTP response to HTTPS client', `Write http:// instead of https://.`);
    default:
      if (error.code?.startsWith('HPE_')) return brokenAnswer(url, 'it is not HTTP');
      return failure(printable(error.message), `See whether a master runs there, or ${another}.`);
  }
}

/** What answers is something else, or speaks something else. */
export function brokenAnswer(url: string, why: string): MasterFailure {
  return new MasterFailure('unreachable', `the answer of ${new URL(url).origin} is not that of a master: ${why}`, {
    next: 'See what listens there: --netmaster and NETMASTER must name a master (berth master, or netmaster).',
  });
}

/** The master said no. */
export function refusal(method: string, url: string, { status, headers, text: body }: Answer): MasterFailure {
  const problem = problemOf(body);
  const sentence = firstLine(problem.detail ?? body, headers) ?? statusLine(status);
  const advised = problem.next === undefined ? undefined : printable(problem.next);
  switch (status) {
    case 401:
      return new MasterFailure('denied', sentence, {
        cause: 'the master wants to know who asks',
        next: 'Give a token with --token or NETCTL_TOKEN, or keep one with: netctl --token TOKEN login',
      });
    case 403:
      return new MasterFailure('denied', sentence, { next: advised ?? 'Use a token with more rights.' });
    case 404: {
      // A path that the master does not have is answered by its router, not in its own words.
      const noPath = /^404 page not found/i.test(sentence) || sentence === statusLine(404);
      if (noPath) {
        return new MasterFailure('refused', 'Page not found!', {
          cause: `${new URL(url).origin} knows no ${method} ${new URL(url).pathname.slice(0, 200)}`,
          next: 'See what listens there: --netmaster and NETMASTER must name a master of a version that knows this command.',
        });
      }
      return new MasterFailure('notFound', sentence, { next: listHint(url) ?? advised });
    }
    default:
      return new MasterFailure('refused', sentence, { next: advised ?? statusHint(status) });
  }
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

function statusLine(status: number): string {
  const text = process.getBuiltinModule('node:http').STATUS_CODES[status];
  return text === undefined ? `status ${status}` : `${status} ${text}`;
}

/** Contiv sends a stack trace after the sentence. What is no text, or a whole page of it, says nothing. */
function firstLine(said: string, headers: IncomingHttpHeaders): string | undefined {
  if (/html/.test(headers['content-type'] ?? '') || said.trimStart().startsWith('<')) return undefined;
  const line = said.trim().split('\n')[0]!.trim();
  if (line === '' || line.includes('\ufffd') || line.includes('\0')) return undefined;
  const readable = printable(line);
  return readable.length > 500 ? `${readable.slice(0, 500)}…` : readable;
}

/** RFC 9457, as our masters answer; and `{"error":…}`, as what stands between us and a master may. */
function problemOf(body: string): { readonly detail?: string; readonly next?: string } {
  if (!body.startsWith('{')) return {};
  try {
    const { detail, next, error, message } = JSON.parse(body) as Record<string, unknown>;
    const inner = (error as { message?: unknown } | null | undefined)?.message;
    const said = [detail, inner, error, message].find((value) => typeof value === 'string');
    return { ...(said === undefined ? {} : { detail: said }), ...(typeof next === 'string' ? { next } : {}) };
  } catch {
    return {};
  }
}

/** Which command lists what was not found. */
function listHint(url: string): string | undefined {
  const type = /\/api\/v1\/(?:inspect\/)?([^/?]+)\//.exec(url)?.[1] ?? '';
  const command = (
    {
      tenants: 'tenant ls',
      networks: 'network ls -a',
      endpointGroups: 'group ls -a',
      policys: 'policy ls -a',
      rules: 'policy rule-ls POLICY',
      netprofiles: 'netprofile ls -a',
      serviceLBs: 'service ls -a',
      appProfiles: 'app-profile ls -a',
      extContractsGroups: 'external-contracts ls -a',
      Bgps: 'bgp ls',
      endpoints: 'network inspect NETWORK',
    } as Readonly<Record<string, string>>
  )[type];
  return command === undefined ? undefined : `See what there is with: netctl ${command}`;
}

function statusHint(status: number): string | undefined {
  if (status === 409 || status === 412) return 'See how it is now with inspect, and decide again.';
  if (status === 429 || status === 503) return 'Try again in a moment; berth status says how the cluster is.';
  if (status >= 500) return 'The log of the master says more; try again, or another master.';
  return undefined;
}
