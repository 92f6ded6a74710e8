/** Requests that nobody should send, and what must be answered. */

import type { Field } from '../../model/objects/field.ts';
import type { Kind } from '../../model/objects/kind.ts';
import { kinds } from '../../model/objects/kinds.ts';
import { appProfile, contracts, group, network, policy, profile, rule, service } from './contiv.ts';

export interface Hostile {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly status: number;
  readonly says: RegExp;
}

/** One object of each kind that nothing is wrong with. */
export const samples: Readonly<Record<Kind['name'], readonly [path: string, body: Readonly<Record<string, unknown>>]>> =
  {
    aciGw: ['aciGws/aciGw/', { physicalDomain: 'phys' }],
    appProfile: appProfile('default', 'ap', ['web']),
    Bgp: ['Bgps/host1/', { hostname: 'host1', routerip: '50.1.1.2/24' }],
    endpointGroup: group('default', 'net', 'web', { policies: ['p'], netProfile: 'np', extContractsGrps: ['ec'] }),
    extContractsGroup: contracts('ec', 'provided'),
    global: ['globals/global/', { arpMode: 'proxy' }],
    netprofile: profile('np', { bandwidth: '10 Mbps' }),
    network: network('default', 'net', '10.1.1.0/24', { gateway: '10.1.1.254' }),
    policy: policy('default', 'p'),
    rule: rule('p', '1', { fromEndpointGroup: 'web' }),
    serviceLB: service('svc', 'net'),
    tenant: ['tenants/blue/', { tenantName: 'blue' }],
  };
/** In which they can be made. */
export const order = [
  'tenant',
  'network',
  'policy',
  'netprofile',
  'extContractsGroup',
  'endpointGroup',
  'rule',
  'serviceLB',
  'appProfile',
] as const;

/** Values of a type that the field does not have. */
function wrongTypes(field: Field): unknown[] {
  switch (field.type) {
    case 'text':
      return [7, true, ['a'], { a: 1 }];
    case 'integer':
      return ['7', true, [7], 1.5, 1e300];
    case 'texts':
      return ['a', 7, [7], [['a']], [null], { length: 1 }];
  }
}

/** Every field of every kind with values that it does not take, and what else every kind must refuse. */
export function* typeCases(): Generator<Hostile> {
  for (const kind of kinds.values()) {
    const [path, body] = samples[kind.name];
    for (const [field, of] of Object.entries(kind.fields)) {
      for (const value of wrongTypes(of)) {
        const shown = JSON.stringify(value);
        yield {
          name: `${kind.name} with ${field} ${shown}`,
          method: 'POST',
          path,
          body: { ...body, [field]: value },
          status: 400,
          says: new RegExp(`^${field} must be a (string|number|whole number|list of strings), not `),
        };
      }
      if (of.type !== 'text') continue;
      yield {
        name: `${kind.name} with a ${field} of 900 kB`,
        method: 'POST',
        path,
        body: { ...body, [field]: 'a'.repeat(900_000) },
        status: 400,
        says: /^(Invalid Key|.* string (too long|invalid format)|Contracts group need to be .*)$/,
      };
      yield {
        name: `${kind.name} with half a character in ${field}`,
        method: 'POST',
        path,
        body: JSON.stringify({ ...body, [field]: '?' }).replace('"?"', '"\\ud800"'),
        status: 400,
        says: new RegExp(`^(Invalid Key|${field} string invalid format)$`),
      };
    }
    for (const unknown of ['zzz', '__proto__', 'constructor', 'toString', '', 'x'.repeat(100_000)]) {
      yield {
        name: `${kind.name} with an unknown field ${unknown.slice(0, 20)}`,
        method: 'POST',
        path,
        body: `{${JSON.stringify(unknown)}: 1, ${JSON.stringify(body).slice(1)}`,
        status: 400,
        says: new RegExp(`^${kind.name} has no field ".{0,60}…?"`),
      };
    }
    yield {
      name: `${kind.name} under the key of another`,
      method: 'POST',
      path: `${kind.path}/default:other:x/`,
      body,
      status: 400,
      says: /^Invalid Key$/,
    };
    yield {
      name: `${kind.name} that is not there`,
      method: 'GET',
      path: `${kind.path}/nosuch:x/`,
      status: 404,
      says: /not found$/,
    };
    yield {
      name: `no ${kind.name} to delete`,
      method: 'DELETE',
      path: `${kind.path}/nosuch:x/`,
      status: 404,
      says: /not found$/,
    };
    yield {
      name: `PATCH ${kind.name}`,
      method: 'PATCH',
      path,
      body: {},
      status: 405,
      says: /takes GET, POST, PUT and DELETE, not PATCH$/,
    };
    yield {
      name: `POST to all ${kind.path}`,
      method: 'POST',
      path: `${kind.path}/`,
      body,
      status: 405,
      says: /takes GET, not POST$/,
    };
    yield {
      name: `${kind.path} with more path`,
      method: 'GET',
      path: `${kind.path}/a/b/`,
      status: 404,
      says: /^404 page not found$/,
    };
    for (const match of ['"999999"', '"x"', '7', '*, "1"', 'W/"1"']) {
      yield {
        name: `${kind.name} with If-Match ${match}`,
        method: 'POST',
        path,
        body,
        headers: { 'if-match': match },
        status: match === '"999999"' ? 412 : 400,
        says: /requires 999999$|^If-Match must be the ETag of the object, or \*$/,
      };
    }
  }
}

