/** How long a container takes to start and to go, by the network it is on. */

import { setTimeout as delay } from 'node:timers/promises';
import { openBed } from '../test/e2e/bed/bed.ts';
import type { Host } from '../test/e2e/bed/host.ts';
import { type Benchmark, type Context, onHost } from './benchmark.ts';
import { startPeer } from './calls.ts';
import type { Row, Table } from './result.ts';
import { type Measured, rounds, timed } from './rounds.ts';

interface Variant {
  readonly name: string;
  /** `docker network create` with these; absent for Docker's own networks. */
  readonly create?: readonly string[];
  /** No other container is on the network, so that its bridge has to be made first. */
  readonly first?: boolean;
  readonly budget?: boolean;
  /** What it is compared with, if not with the usual one. */
  readonly against?: string;
}

const lan = (third: number) => ['--subnet', `192.168.${third}.0/24`, '--gateway', `192.168.${third}.1`];

const variants: readonly Variant[] = [
  { name: 'none' },
  { name: 'user bridge', create: ['-d', 'bridge'] },
  {
    name: 'macvlan',
    create: ['-d', 'macvlan', '-o', 'parent=eth0', '--subnet', '10.8.66.0/24', '--gateway', '10.8.66.1'],
  },
  { name: 'plain plugin', create: ['-d', 'plain', '--subnet', '10.67.0.0/16'] },
  { name: 'berth, IPAM of Berth', create: ['-d', 'berth', '--ipam-driver', 'berth'], budget: true },
  { name: 'berth, IPAM of Docker', create: ['-d', 'berth'], budget: true },
  { name: 'berth, first container', create: ['-d', 'berth', '--ipam-driver', 'berth'], first: true },
  { name: 'berth-lan, IPAM of Berth', create: ['-d', 'berth-lan', '--ipam-driver', 'berth-lan', ...lan(159)] },
  { name: 'berth-lan, IPAM of Docker', create: ['-d', 'berth-lan', ...lan(160)] },
  {
    name: 'berth-lan macvlan',
    create: ['-d', 'berth-lan', '-o', 'mode=macvlan', '-o', 'parent=eth2', ...lan(161)],
    budget: true,
    against: 'macvlan',
  },
];
const usualPeer = 'user bridge';

/** Seconds that a network's bridge outlives its last container: the agent's `linger`, shorter than its default here. */
const LINGER = 1;

export const dockerRun: Benchmark = {
  name: 'docker-run',
  about: "docker run --rm, run -d and rm -f on Berth's networks and the engine's own",
  run: async (context) => {
    await using bed = await openBed('bench');
    const host = await bed.host('a', { engine: context.engine });
    const segment = await bed.lan({ subnet: '192.168.159.0/24', gateway: '192.168.159.1' });
    await segment.plug(host, { name: 'eth1', bridge: 'br0', addresses: ['192.168.159.10/24'] });
    await segment.plug(host, { name: 'eth2', addresses: ['192.168.161.10/24'] });
    await host.startBerth(['--linger', `${LINGER}`]);
    await startPeer(host);
    return await onHost(host, () => measure(host, context));
  },
};

async function measure(host: Host, context: Context): Promise<Table> {
  const image = await host.image();
  for (const { name, create, first } of variants) {
    if (create === undefined) continue;
    await host.docker('network', 'create', ...create, networkOf(name));
    if (!first) await host.docker('run', '-d', '--network', networkOf(name), image, 'sleep', '100000');
  }
  context.say(`${variants.length} networks are ready`);
  const results = await rounds(variants, (variant) => runOnce(host, image, variant), {
    rounds: context.runs ?? 20,
    pause: 700,
    say: context.say,
  });
  return {
    title: `Containers with Docker ${context.engine}`,
    notes: [
      'each network but one has another container on it all the time, as on a host in use; the budget is for that',
      `"first container": the network's bridge is not there and has to be made; it stays ${LINGER} s after the last container (5 s unless set)`,
      'times are those of the `docker` command, started through nsenter (2 to 3 ms, in all alike)',
    ],
    rows: ['docker run --rm', 'docker run -d', 'docker rm -f'].flatMap((what) =>
      variants.map(({ name, budget, against = usualPeer }): Row => {
        const row = { what, name, unit: 'ms', samples: results.get(name)!.get(what)! };
        if (name === usualPeer) return row;
        const limited = budget && what === 'docker run --rm';
        return { ...row, peer: against, ...(limited ? { budgets: [{ of: 'ratio', most: 0.9 }] } : {}) };
      }),
    ),
  };
}

const networkOf = (name: string): string => name.replaceAll(/[ ,]+/g, '-');

async function runOnce(host: Host, image: string, { name, first }: Variant): Promise<Measured> {
  const network = networkOf(name);
  const cold = async () => {
    if (first) await delay(LINGER * 1000 + 500);
  };
  await cold();
  const rm = await timed(() => host.docker('run', '--rm', '--network', network, image, 'true'));
  await delay(200);
  await cold();
  let id = '';
  const start = await timed(async () => {
    id = await host.docker('run', '-d', '--network', network, image, 'sleep', '1000');
  });
  await delay(200);
  const remove = await timed(() => host.docker('rm', '-f', id));
  return { 'docker run --rm': rm, 'docker run -d': start, 'docker rm -f': remove };
}
