import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { AllocateNetwork } from '../../docker/driver.ts';
import { parseAddress } from '../../model/address.ts';
import { parseNetworkId } from '../../model/ids.ts';
import type { Objects } from '../../model/objects/kind.ts';
import { kindOf } from '../../model/objects/kinds.ts';
import { parsePrefix } from '../../model/prefix.ts';
import { openRegistry, type Registry } from '../../objects/registry.ts';
import { openSqliteStore } from '../../store/sqlite/store.ts';
import type { Store } from '../../store/store.ts';
import { createSwarmNetworks } from './networks.ts';

const id = parseNetworkId('rukf63n4gxudh5jb2iwdf828v')!;
const prefix = (text: string) => parsePrefix(text)!;
const network = (subnet: string, options: Record<string, string> = {}): AllocateNetwork => ({
  id,
  options,
  subnets: [{ prefix: prefix(subnet), gateway: parseAddress('10.66.0.1')!, auxiliary: {} }],
});

describe('networks of a swarm', () => {
  let registry: Registry;
  let store: Store;
  let folder: string;
  const listeners: (() => void)[] = [];
  let heard: Objects | undefined;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-swarm-'));
    store = await openSqliteStore(join(folder, 'berth.db'));
    registry = openRegistry(store);
    heard = undefined;
    const global = {
      name: 'global',
      networkInfraType: 'default',
      vlans: '1-4094',
      vxlans: '1-10000',
      fwdMode: 'bridge',
    };
    await registry.put(kindOf('global'), 'global', global);
    await registry.put(kindOf('tenant'), 'default', { tenantName: 'default' });
  });
  afterEach(async () => {
    registry.close();
    await store.close();
    rmSync(folder, { recursive: true });
  });

  const networks = (nodes = 3) =>
    createSwarmNetworks({
      cluster: { registry, objects: () => heard, onObjects: (listener) => void listeners.push(listener) },
      nodes: () => nodes,
    });

  it('are made networks of the cluster, and nodes are told which; each new leader says the same', async () => {
    const told = await networks().allocate(network('10.66.0.0/24', { mtu: '1400' }));
    assert.deepEqual(told, { mtu: '1400', tenant: 'swarm', network: id });
    const object = (await registry.current()).get('network', `swarm:${id}`);
    assert.equal(object?.config.subnet, '10.66.0.0/24');
    assert.equal(object?.config.gateway, '10.66.0.1');
    assert.equal(object?.allocated.tag, 1);
    assert.deepEqual(await networks().allocate(network('10.66.0.0/24', told)), told);
    await assert.rejects(networks().allocate(network('10.67.0.0/24', told)), { code: 'OBJECT_CONFLICT' });
  });

  it('go with the swarm network, and not twice', async () => {
    await networks().allocate(network('10.66.0.0/24'));
    await networks().free(id, new AbortController().signal);
    assert.equal((await registry.current()).get('network', `swarm:${id}`), undefined);
    await networks().free(id, new AbortController().signal);
  });

  it('stand for a network that the cluster has, if they name one; that stays', async () => {
    const options = { network: 'web' };
    await assert.rejects(networks().allocate(network('10.66.0.0/24', options)), {
      code: 'OBJECT_UNKNOWN',
      message: /default:web/,
    });
    const web = { tenantName: 'default', networkName: 'web', subnet: '10.66.0.0/24', encap: 'vxlan' };
    await registry.put(kindOf('network'), 'default:web', web);
    assert.deepEqual(await networks().allocate(network('10.66.0.0/24', options)), options);
    await networks().free(id, new AbortController().signal);
    assert.ok((await registry.current()).get('network', 'default:web'));
  });

  it('are refused where nodes share no store, unless there is only one', async () => {
    const alone = (nodes: number | undefined) => createSwarmNetworks({ cluster: undefined, nodes: () => nodes });
    await assert.rejects(alone(2).allocate(network('10.66.0.0/24')), { code: 'CLUSTER_ABSENT' });
    assert.deepEqual(await alone(1).allocate(network('10.66.0.0/24')), {});
    await alone(1).free(id, new AbortController().signal);
  });

  it('are waited for by a node that has not heard of them', async () => {
    const swarm = networks();
    const options = await swarm.allocate(network('10.66.0.0/24'));
    let arrived = false;
    const waiting = swarm.heardOf(options, new AbortController().signal).then(() => {
      arrived = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(arrived, false);
    heard = await registry.current();
    for (const listener of listeners) listener();
    await waiting;
    await swarm.heardOf({}, new AbortController().signal);
    const ended = new AbortController();
    const never = swarm.heardOf({ network: 'none' }, ended.signal);
    ended.abort();
    await never;
  });
});
