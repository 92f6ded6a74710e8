/** How soon a container that starts on one host of a cluster is reached from the others, and what an agent makes of many. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Cluster, type ClusterHost, openCluster } from '../test/e2e/bed/cluster.ts';
import { repository } from '../test/e2e/bed/machine.ts';
import { waitFor } from '../test/e2e/bed/process.ts';
import { type Benchmark, type Context, onHost } from './benchmark.ts';
import type { Row, Table } from './result.ts';
import { timed } from './rounds.ts';

const PROBER = join(repository, 'bench/peer/prober.ts');
const CROWD = join(repository, 'bench/simulated/crowd.ts');
const MANY = 10_000;

export const reachable: Benchmark = {
  name: 'reachable',
  about:
    'three hosts: until a new container is reached from the others; an agent with 10,000 containers of others, started again',
  run: async (context) => {
    const { engine } = context;
    await using cluster = await openCluster('bench', { engines: [engine, engine, engine] });
    await cluster.netctl('net create --subnet 10.31.0.0/16 --gateway 10.31.0.254 wide');
    for (const host of cluster.hosts) {
      await waitFor(`the network on ${host.name}`, async () => (await host.docker('network', 'ls')).includes(' wide '));
    }
    return await onHost(cluster.hosts[0]!, async () => {
      const rows = [...(await lags(cluster, context)), ...(await crowded(cluster, context))];
      return {
        title: 'A cluster of three hosts',
        notes: [
          'reached: from when the container first answers a neighbour on its own host, until it answers one on another; each is asked every 3 ms',
          `${MANY} containers on one network are told of by a host that has none; the agent’s host carries that network`,
          'started again: from SIGKILL and a new start, until it serves and its first comparison with the kernel is over',
        ],
        rows,
      } satisfies Table;
    });
  },
};

/** A container that asks from its network namespace. */
async function neighbour(host: ClusterHost): Promise<string> {
  const id = await host.docker('run', '-d', '--network', 'wide', await host.image(), 'sleep', '100000');
  const sandbox = await host.docker('inspect', '-f', '{{.NetworkSettings.SandboxKey}}', id);
  return host.path(sandbox.replace('/var/run', '/run'));
}

async function lags({ hosts }: Cluster, context: Context): Promise<Row[]> {
  const [first, ...others] = hosts as [ClusterHost, ...ClusterHost[]];
  const places = await Promise.all(hosts.map(async (host) => ({ host, netns: await neighbour(host) })));
  const found: number[] = [];
  for (let n = 0; n < (context.runs ?? 100); n++) {
    const address = `10.31.1.${n + 1}`;
    const mac = `02:02:0a:1f:01:${(n + 1).toString(16).padStart(2, '0')}`;
    const probers = await Promise.all(
      places.map(async ({ host, netns }) => {
        const inside = ['nsenter', `--net=${netns}`];
        // Else the neighbour's own repetitions, one in a second, would be what is measured.
        await host.net([
          ...inside,
          'ip',
          'neigh',
          'replace',
          address,
          'lladdr',
          mac,
          'dev',
          'eth0',
          'nud',
          'permanent',
        ]);
        const prober = await host.netSpawn([...inside, 'node', PROBER, address], { name: `prober-${host.name}-${n}` });
        await prober.waitForOutput(/ready/);
        return prober;
      }),
    );
    const name = `new${n}`;
    await first.docker(
      'run',
      '-d',
      '--name',
      name,
      '--network',
      'wide',
      '--ip',
      address,
      await first.image(),
      'sleep',
      '100000',
    );
    const times = await Promise.all(
      probers.map(async (prober) => Number((await prober.waitForOutput(/answered ([0-9.]+)/, 40_000))[1])),
    );
    found.push(...times.slice(1).map((time) => Math.max(0, time - times[0]!)));
    await first.docker('rm', '-f', name);
    if ((n + 1) % 20 === 0) context.say(`${n + 1} containers`);
  }
  return [
    {
      what: 'a new container is reached from each other host',
      name: `${others.length + 1} hosts`,
      unit: 'ms',
      samples: found,
      budgets: [{ of: 'p99', most: 250 }],
    },
  ];
}

async function crowded({ hosts, controls, members }: Cluster, context: Context): Promise<Row[]> {
  const host = hosts[0]!;
  const ways = async (): Promise<number> =>
    (await host.net(['bridge', 'fdb', 'show'])).stdout.split('\n').filter((line) => line.includes('dst 10.8.65.250'))
      .length;
  const crowd = await controls[0]!.netSpawn(['node', CROWD, members[0]!.url, 'default:wide', String(MANY)], {
    name: 'crowd',
  });
  const spread = await timed(async () => {
    await crowd.waitForOutput(/told/, 60_000);
    await waitFor('the kernel to know all', async () => (await ways()) > MANY, 60_000, 50);
  });
  context.say(`${MANY} containers are in the kernel`);
  const restarts: number[] = [];
  const memory: number[] = [];
  for (let n = 0; n < 5; n++) {
    await host.killBerth();
    restarts.push(await timed(() => host.startAgent()));
    const pid = host.agent().pid;
    memory.push(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024);
    if ((await ways()) <= MANY) throw new Error('a restart has taken ways to other hosts out of the kernel');
  }
  const name = `${MANY} containers of others`;
  return [
    { what: 'told of and in the kernel', name, unit: 's', samples: [spread / 1000] },
    { what: 'agent killed and started again', name, unit: 's', samples: restarts.map((ms) => ms / 1000) },
    { what: 'memory of the agent', name, unit: 'MB', samples: memory, budgets: [{ of: 'median', most: 200 }] },
  ];
}
