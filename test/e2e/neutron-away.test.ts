/**
 * A Keystone that fails in every way at the call that precedes each operation; a neutron-server and a Keystone that were killed, or stand
 * still; and agents that are dead. Docker is answered within 10 s, what is removed meanwhile goes when they are back, and nothing is left.
 */

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { type Bed, openBed } from './bed/bed.ts';
import type { Service } from './bed/control.ts';
import type { Host } from './bed/host.ts';
import type { Disturbance } from './bed/openstack/calls.ts';
import type { OpenStack } from './bed/openstack/openstack.ts';
import type { EngineCalls, EngineContainer, EngineNetwork } from './suites/engine-calls.ts';
import { startNeutronAgent } from './suites/neutron.ts';
import { agree, type Holdings, nothing } from './suites/neutron-agreement.ts';
import {
  assertTold,
  disturbances,
  type FaultyBed,
  type FaultyHost,
  faultyBed,
  oneNetwork,
  untilItWorks,
} from './suites/neutron-faults.ts';

let bed: Bed;
let stack: OpenStack;
let hosts: FaultyBed['hosts'];
let h1: Host;
let engine: EngineCalls;

before(async () => {
  bed = await openBed('neutron-away');
  // With the time limits that everybody has.
  ({ stack, hosts } = await faultyBed(bed, 3, {}));
  [{ host: h1, engine }] = hosts;
});
afterEach(() => stack.calls.heal());
after(() => bed[Symbol.asyncDispose]());

const blue = { subnets: [{ subnet: '10.21.0.0/24', gateway: '10.21.0.1' }] };

test('every fault at the call of Keystone that precedes each operation', async (context) => {
  /** With an agent that has no token yet. @returns undefined when Docker was told of an error. */
  async function disturbed<Result>(
    { host, address }: FaultyHost,
    { fault, times = 1 }: Disturbance,
    work: () => Promise<Result>,
  ): Promise<Result | undefined> {
    await host.stopBerth();
    await startNeutronAgent(host);
    const injection = stack.calls.inject(fault, { service: 'keystone', from: address, times });
    let result: Result | undefined;
    try {
      result = await work();
    } catch (error) {
      assertTold(error);
    }
    // What nobody waits for may be later.
    await injection.hit();
    injection.remove();
    return result;
  }
  const left = [...disturbances];
  let failed = 0;
  async function sweep(on: FaultyHost): Promise<void> {
    const agreed = (holdings: Holdings) => agree(stack, on.host, holdings, { written: true });
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const disturbance = next;
      const made = await disturbed(on, disturbance, () => on.engine.createNetwork(blue));
      await agreed(made === undefined ? nothing : oneNetwork);
      const network = made ?? (await untilItWorks(() => on.engine.createNetwork(blue)));
      const started = await disturbed(on, disturbance, () => on.engine.start(network));
      await agreed({ networks: 1, containers: started === undefined ? 0 : 1 });
      const container = started ?? (await untilItWorks(() => on.engine.start(network)));
      failed += [made, started].filter((one) => one === undefined).length;
      await disturbed(on, disturbance, () => on.engine.stop(network, container));
      await agreed(oneNetwork);
      await disturbed(on, disturbance, () => on.engine.removeNetwork(network));
      await agreed(nothing);
    }
    await agree(stack, on.host, nothing);
  }
  await Promise.all(hosts.map(sweep));
  assert.ok(failed > 0 && failed < 2 * disturbances.length);
  context.diagnostic(`${disturbances.length * 4} faults, of which Docker was told of ${failed}`);
});

describe('a service that does not run', () => {
  const services: readonly { readonly name: string; service(): Service }[] = [
    { name: 'neutron-server', service: () => stack.neutronServer },
    { name: 'Keystone', service: () => stack.keystoneServer },
  ];
  const ways = [
    {
      name: 'was killed',
      down: (service: Service) => service.kill(),
      up: (service: Service) => service.start(),
    },
    {
      name: 'stands still',
      down: (service: Service) => service.freeze(),
      up: (service: Service) => Promise.resolve(service.thaw()),
    },
  ];
  for (const { name, service } of services) {
    for (const way of ways) {
      test(`${name} ${way.name}: what is begun fails in time, what is removed goes later`, async () => {
        const network = await untilItWorks(() => engine.createNetwork(blue));
        const other = await untilItWorks(() =>
          engine.createNetwork({ subnets: [{ subnet: '10.23.0.0/24', gateway: '10.23.0.1' }] }),
        );
        const container = await untilItWorks(() => engine.start(network));
        // Tokens are asked for by who has none.
        await h1.stopBerth();
        await way.down(service());
        try {
          await startNeutronAgent(h1);
          await assert.rejects(engine.start(other), assertTold);
          await assert.rejects(engine.createNetwork({ subnets: [{ subnet: '10.24.0.0/24' }] }), assertTold);
          // Docker forgets these: so it must be Berth that does not.
          await engine.stop(network, container);
          await engine.removeNetwork(network);
          await engine.removeNetwork(other);
          await h1.killBerth();
          await startNeutronAgent(h1);
        } finally {
          await way.up(service());
        }
        await agree(stack, h1, nothing);
      });
    }
  }
});

describe('an agent that is dead', () => {
  let network: EngineNetwork;
  let running: EngineContainer;
  before(async () => {
    network = await engine.createNetwork(blue);
    running = await engine.start(network);
    stack.addFakeAgent('h1', { alive: false });
  });

  test('wires nobody: a container is told so, with the agent and the host, and nothing of it is left', async () => {
    await assert.rejects(engine.start(network), /Linux bridge agent \(not alive\)/);
    await assert.rejects(engine.start(network), /h1/);
    await agree(stack, h1, { networks: 1, containers: 1 });
  });

  test('holds up nobody who leaves', async () => {
    await engine.stop(network, running);
    await agree(stack, h1, oneNetwork);
  });

  test('that is alive again wires the next', async () => {
    stack.addFakeAgent('h1');
    const next = await engine.start(network);
    await engine.stop(network, next);
    await engine.removeNetwork(network);
    await agree(stack, h1, nothing);
  });
});
