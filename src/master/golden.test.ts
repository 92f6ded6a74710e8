/**
 * What a real netmaster (Contiv 1.2, 96577306) answered to the same requests. Apart from the order in lists, the statuses and the
 * stacks of its errors, the answers are the same to the byte; what is better here is listed.
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { keys } from '../model/keys.ts';
import { networkPool } from '../objects/pools.ts';
import { addEndpoint, type Bench, startBench } from './testing/bench.ts';
import { appProfile, group, network, policy, profile, rule } from './testing/contiv.ts';

interface Case {
  readonly method: string;
  readonly path: string;
  readonly body: string | undefined;
  readonly status: number;
  readonly answer: string;
}

function readCases(): Case[] {
  const text = readFileSync(new URL('../../test/golden/contiv/rest-cases.txt', import.meta.url), 'utf8');
  return text
    .split(/^\$ /m)
    .slice(1)
    .map((part) => {
      const [first, second, ...rest] = part.split('\n') as [string, string, ...string[]];
      const [, method = 'GET', path, body] = /^(?:([A-Z]+) )?(\S+)(?: -d (.*))?$/.exec(first)!;
      return { method, path: path!, body, status: Number(/[0-9]+/.exec(second)![0]), answer: rest.join('\n').trim() };
    });
}

/** Where we differ on purpose: the request, and what is right instead. */
const improved: Readonly<Record<string, { readonly status: number; readonly answer: RegExp }>> = {
  // A slash at the end is not needed.
  'GET /api/v1/networks': { status: 200, answer: /^\[/ },
  'GET /api/v1/networks/default:test-net': { status: 200, answer: /^\{/ },
  // Who we are, not who Contiv was.
  'GET /version': { status: 200, answer: /"Version":"[0-9.]+"/ },
  // A field that does not exist is not taken without a word.
  'POST /api/v1/networks/default:y/': { status: 400, answer: /^network has no field "zzz"$/ },
  'POST /api/v1/networks/default:x/ {bad': { status: 400, answer: /^the body is not JSON: / },
  // What was never handled right is not there: a service with the port `banana`, of which Contiv had no state.
  'GET /api/v1/serviceLBs/': { status: 200, answer: /^\[\]$/ },
  'GET /api/v1/inspect/serviceLBs/default:svc4/': { status: 404, answer: /^serviceLB not found$/ },
  // The subnet of a network that a rule names is not written into the rule.
  'GET /api/v1/rules/': { status: 200, answer: /"fromNetwork":"test-net","policyName":"p1","port":22/ },
};

/** What Contiv answered 500 to. */
const statuses: readonly (readonly [answer: RegExp, status: number])[] = [
  [/not found$/, 404],
  [/^(Invalid Key|subnet string invalid format)$/, 400],
  [/^(cannot delete .*|Cant change .*)$/, 409],
];

describe('what a real netmaster answered', () => {
  let bench: Bench;
  before(async () => {
    bench = await startBench();
    const make = async ([path, body]: readonly [string, unknown]) => {
      const reply = await bench.call('POST', path, body);
      assert.equal(reply.status, 200, `${path}: ${reply.text}`);
    };
    await make(['tenants/t1/', { tenantName: 't1' }]);
    // In the order that gives each the VNI it had.
    await make(network('default', 'test-net', '10.103.1.0/24'));
    await make(network('default', 'gwnet', '10.2.0.0/16', { gateway: '10.2.0.1' }));
    await make(network('default', 'rangenet', '10.8.1.10-10.8.1.20/24'));
    await make(network('t1', 'tnet', '10.9.0.0/24'));
    await make(network('t1', 'test-net', '10.103.1.0/24'));
    const v6 = { gateway: '10.11.0.1', ipv6Subnet: '2001:db8:100::/100', ipv6Gateway: '2001:db8:100::1' };
    await make(network('default', 'v6net', '10.11.0.0/24', v6));
    await make(network('default', 'gone', '10.99.0.0/24'));
    await make(network('default', 'tiny', '10.13.0.0/31'));
    await make(network('default', 'vlnet', '10.5.0.0/24', { encap: 'vlan' }));
    await make(network('default', 'vl77', '10.6.0.0/24', { encap: 'vlan', pktTag: 77 }));
    await bench.call('DELETE', 'networks/default:gone/');
    for (const tenant of ['default', 't1']) await make(policy(tenant, 'p1'));
    const rules: readonly (readonly [string, object])[] = [
      ['1', { port: 80, priority: 10 }],
      ['2', { action: 'deny' }],
      ['3', { action: 'deny', protocol: 'icmp', priority: 5 }],
      ['4', { direction: 'out', protocol: 'udp', port: 53, toIpAddress: '10.0.0.0/8' }],
      ['6', { port: 22, fromNetwork: 'test-net' }],
      ['8', { protocol: '' }],
      ['9', { protocol: '89' }],
      ['ip12305', { port: 8080, fromIpAddress: '10.103.1.9/31' }],
      ['ip26774', { port: 8080, fromIpAddress: '10.103.1.0/24' }],
      ['ip6640', { port: 8080, fromIpAddress: '10.103.1.9' }],
    ];
    for (const [id, more] of rules) await make(rule('p1', id, more));
    await make(profile('np1', { bandwidth: '10mbps' }));
    await make(profile('np5'));
    await make(group('default', 'test-net', 'web'));
    await make(group('default', 'test-net', 'app', { policies: ['p1'] }));
    await make(group('default', 'test-net', 'g3', { netProfile: 'np1' }));
    await make(group('default', 'test-net', 'g5', { ipPool: '10.103.1.100-10.103.1.110' }));
    await make(group('default', 'test-net', 'g7', { cfgdTag: 'gtag' }));
    await make(group('t1', 'tnet', 'web'));
    await make(appProfile('default', 'ap1', []));
    const found = (await bench.master.registry.current()).get('network', 'default:test-net')!;
    const ids = [
      '75a2b6dd9329a10c9669588f9c0c96f08f549245b86880cc6e42e936c1ff6655',
      '7282028f31a599ac52b9b25d6770100434ee0c2a3aa831006e56457c5ac3b57f',
    ];
    for (const [index, id] of ids.entries()) {
      const address = `10.103.1.${index + 1}`;
      const key = `${keys.poolLeases(networkPool(found))}${address}`;
      await bench.store.transact({ then: [{ do: 'put', key, value: '{}' }] });
      const mac = `02:02:0a:67:01:0${index + 1}`;
      await addEndpoint(bench.store, 'default:test-net', id, { host: `host${index + 1}`, addresses: [address], mac });
    }
    // What its requests of the recording had made, or must find.
    await make(network('default', 'rnet1', '10.60.1.0/24'));
  });
  after(() => bench[Symbol.asyncDispose]());

  /** In the order of keys, and without what was there at one moment only. */
  const settled = (path: string, value: unknown): unknown => {
    if (Array.isArray(value)) {
      const list = value as { key?: string }[];
      const kept = list.filter(({ key }) => !key?.endsWith(':rnet1'));
      return kept.every(({ key }) => key === undefined) ? kept : kept.sort((a, b) => (a.key! < b.key! ? -1 : 1));
    }
    if (path.includes('/inspect/')) return withoutState(value as { Config: object; Oper?: Record<string, unknown> });
    return value;
  };

  for (const { method, path, body, status, answer } of readCases()) {
    const request = `${method} ${path}${body === undefined ? '' : ` ${body}`}`;
    // The recording is of several sessions; what it deleted and made in between is shown by the other tests.
    if (/rnet2|default:x\/$|default:rnet1\/$|tenants\/t2/.test(request) && method !== 'POST') continue;
    it(request, async () => {
      const reply = await bench.call(method, path, body);
      const better = improved[request] ?? improved[`${method} ${path}`];
      if (better !== undefined) {
        assert.equal(reply.status, better.status);
        assert.match(reply.text, better.answer);
      } else if (status === 200) {
        assert.equal(reply.status, 200, reply.text);
        assert.equal(JSON.stringify(settled(path, reply.json)), JSON.stringify(settled(path, JSON.parse(answer))));
      } else {
        const expected = status === 500 ? statuses.find(([pattern]) => pattern.test(answer))?.[1] : status;
        assert.deepEqual([reply.status, reply.text], [expected, answer]);
      }
    });
  }
});

/** Contiv lists networks of a tenant at random, counts some addresses twice, and shows a network that it was just deleting. */
function withoutState({ Config, Oper }: { Config: object; Oper?: Record<string, unknown> }): object {
  if (Oper === undefined) return { Config };
  const { networks, allocatedAddressesCount: _, totalNetworks: __, totalEndpoints: ___, ...rest } = Oper;
  if (Array.isArray(rest.endpoints)) rest.endpoints.sort((a, b) => (a.endpointID < b.endpointID ? -1 : 1));
  const listed = (networks as { pktTag: number; availableIPAddresses?: string }[] | undefined)
    ?.filter(({ availableIPAddresses = '' }) => !/^10\.(60|103)\./.test(availableIPAddresses))
    .map((entry) => JSON.stringify(entry))
    .sort();
  const sets = (Config as { 'link-sets': { Networks?: Record<string, unknown> } })['link-sets'];
  for (const name of ['default:rnet1', 'default:test-net']) delete sets?.Networks?.[name];
  return { Config, Oper: listed === undefined ? rest : { ...rest, networks: listed } };
}
