/** Which networks are taken up from the engine. That they then work is shown on real engines (`test/e2e/adoption.test.ts`). */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { EngineNetwork } from '../docker/engine.ts';
import type { EndpointId, NetworkId } from '../model/ids.ts';
import type { Network } from '../model/network.ts';
import { createAdoption } from './adoption.ts';
import type { PluginConfig } from './config.ts';

const id = 'a'.repeat(64) as NetworkId;
const [here, elsewhere] = ['c'.repeat(64), `ep-${'e'.repeat(64)}`];

function seen(scope: string, ...containers: readonly string[]): EngineNetwork {
  const endpoints = containers.map((container) => ({
    id: 'e'.repeat(64) as EndpointId,
    container,
    name: 'c',
    addresses: [],
  }));
  const of = { options: {}, ipamOptions: {}, labels: {}, subnets: [], endpoints };
  return { id, name: 'n', driver: 'berth', ipamDriver: 'berth', scope, internal: false, ...of };
}

const never = () => assert.fail('nothing is adopted here');
function adoption(networks: ReadonlyMap<NetworkId, Network> = new Map()) {
  return createAdoption({
    state: { networks },
    lifecycle: { serialise: never, context: never, adopt: never },
    leases: { serves: () => true, usualGateway: never, adopt: never },
    host: { refresh: never },
    plugins: new Map<string, PluginConfig>([['berth', { name: 'berth', fabric: 'cluster', scope: 'global' }]]),
    now: Date.now,
  });
}

it('a network of this host that no record knows is taken up, whether it has containers or not', () => {
  assert.equal(adoption().isUnknown(seen('local')), true);
  assert.equal(adoption().isUnknown(seen('local', here)), true);
  assert.equal(adoption(new Map([[id, {} as Network]])).isUnknown(seen('local', here)), false);
});

it('one that all engines list is taken up where it has containers, and not while another host is making it', () => {
  for (const scope of ['global', 'swarm']) {
    assert.equal(adoption().isUnknown(seen(scope)), false);
    assert.equal(adoption().isUnknown(seen(scope, elsewhere)), false);
    assert.equal(adoption().isUnknown(seen(scope, elsewhere, here)), true);
  }
});
