/**
 * Promises 2 and 5 with OpenStack, without a plan: containers of two hosts come and go on networks that both have, while agents,
 * engines, Neutron and Keystone are killed and frozen, and answers are lost, by chance. No address is ever two containers', and in the
 * end Neutron, the agents' records and the kernels tell the same: nothing. (`neutron-faults` and `neutron-crash` have the plan.)
 *
 *     BERTH_CHURN_SECONDS=300 BERTH_CHURN_CONTAINERS=10 BERTH_CHURN_SEED=1 node --test test/e2e/neutron-churn.test.ts
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { openBed } from './bed/bed.ts';
import type { Host } from './bed/host.ts';
import type { Fault } from './bed/openstack/calls.ts';
import { type OpenStack, startOpenStack } from './bed/openstack/openstack.ts';
import { after, befall, chance, churn, type Misfortune, overlapping, restart } from './suites/churn.ts';
import { disconnectStale } from './suites/containers.ts';
import { clear } from './suites/leftovers.ts';
import { neutronHost, startNeutronAgent, warmUp } from './suites/neutron.ts';
import { agree, nothing } from './suites/neutron-agreement.ts';

const setting = (name: string, normally: number) => Number(process.env[`BERTH_CHURN_${name}`] ?? normally);
const SECONDS = setting('SECONDS', 30);
const CONTAINERS = setting('CONTAINERS', 3);
const SEED = setting('SEED', Date.now() % 1_000_000);
const NETWORKS = ['alpha', 'beta'] as const;

/** What Neutron has not answered it may do for as long as this after it is back. */
const FLAGS = ['--gc-grace', '5'];

const FAULTS: readonly Fault[] = [
  { kind: 'answer', status: 503 },
  { kind: 'answer', status: 502, passOn: true },
  { kind: 'answer', status: 401 },
  { kind: 'cut', when: 'before' },
  { kind: 'cut', when: 'after' },
  { kind: 'half' },
  { kind: 'delay', ms: 6000 },
];

function misfortunes(
  stack: OpenStack,
  hosts: readonly Host[],
  random: () => number,
  doubt: (host: Host) => void,
): readonly Misfortune[] {
  const pause = (milliseconds: number) => delay(milliseconds * (0.2 + random()));
  return [
    ...hosts.flatMap((host): Misfortune[] => [
      {
        name: `agent of ${host.name} killed`,
        what: `agent ${host.name}`,
        async befall() {
          await host.killBerth();
          await pause(1000);
          await restart(() => startNeutronAgent(host, FLAGS));
        },
      },
      {
        name: `engine of ${host.name} killed`,
        what: `engine ${host.name}`,
        async befall() {
          doubt(host);
          await host.killEngine();
          await pause(1000);
          await restart(() => host.startEngine());
          // What ran when it was killed has been stopped, and what was started before it was restored is in doubt too.
          doubt(host);
        },
      },
    ]),
    ...(['neutron', 'keystone'] as const).flatMap((service): Misfortune[] => {
      const server = stack[`${service}Server`];
      return [
        {
          name: `${service} killed`,
          what: service,
          async befall() {
            await server.kill();
            await pause(2000);
            await restart(() => server.start());
          },
        },
        {
          name: `${service} frozen`,
          what: service,
          async befall() {
            await server.freeze();
            await pause(6000);
            server.thaw();
          },
        },
      ];
    }),
    ...FAULTS.map(
      (fault): Misfortune => ({
        name: `calls that end with ${JSON.stringify(fault)}`,
        what: 'answers',
        async befall() {
          const injection = stack.calls.inject(fault, { times: 1 + Math.floor(random() * 3) });
          await pause(1500);
          injection.remove();
        },
      }),
    ),
  ];
}

test(`${CONTAINERS} containers on each of two hosts come and go for ${SECONDS} s, seed ${SEED}`, async (t) => {
  await using bed = await openBed('neutron-churn');
  const lan = await bed.lan({ name: 'management', subnet: '10.8.65.0/24', gateway: '10.8.65.1' });
  const stack = await startOpenStack({ on: { bed, lan, address: '10.8.65.11' }, hosts: ['h1', 'h2'] });
  await warmUp(stack);
  const [h1, h2] = await Promise.all(
    ['h1', 'h2'].map((name, n) => neutronHost(bed, lan, name, `10.8.65.${79 + n}/24`, stack, { flags: FLAGS })),
  );
  const hosts = [h1!, h2!];
  for (const host of hosts) await host.image();
  const random = chance(SEED);
  for (const [n, name] of NETWORKS.entries()) {
    const subnet = ['--subnet', `10.${31 + n}.0.0/24`, '--gateway', `10.${31 + n}.0.1`];
    const { id } = await stack.neutron.post<{ id: string }>('/networks', { name });
    for (const host of hosts)
      await host.docker(
        'network',
        'create',
        '--driver',
        'kuryr',
        '--ipam-driver',
        'kuryr',
        ...subnet,
        '-o',
        `neutron.net.uuid=${id}`,
        name,
      );
  }

  const containers = churn(hosts, CONTAINERS, NETWORKS, random);
  const chaos = befall(misfortunes(stack, hosts, random, containers.doubt), random, { atOnce: 1, between: 1000 });
  const { ran, done } = await after(SECONDS, containers, chaos);
  t.diagnostic(`${ran} containers ran, ${done.length} misfortunes, seed ${SEED}`);
  try {
    assert.ok(ran >= CONTAINERS, `only ${ran} containers came to run`);
    assert.deepEqual(overlapping(containers.holds), []);
    for (const host of hosts) {
      await disconnectStale(host, NETWORKS);
      await clear(host);
    }
    for (const host of hosts) await agree(stack, host, nothing);
    const ports = await stack.neutron.get<{ device_owner: string }[]>('/ports');
    assert.deepEqual(
      ports.filter(({ device_owner }) => device_owner.startsWith('compute:')),
      [],
    );
    const networks = await stack.neutron.get<{ name: string; tags: string[]; subnets: string[] }[]>('/networks');
    assert.deepEqual(
      Object.fromEntries(networks.map(({ name, tags, subnets }) => [name, { tags, subnets }])),
      Object.fromEntries(NETWORKS.map((name) => [name, { tags: [], subnets: [] }])),
    );
  } catch (error) {
    throw new Error(`After ${done.join('; ')}`, { cause: error });
  }
});
