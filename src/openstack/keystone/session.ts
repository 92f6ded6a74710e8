/** Calls to a service of OpenStack in the name of a user: where it is, and a token that is valid. */

import { BerthError } from '../../model/errors.ts';
import { type ApiAnswer, type ApiOptions, createApi } from '../api.ts';
import type { Bounds } from '../bounds.ts';
import { detailsOf } from '../failure.ts';
import type { Method } from '../http.ts';
import type { Authentication } from './authentication.ts';
import { findEndpoint, type Interface } from './catalog.ts';
import { createTokenSource, type Identity, type Token } from './token.ts';

export interface SessionSettings extends ApiOptions {
  readonly authentication: Authentication;
  readonly region?: string | undefined;
  /** The first of them that the catalogue has; `public` unless told. */
  readonly interfaces?: readonly Interface[] | undefined;
  /** In place of what the catalogue says. */
  readonly endpointOverride?: string | undefined;
  /** `network` unless told. */
  readonly serviceType?: string | undefined;
  readonly serviceName?: string | undefined;
}

export interface SessionCall {
  readonly method: Method;
  /** Below `/v2.0`, such as `/ports`. */
  readonly path: string;
  readonly query?: URLSearchParams | undefined;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly repeatable?: boolean | undefined;
  readonly bounds?: Bounds | undefined;
}

export interface Session {
  /**
   * Calls Neutron. A token that it refuses is renewed once.
   *
   * @throws BerthError OPENSTACK_…, KEYSTONE_REFUSED, NEUTRON_…
   */
  call(call: SessionCall): Promise<ApiAnswer>;
  /** Who we are; undefined where there is no Keystone. Asks for a token if there is none. */
  identity(bounds?: Bounds): Promise<Identity | undefined>;
  /** The URL of Neutron, with `/v2.0`. */
  endpoint(bounds?: Bounds): Promise<string>;
  close(): void;
}

/**
 * Nothing is asked before the first call.
 *
 * @throws BerthError BAD_CONFIG for certificates that cannot be used, and where neither Keystone nor an endpoint is given.
 */
export function openSession(settings: SessionSettings): Session {
  const { authentication, interfaces = ['public'], serviceType = 'network', region, serviceName } = settings;
  const api = createApi(settings);
  const fixed = settings.endpointOverride ?? (authentication.kind === 'keystone' ? undefined : authentication.endpoint);
  if (fixed === undefined && authentication.kind !== 'keystone')
    throw new BerthError('BAD_CONFIG', 'without Keystone the URL of Neutron must be given (endpoint_override)');
  const tokens = authentication.kind === 'keystone' ? createTokenSource(api, authentication) : undefined;

  function endpointFor(token: Token | undefined): string {
    const url = fixed ?? findEndpoint(token!.catalog, { type: serviceType, name: serviceName, region, interfaces });
    return versioned(url);
  }

  function headersFor(token: Token | undefined): Record<string, string> {
    if (token !== undefined) return { 'X-Auth-Token': token.text };
    if (authentication.kind === 'fixed token') return { 'X-Auth-Token': authentication.token };
    if (authentication.kind !== 'basic') return {};
    const pair = `${authentication.user}:${authentication.password}`;
    return { Authorization: `Basic ${Buffer.from(pair).toString('base64')}` };
  }

  function send(call: SessionCall, token: Token | undefined): Promise<ApiAnswer> {
    const url = new URL(`${endpointFor(token)}${call.path}`);
    if (call.query !== undefined) url.search = call.query.toString();
    const { method, body, bounds, repeatable } = call;
    const headers = { ...call.headers, ...headersFor(token) };
    return api.call({ service: 'Neutron', method, url, headers, body, bounds, repeatable });
  }

  return {
    async call(call) {
      const { bounds = {} } = call;
      const token = await tokens?.current(bounds);
      try {
        return await send(call, token);
      } catch (error) {
        if (tokens === undefined || token === undefined || detailsOf(error)?.status !== 401) throw error;
        // It has ended early: it was revoked, or the keys of Keystone have been changed.
        const other = await tokens.instead(token, bounds);
        if (other.text === token.text) throw error;
        return send(call, other);
      }
    },
    identity: async (bounds = {}) => (await tokens?.current(bounds))?.identity,
    endpoint: async (bounds = {}) => endpointFor(fixed === undefined ? await tokens?.current(bounds) : undefined),
    close: () => api.close(),
  };
}

/** Catalogues name Neutron with and without its one version. */
function versioned(url: string): string {
  const base = url.replace(/\/+$/, '');
  if (!URL.canParse(base) || !/^https?:\/\//.test(base))
    throw new BerthError('OPENSTACK_NO_ENDPOINT', `'${url}' is not the URL of Neutron`);
  return base.endsWith('/v2.0') ? base : `${base}/v2.0`;
}
