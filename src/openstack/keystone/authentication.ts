/**
 * How one proves to Keystone who one is (https://docs.openstack.org/api-ref/identity/v3/#authentication-and-token-management), and the ways
 * that need no Keystone.
 */

/** By id, or by name. */
export type Named = { readonly id: string } | { readonly name: string };

/** A name that is unique only within a domain. */
export type NamedInDomain = { readonly id: string } | { readonly name: string; readonly domain: Named };

export type Scope =
  | { readonly kind: 'project'; readonly project: NamedInDomain }
  | { readonly kind: 'domain'; readonly domain: Named }
  | { readonly kind: 'system' }
  | { readonly kind: 'trust'; readonly id: string }
  | { readonly kind: 'none' };

export type Credentials =
  | { readonly kind: 'password'; readonly user: NamedInDomain; readonly password: string }
  | { readonly kind: 'token'; readonly token: string }
  | {
      readonly kind: 'application credential';
      readonly secret: string;
      /** A name belongs to a user, an id needs none. */
      readonly credential: { readonly id: string } | { readonly name: string; readonly user: NamedInDomain };
    };

export type Authentication =
  | { readonly kind: 'keystone'; readonly url: string; readonly credentials: Credentials; readonly scope: Scope }
  /** keystoneauth's `none`: the service asks nobody. */
  | { readonly kind: 'none'; readonly endpoint?: string | undefined }
  /** keystoneauth's `http_basic`. */
  | { readonly kind: 'basic'; readonly endpoint?: string | undefined; readonly user: string; readonly password: string }
  /** keystoneauth's `admin_token`: a token that never ends. */
  | { readonly kind: 'fixed token'; readonly endpoint?: string | undefined; readonly token: string };

/** The body of `POST /v3/auth/tokens`. */
export function tokenRequest(credentials: Credentials, scope: Scope): unknown {
  return { auth: { identity: identity(credentials), ...scopeOf(scope) } };
}

function identity(credentials: Credentials): unknown {
  switch (credentials.kind) {
    case 'password':
      return {
        methods: ['password'],
        password: { user: { ...credentials.user, password: credentials.password } },
      };
    case 'token':
      return { methods: ['token'], token: { id: credentials.token } };
    case 'application credential':
      return {
        methods: ['application_credential'],
        application_credential: { ...credentials.credential, secret: credentials.secret },
      };
  }
}

function scopeOf(scope: Scope): object {
  switch (scope.kind) {
    case 'project':
      return { scope: { project: scope.project } };
    case 'domain':
      return { scope: { domain: scope.domain } };
    case 'system':
      return { scope: { system: { all: true } } };
    case 'trust':
      return { scope: { 'OS-TRUST:trust': { id: scope.id } } };
    // An application credential is bound to its project, and Keystone refuses to be told one.
    case 'none':
      return {};
  }
}

/** Where tokens are made. Keystone serves v3 below whatever URL it is at (`/identity`, `/`), so an old `/v2.0` leads there as well. */
export function tokensUrl(authUrl: string): URL {
  const url = new URL(authUrl);
  const base = url.pathname.replace(/\/+$/, '').replace(/\/v2\.0$/, '');
  url.pathname = `${base}${base.endsWith('/v3') ? '' : '/v3'}/auth/tokens`;
  url.search = '';
  return url;
}
