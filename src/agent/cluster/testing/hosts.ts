/** Hosts on one store, as far as addresses are concerned: each with its own IPAM and its own idea of the cluster. */

import type { Call } from '../../../docker/driver.ts';
import { type Ipam, openIpam } from '../../../ipam/ipam.ts';
import { formatAddress, parseAddress } from '../../../model/address.ts';
import type { PoolId } from '../../../model/ids.ts';
import { kindOf } from '../../../model/objects/kinds.ts';
import { parsePrefix } from '../../../model/prefix.ts';
import { openRegistry, type Registry } from '../../../objects/registry.ts';
import { createMemoryStore } from '../../../store/memory.ts';
import type { Store } from '../../../store/store.ts';
import { createLeases, type Leases } from '../../leases.ts';
import { createNames } from '../../names.ts';
import { openState, type State } from '../../state.ts';
import { noConflicts } from '../../testing/conflicts.ts';

export interface TestHost extends AsyncDisposable {
  readonly ipam: Ipam;
  readonly state: State;
  readonly leases: Leases;
  /** As an engine asks for the pool of a network. */
  pool(options: Readonly<Record<string, string>>, subnet?: string, family?: 4 | 6): Promise<PoolId>;
  /** As an engine asks for an address. @returns it, with the length of its subnet. */
  request(pool: PoolId, address?: string, more?: { readonly name?: string; readonly mac?: string }): Promise<string>;
  gateway(pool: PoolId, address?: string): Promise<string>;
  release(pool: PoolId, address: string): Promise<void>;
}

const call = { plugin: 'berth', signal: new AbortController().signal } satisfies Call;

/** @param engine the id of its engine. */
export async function openHost(store: Store, name: string, engine = name): Promise<TestHost> {
  const state = await openState(createMemoryStore(), name);
  const ipam = await openIpam(store, { seed: name });
  const registry = openRegistry(store);
  const view = { links: [], addresses: [], routes: [] };
  const leases = createLeases({
    ipam,
    state,
    host: { current: () => view, refresh: () => Promise.resolve(view), onChange() {} },
    names: createNames(),
    plugins: new Map([['berth', { name: 'berth', fabric: 'cluster', scope: 'local' } as const]]),
    conflicts: noConflicts,
    cluster: { store, registry, objects: () => undefined, host: name, events: { emit() {} } },
    engineId: () => engine,
    monotonic: () => performance.now(),
  });
  leases.reconciled();
  const ending = new AbortController();
  const following = leases.follow(ending.signal);
  const { driver } = leases;
  return {
    ipam,
    state,
    leases,
    async pool(options, subnet, family = 4) {
      const given = subnet === undefined ? {} : { subnet: parsePrefix(subnet)! };
      return (await driver.requestPool({ space: 'berth', family, options, ...given }, call)).id;
    },
    async request(pool, address, { name, mac } = {}) {
      const answer = await driver.requestAddress(
        {
          pool,
          purpose: 'endpoint',
          ...(address === undefined ? {} : { address: parseAddress(address)! }),
          ...(name === undefined ? {} : { name }),
          ...(mac === undefined ? {} : { mac: mac as never }),
        },
        call,
      );
      return `${formatAddress(answer.address)}/${answer.length}`;
    },
    async gateway(pool, address) {
      const given = address === undefined ? {} : { address: parseAddress(address)! };
      const answer = await driver.requestAddress({ pool, purpose: 'gateway', ...given }, call);
      return `${formatAddress(answer.address)}/${answer.length}`;
    },
    release: (pool, address) => driver.releaseAddress(pool, parseAddress(address)!, call),
    async [Symbol.asyncDispose]() {
      ending.abort();
      await following;
      registry.close();
    },
  };
}

/** An administrator, with what a cluster begins with. */
export async function openCluster(store: Store): Promise<Registry> {
  const registry = openRegistry(store);
  await registry.put(kindOf('global'), 'global', { fwdMode: 'bridge' });
  await registry.put(kindOf('tenant'), 'default', { tenantName: 'default' });
  return registry;
}

export async function makeNetwork(
  registry: Registry,
  key: string,
  subnet: string,
  more: Readonly<Record<string, string>> = {},
): Promise<void> {
  const [tenantName, networkName] = key.split(':');
  await registry.put(kindOf('network'), key, { tenantName, networkName, encap: 'vxlan', subnet, ...more });
}

export async function makeGroup(registry: Registry, network: string, groupName: string, ipPool = ''): Promise<void> {
  const [tenantName, networkName] = network.split(':');
  const body = { tenantName, networkName, groupName, ipPool };
  await registry.put(kindOf('endpointGroup'), `${tenantName}:${groupName}`, body);
}
