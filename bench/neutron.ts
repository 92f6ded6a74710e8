/** Containers on networks of OpenStack Neutron: time, and calls of Neutron's and Keystone's API, per docker command. */

import { openBed } from '../test/e2e/bed/bed.ts';
import { findKuryr, kuryrEngineFlags, startKuryr } from '../test/e2e/bed/openstack/kuryr.ts';
import { startOpenStack } from '../test/e2e/bed/openstack/openstack.ts';
import { warmUp } from '../test/e2e/suites/neutron.ts';
import { type Benchmark, onHost } from './benchmark.ts';
import { manyContainers, manyNetworks } from './neutron-many.ts';
import { CONTAINERS, LATENCY, quiet, type Results, type Stage, startAgent, type Variant } from './neutron-stage.ts';
import { warmPorts } from './neutron-warm.ts';
import type { Budget, Row, Table } from './result.ts';
import { type Measured, rounds, timed } from './rounds.ts';

const PEER = 'kuryr-libnetwork';
const BERTH = 'berth';

/** Operations, and what they may cost in calls (design). */
const operations = {
  'docker network create': 2,
  'docker run -d': 1,
  'docker rm -f': 1,
  'docker network rm': 1,
} as const;
type Operation = keyof typeof operations;
const names = Object.keys(operations) as Operation[];

export const neutron: Benchmark = {
  name: 'neutron',
  about:
    'docker commands on networks of OpenStack Neutron, and the calls they cost; the Python original from BERTH_KURYR',
  run: async (context) => {
    const kuryr = findKuryr();
    if ('absent' in kuryr) context.say(`without ${PEER}: ${kuryr.absent}`);
    const variants: readonly Variant[] = [
      ...('home' in kuryr ? [{ name: PEER, driver: 'kuryr', range: '10.70' }] : []),
      { name: BERTH, driver: 'berth-neutron', range: '10.80' },
    ];
    const notes = [
      ...('absent' in kuryr ? [`**without ${PEER}**, so there are no ratios: ${kuryr.absent}`] : []),
      'neutron-server and Keystone run beside it, with one process each; ports are bound by an agent that is only in Neutron’s books',
      `calls are those of the plugin to Neutron and Keystone, counted by a proxy until nothing more is under way; ${PEER} with its own defaults, and one request at a time, as its scripts start it`,
      `"each call + ${LATENCY} ms": the proxy holds each call back for so long`,
      '"at once" and the networks: by Docker’s API; at once are all requests together, and the time is until the last has been answered',
      'Berth takes ports and networks from Neutron when Docker has had its answer; "until Neutron has none" is from the first request on',
      'warm ports are measured after all else, so the machine may have been busier or less busy than for their peer',
    ];

    await using bed = await openBed('bench');
    const lan = await bed.lan({ name: 'management', subnet: '10.9.65.0/24', gateway: '10.9.65.1' });
    await using stack = await startOpenStack({ on: { bed, lan, address: '10.9.65.11' }, hosts: ['a'] });
    await warmUp(stack);
    const host = await bed.host('a', { start: false });
    await lan.plug(host, { name: 'eth1', addresses: ['10.9.65.79/24'] });
    await host.startEngine(kuryrEngineFlags);
    if ('home' in kuryr) await startKuryr(kuryr.home, host, stack, {});
    const image = await host.image();
    return await onHost(host, async () => {
      await startAgent(host, stack);
      return { title: 'Containers on Neutron', notes, rows: await measure({ stack, host, image, variants, context }) };
    });
  },
};

async function measure(stage: Stage): Promise<Table['rows']> {
  const { stack, variants, context } = stage;
  const { runs = 6, say } = context;
  const slowRuns = Math.ceil(runs / 3);
  const once = (variant: Variant) => oneContainer(stage, variant);
  const single = await rounds(variants, once, { rounds: runs, say });
  say(`each call takes ${LATENCY} ms more`);
  stack.calls.delayAll(LATENCY);
  const slow = await rounds(variants, once, { rounds: slowRuns, warmUp: 0 });
  stack.calls.delayAll(0);
  const rows: Row[] = names.flatMap((what) => rowsOf(single, variants, { what: `${what}, calls`, unit: 'calls' }));
  for (const what of names) rows.push(...rowsOf(single, variants, { what, unit: 'ms' }));
  for (const what of names)
    rows.push(...rowsOf(slow, variants, { what, as: `${what}, each call + ${LATENCY} ms`, unit: 'ms' }));
  const containers = await manyContainers(stage);
  for (const what of containers.get(BERTH)!.keys()) rows.push(...rowsOf(containers, variants, { what, unit: 's' }));
  rows.push(...(await manyNetworks(stage)));
  const { containers: many = CONTAINERS } = context;
  rows.push(...(await warmPorts(stage, BERTH, { single: runs, slow: slowRuns, containers: many })));
  return rows;
}

function rowsOf(
  results: Results,
  variants: readonly Variant[],
  { what, unit, as = what }: { readonly what: string; readonly unit: string; readonly as?: string },
): Row[] {
  const hasPeer = variants.some(({ name }) => name === PEER);
  const most = unit === 'calls' ? operations[what.replace(', calls', '') as Operation] : undefined;
  const budgets: readonly Budget[] = most === undefined ? [] : [{ of: 'median', most }];
  return variants.map(({ name }) => ({
    what: as,
    name,
    unit,
    samples: results.get(name)!.get(what)!,
    ...(name === BERTH && { budgets }),
    ...(name === BERTH && hasPeer && { peer: PEER }),
  }));
}

/** One network and one container, made and removed. */
async function oneContainer({ stack, host, image }: Stage, { driver, range }: Variant): Promise<Measured> {
  const measured: Record<string, number> = {};
  const step = async (what: Operation, ...command: readonly string[]) => {
    stack.calls.clear();
    measured[what] = await timed(() => host.exec(['docker', ...command], { timeout: 300_000 }));
    await quiet(stack);
    measured[`${what}, calls`] = stack.calls.all().length;
  };
  const create = ['-d', driver, '--ipam-driver', driver, '--subnet', `${range}.0.0/16`, '--gateway', `${range}.0.1`];
  await step('docker network create', 'network', 'create', ...create, 'measured');
  await step('docker run -d', 'run', '-d', '--name', 'measured', '--network', 'measured', image, 'sleep', '1000');
  await step('docker rm -f', 'rm', '-f', 'measured');
  await step('docker network rm', 'network', 'rm', 'measured');
  return measured;
}
