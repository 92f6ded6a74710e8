/**
 * A Neutron that fails in every way, at every call of the start and the stop of containers. Docker is answered within 10 s, the user
 * reads what was wrong, and once it is well again Neutron, Berth and the kernel agree, and nothing is left.
 */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { type Bed, openBed } from './bed/bed.ts';
import type { EngineNetwork, WantedContainer, WantedNetwork } from './suites/engine-calls.ts';
import {
  asItIs,
  type FaultyBed,
  type FaultyHost,
  faultyBed,
  oneNetwork,
  throughout,
  withNetworks,
} from './suites/neutron-faults.ts';

let bed: Bed;
let faulty: FaultyBed;

before(async () => {
  bed = await openBed('neutron-faults-ports');
  faulty = await faultyBed(bed, 3);
});
afterEach(() => faulty.stack.calls.heal());
after(() => bed[Symbol.asyncDispose]());

const containerOn = ({ engine }: FaultyHost, network: EngineNetwork, wanted?: WantedContainer) => ({
  make: () => engine.start(network, wanted),
  unmake: (container: Awaited<ReturnType<typeof engine.start>>) => engine.stop(network, container),
  rest: oneNetwork,
});
const v4 = { subnet: '10.21.0.0/24', gateway: '10.21.0.1' };
const v6 = { subnet: 'fd21::/64', gateway: 'fd21::1' };

test('a container', (context) =>
  withNetworks(
    faulty,
    () => ({ subnets: [v4, v6] }),
    (network) => throughout(context, faulty, (on) => containerOn(on, network(on))),
  ));

test('a container on a port that was there, which it wants otherwise', async (context) => {
  const { stack } = faulty;
  const wanted: WantedNetwork = { subnets: [v4] };
  await withNetworks(
    faulty,
    () => wanted,
    async (network) => {
      const ports = new Map<FaultyHost, { id: string; was: unknown }>();
      for (const on of faulty.hosts) {
        const name = `berth-net-${network(on).id.slice(0, 8)}`;
        const [net] = await stack.neutron.get<{ id: string }[]>(`/networks?name=${name}`);
        const fixed_ips = [{ ip_address: '10.21.0.99' }];
        const { id } = await stack.neutron.post('/ports', { network_id: net!.id, name: 'theirs', fixed_ips });
        ports.set(on, { id, was: await asItIs(stack, `/ports/${id}`) });
      }
      await throughout(context, faulty, (on) => {
        const { id, was } = ports.get(on)!;
        const options = { 'neutron.port.uuid': id, 'neutron.allowed_address_pairs': '10.21.0.200' };
        const check = async () => assert.deepEqual(await asItIs(stack, `/ports/${id}`), was);
        return { ...containerOn(on, network(on), { ip: '10.21.0.99', options }), check };
      });
      for (const { id } of ports.values()) await stack.neutron.delete(`/ports/${id}`);
    },
  );
});
