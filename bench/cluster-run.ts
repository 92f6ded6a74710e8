/** What a network of a cluster costs the start and the end of a container, with its objects in etcd and in a file. */

import { setTimeout as delay } from 'node:timers/promises';
import { type ClusterHost, openCluster } from '../test/e2e/bed/cluster.ts';
import { waitFor } from '../test/e2e/bed/process.ts';
import { networkOn } from '../test/e2e/suites/cluster.ts';
import { type Benchmark, onHost } from './benchmark.ts';
import type { Row, Table } from './result.ts';
import { rounds, timed } from './rounds.ts';

const [BRIDGE, OTHER, FILE, ETCD] = [
  'user bridge',
  'user bridge, second host',
  'berth, SQLite',
  'berth, etcd',
] as const;

interface Variant {
  readonly name: string;
  readonly host: ClusterHost;
  readonly network: string;
}

export const clusterRun: Benchmark = {
  name: 'cluster-run',
  about: 'docker run --rm on a network of a cluster, with etcd and without, and on the engine’s own bridge',
  run: async (context) => {
    const { engine, runs, say } = context;
    await using cluster = await openCluster('bench', { engines: [engine, engine], agents: false });
    const [shared, alone] = cluster.hosts as [ClusterHost, ClusterHost];
    await shared.startAgent();
    // A cluster of one host: the agent keeps its objects in its file, and serves the API itself.
    await alone.startBerth(['--api', '10.9.65.80:9999', '--host', 'h2']);
    const create = 'network create -s 10.31.0.0/16 -g 10.31.255.254 wide';
    await cluster.netctl(create);
    await cluster.netctl(create, { netmaster: 'http://10.9.65.80:9999' });
    const variants: readonly Variant[] = [
      { name: BRIDGE, host: shared, network: 'own' },
      { name: OTHER, host: alone, network: 'own' },
      { name: FILE, host: alone, network: 'wide' },
      { name: ETCD, host: shared, network: 'wide' },
    ];
    return await onHost(shared, async () => {
      for (const host of [shared, alone]) {
        await waitFor(`the network on ${host.name}`, () => networkOn(host, 'wide'), 20_000);
        await host.docker('network', 'create', 'own');
        // As on a host in use: each network has a container all the time.
        for (const network of ['own', 'wide'])
          await host.docker('run', '-d', '--network', network, await host.image(), 'sleep', '100000');
      }
      const results = await rounds(
        variants,
        async ({ host, network }) => {
          const image = await host.image();
          const once = await timed(() => host.docker('run', '--rm', '--network', network, image, 'true'));
          await delay(200);
          return { 'docker run --rm': once };
        },
        { rounds: runs ?? 40, warmUp: 2, pause: 500, say },
      );
      const row = (name: string, what: string, peer?: string): Row => ({
        what,
        name,
        unit: 'ms',
        samples: results.get(name)!.get('docker run --rm')!,
        ...(peer === undefined ? {} : { peer }),
      });
      const plain = 'docker run --rm';
      const budgets = [{ of: 'ratio', most: 0.9 }] as const;
      return {
        title: `Containers on a network of a cluster, with Docker ${engine}`,
        notes: [
          'two hosts that are alike, each with an engine: one in a cluster on etcd (one member, across a network), one a cluster of its own in a file',
          'each network has another container on it all the time; both networks of a cluster have VXLAN, a gateway, and Berth’s IPAM',
          'the two user bridges against each other say what a ratio between the two hosts is worth',
        ],
        rows: [
          row(BRIDGE, plain),
          row(OTHER, plain, BRIDGE),
          { ...row(FILE, plain, OTHER), budgets },
          { ...row(ETCD, plain, BRIDGE), budgets },
          row(FILE, `${plain}, of the two stores`),
          row(ETCD, `${plain}, of the two stores`, FILE),
        ],
      } satisfies Table;
    });
  },
};
