/** What Contiv's own tests of its API do (netmaster/objApi/objapi_test.go), over HTTP. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Bench, type Reply, startBench } from './bench.ts';

export interface Contiv {
  /** The request must succeed. */
  ok(method: 'POST' | 'PUT' | 'DELETE' | 'GET', path: string, body?: object): Promise<Reply>;
  /** The request must be refused with this status, in these words. */
  refused(
    status: number,
    message: string,
    method: 'POST' | 'PUT' | 'DELETE' | 'GET',
    path: string,
    body?: object,
  ): Promise<void>;
}

/** Requests that also check that a refusal leaves everything as it was. */
export function contiv(bench: Bench): Contiv {
  const state = async () =>
    JSON.stringify((await bench.store.list('berth/')).entries.filter(({ key }) => !key.startsWith('berth/gate/')));
  return {
    async ok(method, path, body) {
      const reply = await bench.call(method, path, body);
      assert.equal(reply.status, 200, `${method} ${path} ${JSON.stringify(body)}: ${reply.text}`);
      return reply;
    },
    async refused(status, message, method, path, body) {
      const before = await state();
      const reply = await bench.call(method, path, body);
      assert.deepEqual({ status: reply.status, text: reply.text }, { status, text: message });
      assert.equal(await state(), before, 'a refusal has changed something');
    },
  };
}

export function network(tenantName: string, networkName: string, subnet: string, more: object = {}) {
  return [
    `networks/${encodeURIComponent(`${tenantName}:${networkName}`)}/`,
    { tenantName, networkName, subnet, encap: 'vxlan', ...more },
  ] as const;
}

export function group(tenantName: string, networkName: string, groupName: string, more: object = {}) {
  return [`endpointGroups/${tenantName}:${groupName}/`, { tenantName, networkName, groupName, ...more }] as const;
}

export function policy(tenantName: string, policyName: string) {
  return [`policys/${tenantName}:${policyName}/`, { tenantName, policyName }] as const;
}

export function rule(policyName: string, ruleId: string, more: object = {}, tenantName = 'default') {
  const body = { tenantName, policyName, ruleId, direction: 'in', action: 'allow', protocol: 'tcp', ...more };
  return [`rules/${tenantName}:${policyName}:${ruleId}/`, body] as const;
}

export function profile(profileName: string, more: object = {}, tenantName = 'default') {
  return [`netprofiles/${tenantName}:${profileName}/`, { tenantName, profileName, ...more }] as const;
}

export function appProfile(tenantName: string, appProfileName: string, endpointGroups: readonly string[]) {
  return [`appProfiles/${tenantName}:${appProfileName}/`, { tenantName, appProfileName, endpointGroups }] as const;
}

export function contracts(contractsGroupName: string, contractsType: string) {
  const body = { tenantName: 'default', contractsGroupName, contractsType, contracts: ['uni/tn-common/brc-default'] };
  return [`extContractsGroups/default:${contractsGroupName}/`, body] as const;
}

export function service(serviceName: string, networkName: string, more: object = {}) {
  const body = {
    tenantName: 'default',
    serviceName,
    networkName,
    ports: ['80:8080:TCP'],
    selectors: ['key1=value1'],
    ...more,
  };
  return [`serviceLBs/default:${serviceName}/`, body] as const;
}

export function settings(more: object = {}) {
  const body = {
    name: 'global',
    networkInfraType: 'default',
    vlans: '1-4094',
    vxlans: '1-10000',
    fwdMode: 'bridge',
    arpMode: 'proxy',
    pvtSubnet: '172.19.0.0/16',
    ...more,
  };
  return ['globals/global/', body] as const;
}

export function tenant(tenantName: string) {
  return [`tenants/${encodeURIComponent(tenantName)}/`, { tenantName }] as const;
}

/** One of Contiv's tests, on a cluster of its own. */
export function objapi(name: string, work: (api: Contiv, bench: Bench) => Promise<void>): void {
  void test(name, async () => {
    await using bench = await startBench();
    await work(contiv(bench), bench);
  });
}

/** The state beside the configuration. */
export async function oper(api: Contiv, path: string) {
  return (await api.ok('GET', `inspect/${path}`)).json.Oper;
}
