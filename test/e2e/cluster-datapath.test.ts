/** Promise 4 across hosts: traffic goes on whatever becomes of Berth and of etcd; a host that dies is forgotten, and only then. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Cluster, ClusterHost } from './bed/cluster.ts';
import { type Process, waitFor } from './bed/process.ts';
import { allReach, createNetwork, ipv4, named, type Placed, removeAll, spread } from './suites/cluster.ts';
import { setClusterStage } from './suites/cluster-stage.ts';
import { inspect, start } from './suites/containers.ts';

/** Pings per second. */
const RATE = 50;

/** A ping that has gone on for a while. */
interface Stream {
  /** Ends it. Fails unless each of its requests was answered; at least those of so many seconds must have been made. */
  lostNothing(seconds: number): Promise<void>;
}

async function ping([host, container]: Placed, to: string, name: string): Promise<Stream> {
  const { State } = await inspect(host, container);
  // busybox counts at SIGINT, and sends at this pace whether or not it is answered.
  const command = ['nsenter', '-t', `${State.Pid}`, '-n', '--', 'busybox', 'ping', '-i', `${1 / RATE}`, '-q', to];
  const process = await host.spawn(command, { name: `ping-${name}` });
  return {
    async lostNothing(seconds) {
      await process.stop('SIGINT');
      const said = await process.output();
      const [, sent, received] = /(\d+) packets transmitted, (\d+) packets received/.exec(said) ?? [];
      // One may be on its way when it is ended.
      assert.ok(Number(sent) - Number(received) <= 1, said);
      assert.ok(Number(sent) > (seconds * RATE) / 4, said);
    },
  };
}

/** A TCP stream of 50 Mbit/s, until it is asked for. */
async function tcp(from: Placed, [host, container]: Placed, to: string, seconds: number) {
  const server = await host.spawn(['docker', 'exec', container, 'iperf3', '-s', '--forceflush'], {
    name: 'iperf3-server',
  });
  await server.waitForOutput(/listening/);
  const client: Process = await from[0].spawn(
    ['docker', 'exec', from[1], 'iperf3', '-c', to, '-t', `${seconds}`, '-b', '50M', '-J'],
    { name: `iperf3-${from[1]}` },
  );
  return {
    async flowed(): Promise<void> {
      assert.equal(await client.exited(), 0, await client.output());
      const { intervals } = JSON.parse(await client.output()) as { intervals: { sum: { bits_per_second: number } }[] };
      // A busy machine may slow it down; what stands still for a second has lost its way.
      const slow = intervals.filter(({ sum }) => sum.bits_per_second < 5e6);
      assert.deepEqual(slow, [], 'no second had less than a tenth of its 50 Mbit/s');
      await server.stop();
    },
  };
}

/** Where a host sends frames of a network: the addresses of other hosts in its forwarding database. */
async function destinations(host: ClusterHost): Promise<string[]> {
  const { stdout } = await host.net(['bridge', 'fdb', 'show']);
  return [...new Set([...stdout.matchAll(/ dst (\S+)/g)].map((match) => match[1]!))].toSorted();
}

const sends = (host: ClusterHost, to: readonly ClusterHost[]) => {
  const wanted = to.map(({ address }) => address).toSorted();
  let seen: readonly string[] = [];
  return waitFor(
    () => `${host.name} to send to ${wanted.join(', ')}, not to ${seen.join(', ')}`,
    async () => {
      seen = await destinations(host);
      return JSON.stringify(seen) === JSON.stringify(wanted);
    },
    60_000,
    200,
  );
};

