/**
 * Docker networks of two hosts on one network of Neutron: made and removed in any order, also at the same time. What a host uses
 * is there as long; in the end nothing is left but what was there before.
 *
 *     BERTH_SHARING_SEED=1 BERTH_SHARING_STEPS=200 node --test test/e2e/neutron-sharing.test.ts
 */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Bed, openBed } from './bed/bed.ts';
import { type OpenStack, startOpenStack } from './bed/openstack/openstack.ts';
import type { Resource } from './bed/openstack/rest.ts';
import { chance } from './suites/churn.ts';
import { type EngineCalls, type EngineContainer, type EngineNetwork, engineCalls } from './suites/engine-calls.ts';
import { neutronHost, warmUp } from './suites/neutron.ts';
import { agree, nothing } from './suites/neutron-agreement.ts';

const HOSTS = ['h1', 'h2'] as const;
/** The first is there before; the others are made by whoever comes first, and go with who leaves last. */
const SUBNETS = ['10.71.0.0/24', '10.71.1.0/24', '10.71.2.0/24'] as const;

let bed: Bed;
let stack: OpenStack;
let stages: readonly Stage[];

interface Stage {
  readonly name: string;
  readonly engine: EngineCalls;
  readonly agree: () => Promise<void>;
}

before(async () => {
  bed = await openBed('neutron-sharing');
  const lan = await bed.lan({ name: 'management', subnet: '10.8.65.0/24', gateway: '10.8.65.1' });
  stack = await startOpenStack({ on: { bed, lan, address: '10.8.65.11' }, hosts: HOSTS });
  await warmUp(stack);
  stages = await Promise.all(
    HOSTS.map(async (name, index): Promise<Stage> => {
      const host = await neutronHost(bed, lan, name, `10.8.65.${80 + index}/24`, stack, { start: false });
      return { name, engine: engineCalls(host), agree: () => agree(stack, host, nothing) };
    }),
  );
});
after(() => bed[Symbol.asyncDispose]());

interface Held {
  readonly network: EngineNetwork;
  readonly subnet: string;
  container?: EngineContainer;
}

const wanted = (subnet: string, network: string) => ({
  subnets: [{ subnet }],
  options: { 'neutron.net.uuid': network },
});

/**
 * One host's life: what it does next is a matter of chance.
 *
 * @returns what it has at the end.
 */
async function live(stage: Stage, neutronNetwork: string, random: () => number, steps: number): Promise<Held[]> {
  const { engine } = stage;
  const pick = <Of>(from: readonly Of[]): Of => from[Math.floor(random() * from.length)]!;
  const held: Held[] = [];
  const done: string[] = [];
  try {
    for (let step = 0; step < steps; step++) {
      const dice = random();
      if (held.length === 0 || (dice < 0.35 && held.length < 3)) {
        const subnet = pick(SUBNETS);
        done.push(`creates ${subnet}`);
        held.push({ network: await engine.createNetwork(wanted(subnet, neutronNetwork)), subnet });
        continue;
      }
      const one = pick(held);
      if (dice < 0.7) {
        done.push(`runs on ${one.subnet}`);
        const container = await engine.start(one.network);
        assert.ok(container.addresses[0]!.startsWith(one.subnet.replace(/0\/24$/, '')), container.addresses[0]);
        if (one.container === undefined) one.container = container;
        else await engine.stop(one.network, container);
      } else {
        done.push(`removes ${one.subnet}`);
        held.splice(held.indexOf(one), 1);
        await leave(stage, one);
      }
      await isThere(stage, neutronNetwork, held);
    }
  } catch (error) {
    throw new Error(`${stage.name} ${done.join(', ')}: ${String(error)}`, { cause: error });
  }
  return held;
}

async function leave({ engine }: Stage, { network, container }: Held): Promise<void> {
  if (container !== undefined) await engine.stop(network, container);
  await engine.removeNetwork(network);
}

/** What a host has is in Neutron, whatever the other one does meanwhile. */
async function isThere(stage: Stage, network: string, held: readonly Held[]): Promise<void> {
  const subnets = await stack.neutron.get(`/subnets?network_id=${network}`);
  const there = subnets.map(({ cidr }) => cidr);
  for (const { subnet } of held) assert.ok(there.includes(subnet), `${subnet} of ${stage.name} is not in Neutron`);
  const ports = await stack.neutron.get(`/ports?network_id=${network}&description=berth/${stage.name}`);
  const addresses = ports.flatMap(({ fixed_ips }) =>
    (fixed_ips as { ip_address: string }[]).map(({ ip_address }) => `${ip_address}/24`),
  );
  for (const { container } of held)
    if (container !== undefined) assert.ok(addresses.includes(container.addresses[0]!), 'its port is not in Neutron');
}

const setting = (name: string, otherwise: number): number => Number(process.env[`BERTH_SHARING_${name}`] ?? otherwise);
const SEED = setting('SEED', 20);
const STEPS = setting('STEPS', 14);

test(`of a network that was there, seed ${SEED}`, async () => {
  const { id } = await stack.neutron.post('/networks', { name: 'theirs' });
  await stack.neutron.post('/subnets', { network_id: id, ip_version: 4, cidr: SUBNETS[0], name: 'theirs' });
  const look = async () => {
    const {
      revision_number: _revision,
      updated_at: _time,
      ...rest
    } = await stack.neutron.get<Resource>(`/networks/${id}`);
    return rest;
  };
  const untouched = await look();
  const held = await Promise.all(stages.map((stage, index) => live(stage, id, chance(SEED + index), STEPS)));
  await Promise.all(
    stages.map(async (stage, index) => {
      for (const one of held[index]!) await leave(stage, one);
    }),
  );
  for (const stage of stages) await stage.agree();
  // Its subnets stand there, too.
  assert.deepEqual(await look(), untouched);
  await stack.neutron.delete(`/networks/${id}`);
});

test(`of a network that one of them has made, and leaves first, seed ${SEED}`, async () => {
  const [maker, other] = stages as [Stage, Stage];
  const made = await maker.engine.createNetwork({ subnets: [{ subnet: SUBNETS[0] }] });
  const [network] = await stack.neutron.get(`/networks?name=berth-net-${made.id.slice(0, 8)}`);
  const kept = { network: await other.engine.createNetwork(wanted(SUBNETS[1], network!.id)), subnet: SUBNETS[1] };
  const running = live(other, network!.id, chance(SEED + 2), STEPS);
  const leaves = maker.engine
    .start(made)
    .then((container) => maker.engine.stop(made, container))
    .then(() => maker.engine.removeNetwork(made));
  const [held] = await Promise.all([running, leaves]);
  for (const one of [...held, kept]) await leave(other, one);
  for (const stage of stages) await stage.agree();
  assert.deepEqual(await stack.neutron.get(`/networks?id=${network!.id}`), []);
});