const bodies: readonly (readonly [name: string, body: string | undefined, says: RegExp])[] = [
  ['none', undefined, /^the body is not JSON: it is empty$/],
  ['broken', '{bad', /^the body is not JSON: /],
  ['unfinished', '{"tenantName":"a"', /^the body is not JSON: /],
  ['two', '{}{}', /^the body is not JSON: /],
  ['a list', '[{"tenantName":"a"}]', /^the body is not a JSON object$/],
  ['null', 'null', /^the body is not a JSON object$/],
  ['a number', '7', /^the body is not a JSON object$/],
  ['a string', '"tenant"', /^the body is not a JSON object$/],
  ['deep', '['.repeat(100_000), /^the body is not JSON: /],
  ['XML', '<tenant/>', /^the body is not JSON: /],
];

/** What concerns one kind, or none. */
export const others: readonly Hostile[] = [
  ...bodies.map(
    ([name, body, says]): Hostile => ({
      name: `body: ${name}`,
      method: 'POST',
      path: 'tenants/a/',
      body,
      status: 400,
      says,
    }),
  ),
  {
    name: 'a body of 2 MB',
    method: 'POST',
    path: 'tenants/a/',
    body: `{"tenantName":"${'a'.repeat(2_000_000)}"}`,
    status: 413,
    says: /more than 1048576 bytes$/,
  },
  { name: 'no such path', method: 'GET', path: '/nosuch', status: 404, says: /^404 page not found$/ },
  { name: 'the root', method: 'GET', path: '/', status: 404, says: /^404 page not found$/ },
  { name: 'no such kind', method: 'POST', path: 'nosuch/a/', body: {}, status: 404, says: /^404 page not found$/ },
  { name: 'a name of an object', method: 'GET', path: '__proto__/a/', status: 404, says: /^404 page not found$/ },
  { name: 'inspect of no kind', method: 'GET', path: 'inspect/nosuch/a/', status: 404, says: /^404 page not found$/ },
  { name: 'inspect of no key', method: 'GET', path: 'inspect/networks/', status: 404, says: /^404 page not found$/ },
  {
    name: 'a slash in a key',
    method: 'POST',
    path: 'tenants/bad/name/',
    body: { tenantName: 'bad/name' },
    status: 404,
    says: /^404 page not found$/,
  },
  {
    name: 'no percent-encoding',
    method: 'GET',
    path: 'tenants/%zz/',
    status: 400,
    says: /^the path is not percent-encoded text$/,
  },
  {
    name: 'no UTF-8',
    method: 'GET',
    path: 'tenants/%ff/',
    status: 400,
    says: /^the path is not percent-encoded text$/,
  },
  { name: 'volumes', method: 'POST', path: 'volumes/default:v/', body: {}, status: 400, says: /^Invalid object type$/ },
  {
    name: 'a limit that is none',
    method: 'GET',
    path: 'networks/?limit=-1',
    status: 400,
    says: /^limit must be a number from 1 on$/,
  },
  { name: 'a watch of nothing', method: 'GET', path: 'watch/?kind=nosuch', status: 400, says: /^kind must be one of / },
  {
    name: 'If-None-Match',
    method: 'POST',
    ...make('policy'),
    headers: { 'if-none-match': '"1"' },
    status: 400,
    says: /^If-None-Match can only be \*$/,
  },
  {
    name: 'to create what is there',
    method: 'POST',
    ...make('policy'),
    headers: { 'if-none-match': '*' },
    status: 412,
    says: /requires that there is none$/,
  },
  {
    name: 'to change what is not there',
    method: 'POST',
    path: 'policys/default:q/',
    body: { tenantName: 'default', policyName: 'q' },
    headers: { 'if-match': '*' },
    status: 412,
    says: /does not exist/,
  },
  {
    name: 'a group on a network of another tenant',
    method: 'POST',
    ...to(group('blue', 'net', 'g')),
    status: 400,
    says: /^Network net not found$/,
  },
  {
    name: 'a rule of a policy of another tenant',
    method: 'POST',
    ...to(rule('p', '9', {}, 'blue')),
    status: 400,
    says: /^Policy not found$/,
  },
  {
    name: 'a policy twice',
    method: 'POST',
    ...to(group('default', 'net', 'web', { policies: ['p', 'p'] })),
    status: 400,
    says: /^policies names one of them twice$/,
  },
  {
    name: 'a group twice',
    method: 'POST',
    ...to(appProfile('default', 'ap', ['web', 'web'])),
    status: 400,
    says: /^endpointGroups names one of them twice$/,
  },
  {
    name: 'a thousand and one groups',
    method: 'POST',
    ...to(appProfile('default', 'ap', Array.from({ length: 1001 }, String))),
    status: 400,
    says: /^endpointGroups has more than 1000 elements$/,
  },
  {
    name: 'a pool beyond the network',
    method: 'POST',
    ...to(group('default', 'net', 'g', { ipPool: '10.1.2.1-10.1.2.9' })),
    status: 400,
    says: /^bad ip-pool 10.1.2.1-10.1.2.9, EPG ip-pool must be a subset of network 10.1.1.0\/24$/,
  },
  {
    name: 'a pool with the network address',
    method: 'POST',
    ...to(group('default', 'net', 'g', { ipPool: '10.1.1.0-10.1.1.20' })),
    status: 400,
    says: /^bad ip-pool/,
  },
  {
    name: 'a pool with the broadcast address',
    method: 'POST',
    ...to(group('default', 'net', 'g', { ipPool: '10.1.1.240-10.1.1.255' })),
    status: 400,
    says: /^bad ip-pool/,
  },
  {
    name: 'a pool with the gateway',
    method: 'POST',
    ...to(group('default', 'net', 'g', { ipPool: '10.1.1.250-10.1.1.254' })),
    status: 409,
    says: /^ip address 10.1.1.254 is not available$/,
  },
  {
    name: 'a pool backwards',
    method: 'POST',
    ...to(group('default', 'net', 'g', { ipPool: '10.1.1.20-10.1.1.10' })),
    status: 400,
    says: /^invalid ip-pool 10.1.1.20-10.1.1.10$/,
  },
  {
    name: 'a pool as a subnet',
    method: 'POST',
    ...to(group('default', 'net', 'g', { ipPool: '10.1.1.0/28' })),
    status: 400,
    says: /^ipPool string invalid format$/,
  },
  {
    name: 'a pool of 320',
    method: 'POST',
    ...to(group('default', 'net', 'g', { ipPool: '10.1.1.110-10.1.1.320' })),
    status: 400,
    says: /^ipPool string invalid format$/,
  },
  {
    name: 'a pool of IPv6',
    method: 'POST',
    ...to(group('default', 'net', 'g', { ipPool: 'fd00::1-fd00::9' })),
    status: 400,
    says: /^ipv6 address pool is not supported for Endpoint Groups$/,
  },
  {
    name: 'a network with containers',
    method: 'DELETE',
    path: 'networks/default:busy/',
    status: 409,
    says: /^Error: Network has active endpoints$/,
  },
  {
    name: 'the settings with networks',
    method: 'DELETE',
    path: 'globals/global/',
    status: 409,
    says: /^Unable to update global due to existing 2 vxlans$/,
  },
  {
    name: 'a tenant in use',
    method: 'DELETE',
    path: 'tenants/default/',
    status: 409,
    says: /^cannot delete default, has 1 app profiles$/,
  },
  {
    name: 'a network in use',
    method: 'DELETE',
    path: 'networks/default:net/',
    status: 409,
    says: /^cannot delete net has 1 endpoint groups$/,
  },
  {
    name: 'a group in use',
    method: 'DELETE',
    path: 'endpointGroups/default:web/',
    status: 409,
    says: /^Cannot delete web, matched by rule default:p:1$/,
  },
  {
    name: 'a policy in use',
    method: 'DELETE',
    path: 'policys/default:p/',
    status: 409,
    says: /^Policy is being used$/,
  },
  {
    name: 'a profile in use',
    method: 'DELETE',
    path: 'netprofiles/default:np/',
    status: 409,
    says: /^NetProfile is being used$/,
  },
  {
    name: 'contracts in use',
    method: 'DELETE',
    path: 'extContractsGroups/default:ec/',
    status: 409,
    says: /^External contracts group is in-use$/,
  },
  {
    name: 'to move a service',
    method: 'POST',
    ...to(service('svc', 'busy')),
    status: 409,
    says: /^Cannot change the network of a service/,
  },
  {
    name: 'to give a service another address',
    method: 'POST',
    ...to(service('svc', 'net', { ipAddress: '10.1.1.99' })),
    status: 409,
    says: /^Cannot change the address of a service/,
  },
];

function make(kind: Kind['name']) {
  return to(samples[kind]);
}

function to([path, body]: readonly [string, unknown]) {
  return { path, body };
}
