/**
 * A Neutron that fails in every way, at every call of the start and the stop of containers that are reached from outside. Docker is
 * answered within 10 s, the user reads what was wrong, and once it is well again Neutron, Berth and the kernel agree, and nothing is left.
 */

import { after, afterEach, before, test } from 'node:test';
import { type Bed, openBed } from './bed/bed.ts';
import type { EngineNetwork, WantedContainer, WantedNetwork } from './suites/engine-calls.ts';
import {
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
  bed = await openBed('neutron-faults-reach');
  faulty = await faultyBed(bed, 3);
  const { neutron } = faulty.stack;
  const operator = faulty.stack.as('operator');
  const outside = await neutron.post('/networks', { name: 'outside', 'router:external': true });
  await neutron.post('/subnets', { network_id: outside.id, ip_version: 4, cidr: '172.24.4.0/24' });
  for (const { number } of faulty.hosts)
    await operator.post('/routers', {
      name: `router-${number}`,
      external_gateway_info: { network_id: outside.id },
    });
  await operator.post('/security-groups', { name: 'tight' });
});
afterEach(() => faulty.stack.calls.heal());
after(() => bed[Symbol.asyncDispose]());

const containerOn = ({ engine }: FaultyHost, network: EngineNetwork, wanted?: WantedContainer) => ({
  make: () => engine.start(network, wanted),
  unmake: (container: Awaited<ReturnType<typeof engine.start>>) => engine.stop(network, container),
  rest: oneNetwork,
});
const onRouter = ({ number }: FaultyHost, options: Readonly<Record<string, string>>): WantedNetwork => ({
  subnets: [{ subnet: `10.3${number}.0.0/24`, gateway: `10.3${number}.0.1` }],
  options: { 'neutron.router': `router-${number}`, 'neutron.floating_network': 'outside', ...options },
});

test('a container with a floating IP, security groups and open ports', (context) =>
  withNetworks(
    faulty,
    (on) => onRouter(on, { 'neutron.publish': 'security-group' }),
    (network) =>
      throughout(context, faulty, (on) =>
        containerOn(on, network(on), {
          options: { 'neutron.security_groups': 'tight' },
          // Of each host others: the group is of all who open the same.
          published: [8000 + on.number],
        }),
      ),
  ));

test('a container with forwarded ports', (context) =>
  withNetworks(
    faulty,
    (on) => onRouter(on, { 'neutron.publish': 'floating-ip' }),
    (network) => throughout(context, faulty, (on) => containerOn(on, network(on), { published: [8000 + on.number] })),
  ));
