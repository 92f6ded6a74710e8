/** keystoneauth's options, as what they mean: who we are, and for what (keystoneauth1/loading/_plugins). */

import type { Authentication, Credentials, Named, NamedInDomain, Scope } from '../keystone/authentication.ts';
import type { Options, Problem } from './options.ts';
import { didYouMean } from './values.ts';

const known = [
  'password',
  'v3password',
  'token',
  'v3token',
  'v3applicationcredential',
  'none',
  'http_basic',
  'admin_token',
];

/** Plugins of keystoneauth that there are, and that Berth does not have. */
const others: Readonly<Record<string, string>> = {
  v2password: 'Keystone has no version 2 any more: write password',
  v2token: 'Keystone has no version 2 any more: write token',
};
const foreign = /^v3(oidc\w+|kerberos|fedkerb|samlpassword|adfspassword|oauth\w+|totp|multifactor|tokenlessauth)$/;

/**
 * The options of one section. Whatever is wrong or missing goes to the problems of the options; undefined then.
 */
export function readAuthentication(options: Options, section: string): Authentication | undefined {
  const text = (key: string) => options.value<string>(section, key) || undefined;
  const before = options.problems.length;
  const complain = (key: string, sentence: string): undefined => {
    const problem: Problem = { place: options.given(section, key)?.place, section, key, sentence };
    options.problems.push(problem);
  };
  const need = (key: string, why: string): string => {
    const value = text(key);
    if (value !== undefined) return value;
    // What is given and wrong has been told.
    if (!options.problems.some((problem) => problem.section === section && problem.key === key))
      complain(key, `it is missing: ${why}`);
    return '';
  };

  const type = text('auth_type');
  if (type === undefined) return complain('auth_type', `it is missing; it is one of ${known.join(', ')}`);
  const by = `auth_type is ${type}`;

  const named = (id: string, name: string): Named | undefined => {
    const byId = text(id);
    if (byId !== undefined) return { id: byId };
    const byName = text(name);
    return byName === undefined ? undefined : { name: byName };
  };
  const inDomain = (id: string, name: string, domain: string): NamedInDomain | undefined => {
    const one = named(id, name);
    if (one === undefined || 'id' in one) return one;
    const of = named(`${domain}_id`, `${domain}_name`) ?? named('default_domain_id', 'default_domain_name');
    if (of !== undefined) return { name: one.name, domain: of };
    return complain(name, `a name needs its domain: ${domain}_name or ${domain}_id`);
  };
  const user = (): NamedInDomain => {
    if (text('user_id') === undefined && text('username') === undefined)
      complain('username', `it is missing, and so is user_id: ${by}`);
    return inDomain('user_id', 'username', 'user_domain') ?? { id: '' };
  };

  function scope(): Scope {
    const project = inDomain('project_id', 'project_name', 'project_domain');
    const domain = named('domain_id', 'domain_name');
    const trust = text('trust_id');
    const found: Scope[] = [];
    if (project !== undefined) found.push({ kind: 'project', project });
    if (domain !== undefined) found.push({ kind: 'domain', domain });
    if (trust !== undefined) found.push({ kind: 'trust', id: trust });
    if (text('system_scope') !== undefined) found.push({ kind: 'system' });
    if (found.length > 1) {
      const kinds = found.map(({ kind }) => kind).join(' and ');
      complain('auth_type', `a token is for one of project, domain, trust and system, and here are ${kinds}`);
    }
    return found[0] ?? { kind: 'none' };
  }

  function keystone(credentials: Credentials, of: Scope): Authentication {
    return { kind: 'keystone', url: need('auth_url', 'it is where Keystone is'), credentials, scope: of };
  }

  function read(): Authentication | undefined {
    switch (type!.replace(/^v3(?=password$|token$)/, '')) {
      case 'password':
        return keystone({ kind: 'password', user: user(), password: need('password', by) }, scope());
      case 'token':
        return keystone({ kind: 'token', token: need('token', by) }, scope());
      case 'v3applicationcredential': {
        const secret = need('application_credential_secret', by);
        const id = text('application_credential_id');
        if (id !== undefined)
          return keystone({ kind: 'application credential', secret, credential: { id } }, { kind: 'none' });
        const name = need('application_credential_name', `${by}, and application_credential_id is not given`);
        return keystone(
          { kind: 'application credential', secret, credential: { name, user: user() } },
          { kind: 'none' },
        );
      }
      case 'none':
        return { kind: 'none', endpoint: text('endpoint') };
      case 'http_basic':
        return {
          kind: 'basic',
          endpoint: text('endpoint'),
          user: need('username', by),
          password: need('password', by),
        };
      case 'admin_token':
        return { kind: 'fixed token', endpoint: text('endpoint'), token: need('token', by) };
      default: {
        const why =
          others[type!] ?? (foreign.test(type!) ? 'Berth cannot do that: make an application credential' : undefined);
        return complain(
          'auth_type',
          why ?? `it is one of ${known.join(', ')}, not '${type}'${didYouMean(type!, known)}`,
        );
      }
    }
  }

  const authentication = read();
  return options.problems.length > before ? undefined : authentication;
}
