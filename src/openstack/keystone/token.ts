/** A token of Keystone, renewed before it ends, by one request however many wait for it. */

import { z } from 'zod';
import { BerthError } from '../../model/errors.ts';
import type { Api } from '../api.ts';
import type { Bounds } from '../bounds.ts';
import { timeLeft } from '../bounds.ts';
import { type Authentication, tokenRequest, tokensUrl } from './authentication.ts';
import { type Catalog, catalogSchema } from './catalog.ts';

/** Who Keystone says that we are. */
export interface Identity {
  readonly userId: string;
  readonly userName: string | undefined;
  readonly projectId: string | undefined;
  readonly projectName: string | undefined;
  readonly roles: readonly string[];
}

export interface Token {
  readonly text: string;
  readonly catalog: Catalog;
  readonly identity: Identity;
  /** When we had it, and when it ends, in milliseconds of `performance.now()`. */
  readonly since: number;
  readonly until: number;
}

export interface TokenSource {
  /** One that is valid now. @throws BerthError KEYSTONE_REFUSED, OPENSTACK_… */
  current(bounds: Bounds): Promise<Token>;
  /** Another than this one, which a service has refused; the same when it is so young that a new one would fare no better. */
  instead(of: Token, bounds: Bounds): Promise<Token>;
}

const answerSchema = z.object({
  token: z.object({
    expires_at: z.string(),
    issued_at: z.string(),
    user: z.object({ id: z.string(), name: z.string().nullish() }),
    project: z.object({ id: z.string(), name: z.string().nullish() }).nullish(),
    roles: z.array(z.object({ name: z.string() })).nullish(),
    catalog: catalogSchema.nullish(),
  }),
});

/** A token with less left than this is renewed while it is still used, so that nobody waits. At most a fifth of its life. */
const RENEW_BEFORE = 300_000;
/** With less than this it is not used any more: it shall not end on its way. At most a tenth of its life. */
const LEAST_LEFT = 30_000;
/** A token that is refused at this age was not valid from the beginning. */
const NEWBORN = 1000;
/** Milliseconds for a renewal that others wait for: it shall not end with the hurry of the first who asked. */
const RENEWAL_LIMIT = 20_000;

/** @param now replaces the clock in tests. */
export function createTokenSource(
  api: Api,
  authentication: Authentication & { readonly kind: 'keystone' },
  now: () => number = () => performance.now(),
): TokenSource {
  let token: Token | undefined;
  let renewal: Promise<Token> | undefined;

  function renew(): Promise<Token> {
    renewal ??= ask().finally(() => {
      renewal = undefined;
    });
    return renewal;
  }

  async function ask(): Promise<Token> {
    const { credentials, scope, url } = authentication;
    const asked = now();
    const answer = await api.call({
      service: 'Keystone',
      method: 'POST',
      url: tokensUrl(url),
      body: tokenRequest(credentials, scope),
      // A token too many harms nobody.
      repeatable: true,
      bounds: { until: performance.now() + RENEWAL_LIMIT },
    });
    const text = answer.headers['x-subject-token'];
    const parsed = answerSchema.safeParse(answer.body);
    if (!parsed.success || typeof text !== 'string' || !/^[\x21-\x7e]+$/.test(text))
      throw new BerthError(
        'OPENSTACK_BAD_ANSWER',
        `Keystone at ${url} answers with what is no token: ${why(parsed.error)}`,
      );
    const { expires_at, issued_at, user, project, roles, catalog } = parsed.data.token;
    // Both times are of Keystone's clock, which need not be ours.
    const life = Date.parse(expires_at) - Date.parse(issued_at);
    if (!(life > 0))
      throw new BerthError(
        'OPENSTACK_BAD_ANSWER',
        `Keystone at ${url} gives a token from ${issued_at} to ${expires_at}`,
      );
    token = {
      text,
      catalog: catalog ?? [],
      identity: {
        userId: user.id,
        userName: user.name ?? undefined,
        projectId: project?.id,
        projectName: project?.name ?? undefined,
        roles: (roles ?? []).map(({ name }) => name),
      },
      since: asked,
      until: asked + life,
    };
    return token;
  }

  return {
    async current(bounds) {
      if (token === undefined) return waitFor(renew(), bounds);
      const life = token.until - token.since;
      const left = token.until - now();
      if (left <= Math.min(LEAST_LEFT, life / 10)) return waitFor(renew(), bounds);
      // What becomes of it is seen when somebody needs it.
      if (left <= Math.min(RENEW_BEFORE, life / 5)) renew().catch(() => {});
      return token;
    },
    async instead(of, bounds) {
      if (token !== undefined && token.text !== of.text) return token;
      if (now() - of.since < NEWBORN) return of;
      return waitFor(renew(), bounds);
    },
  };
}

function why(error: z.ZodError | undefined): string {
  const issue = error?.issues[0];
  return issue === undefined ? 'the header X-Subject-Token is missing' : `${issue.path.join('.')}: ${issue.message}`;
}

/** What others wait for too, for as long as these bounds allow. */
async function waitFor<T>(work: Promise<T>, bounds: Bounds): Promise<T> {
  const left = timeLeft(bounds);
  if (left === Number.POSITIVE_INFINITY && bounds.signal === undefined) return work;
  const over = Promise.withResolvers<never>();
  const late = () => over.reject(new BerthError('OPENSTACK_TIMEOUT', 'Keystone gives no token in the time there was'));
  const timer = left === Number.POSITIVE_INFINITY ? undefined : setTimeout(late, Math.max(0, left));
  bounds.signal?.addEventListener('abort', late, { once: true });
  if (bounds.signal?.aborted) late();
  try {
    return await Promise.race([work, over.promise]);
  } finally {
    clearTimeout(timer);
    bounds.signal?.removeEventListener('abort', late);
    // Whoever waits no longer does not hear of its failure.
    work.catch(() => {});
  }
}