describe('traffic between hosts', () => {
  const stage = setClusterStage('datapath', { engines: ['28.5', '28.5', '26.1'], masters: 2 });

  /** A container on each host, with iperf3. */
  async function setUp(cluster: Cluster): Promise<{ placed: Placed[]; addresses: string[] }> {
    await createNetwork(cluster, '-s 10.1.1.0/24 -g 10.1.1.254 net');
    const placed = await Promise.all(
      cluster.hosts.map(async (host, n): Promise<Placed> => {
        await host.docker(
          'run',
          '-d',
          '--name',
          `c${n + 1}`,
          '--network',
          'net',
          await host.image('iperf3'),
          'sleep',
          '1000000',
        );
        return [host, `c${n + 1}`];
      }),
    );
    await allReach(placed);
    return { placed, addresses: await ipv4(placed) };
  }

  test('loses nothing while each Berth process is killed, frozen and started again', async () => {
    const cluster = stage();
    const { placed, addresses } = await setUp(cluster);
    const [c1, c2, c3] = placed as [Placed, Placed, Placed];
    const started = performance.now();
    const streams = [await ping(c1, addresses[1]!, 'c1'), await ping(c3, addresses[0]!, 'c3')];
    const stream = await tcp(c2, c1, addresses[0]!, 20);
    for (const host of cluster.hosts) {
      await host.killBerth();
      await host.startAgent();
      await host.stopBerth();
      await host.startAgent();
      const agent = host.agent();
      await agent.freeze();
      await delay(1000);
      agent.thaw();
    }
    for (const master of cluster.masters) {
      await master.kill();
      await master.start();
    }
    await cluster.ready();
    await stream.flowed();
    const seconds = (performance.now() - started) / 1000;
    for (const one of streams) await one.lostNothing(seconds);
    for (const host of cluster.hosts) {
      assert.deepEqual(JSON.parse((await host.berth('audit', '--json')).stdout), [], host.name);
    }
  });

  test('loses nothing while etcd is away for 60 s, and containers and agents start again meanwhile', async () => {
    const cluster = stage();
    const { placed, addresses } = await setUp(cluster);
    const [c1, c2, c3] = placed as [Placed, Placed, Placed];
    const streams = [await ping(c1, addresses[1]!, 'c1'), await ping(c2, addresses[0]!, 'c2')];
    const stream = await tcp(c2, c1, addresses[0]!, 62);
    // Every lease of an agent has run out when it is woken.
    await cluster.members[0]!.freeze();
    const asleep = performance.now();
    await cluster.hosts[0]!.killBerth();
    await cluster.hosts[0]!.startAgent();
    await c3[0].docker('restart', '-t', '1', c3[1]);
    await allReach([c3], addresses.slice(0, 2));
    await delay(Math.max(0, 60_000 - (performance.now() - asleep)));
    cluster.members[0]!.thaw();
    await stream.flowed();
    await cluster.ready(60_000);
    await allReach(placed);
    for (const one of streams) await one.lostNothing(60);
    await allReach([...placed, ...(await spread(cluster.hosts, named('later', 3), 'net'))]);
  });

  test('an address that goes to another host with another MAC is found there at once by those who remember it', async () => {
    const cluster = stage();
    const [h1, h2, h3] = cluster.hosts as [ClusterHost, ClusterHost, ClusterHost];
    await createNetwork(cluster, '-s 10.1.1.0/24 -g 10.1.1.254 -s6 fd00:1::/64 -g6 fd00:1::fe net');
    // Beside where it was, beside where it goes, and elsewhere.
    const watchers = await spread([h1, h2, h3], named('watcher', 3), 'net');
    const moving = ['10.1.1.77', 'fd00:1::77'];
    const run = (host: ClusterHost, ...mac: readonly string[]) =>
      start(host, 'moving', ['--network', 'net', '--ip', moving[0]!, '--ip6', moving[1]!, ...mac]);
    const another = ['--mac-address', '02:00:00:00:00:77'];
    for (const [from, to, before, after] of [
      [h1, h2, [], another],
      [h2, h1, another, []],
    ] as const) {
      await run(from, ...before);
      await allReach(watchers, moving);
      await removeAll([[from, 'moving']]);
      await run(to, ...after);
      // The kernel by itself believes for some 15 to 45 s what it has learnt, and asks again some 8 s after that.
      await allReach(watchers, moving, 5000);
      await removeAll([[to, 'moving']]);
    }
  });

  test('goes on to and from containers whose agent is down; and a host that dies is withdrawn, and comes back', async () => {
    const cluster = stage();
    const { placed, addresses } = await setUp(cluster);
    const [c1, c2] = placed as [Placed, Placed];
    const [h1, h2, h3] = cluster.hosts as [ClusterHost, ClusterHost, ClusterHost];
    const stream = await ping(c1, addresses[1]!, 'c1');
    const started = performance.now();
    await Promise.all([h2.killBerth(), h3.powerOff()]);
    // h3 is withdrawn, so h2, of which nothing was heard for as long, has been asked as well, and has answered.
    await sends(h1, [h2]);
    await allReach([c1, c2], addresses.slice(0, 2));
    await stream.lostNothing((performance.now() - started) / 1000);
    await h2.startAgent();
    await sends(h2, [h1]);
    await h3.boot();
    await cluster.ready();
    await h3.docker('start', 'c3');
    await allReach(placed);
  });
});
