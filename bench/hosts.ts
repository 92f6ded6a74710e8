/** Many hosts on one etcd: how long until each knows what it must, how soon it hears of a change, and what that costs. */

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { keys } from '../src/model/keys.ts';
import { openEtcdStore } from '../src/store/etcd/store.ts';
import { startEtcd } from '../src/store/etcd/testing/etcd.ts';
import type { Operation } from '../src/store/store.ts';
import type { Benchmark, Context } from './benchmark.ts';
import type { Row, Table } from './result.ts';
import { carriersOf, clock, type FromPlayer, networksOf, type Scale, type ToPlayer } from './simulated/messages.ts';

const FULL: Scale = { hosts: 1000, endpoints: 100_000, networks: 500, carried: 10 };
const PROCESSES = 4;
const CHANGES = 100;
const DEADLINE = 300_000;

export const hosts: Benchmark = {
  name: 'hosts',
  about:
    'a thousand hosts without kernels on one etcd: time to converge, time until a change is known, watch traffic, memory',
  run: async (context) => await measure(context, scaleOf(process.env.BERTH_BENCH_HOSTS)),
};

/** A thousand hosts, or as many as are asked for, with as much on each. */
function scaleOf(asked: string | undefined): Scale {
  const count = Number(asked ?? FULL.hosts);
  return { ...FULL, hosts: count, endpoints: (FULL.endpoints / FULL.hosts) * count, networks: Math.ceil(count / 2) };
}

interface Game {
  readonly players: readonly ChildProcess[];
  tell(order: ToPlayer, to?: number): void;
  /** Resolves when a message that is wanted has come so often. */
  heard(wanted: (message: FromPlayer) => boolean, times: number): Promise<readonly FromPlayer[]>;
}

function openGame(): Game {
  const listeners = new Set<(message: FromPlayer) => void>();
  const failures = new Set<(error: Error) => void>();
  const path = fileURLToPath(new URL('simulated/player.ts', import.meta.url));
  const players = Array.from({ length: PROCESSES }, () => {
    const child = fork(path, { execArgv: ['--max-old-space-size=4096'] });
    child.on('exit', (code) => {
      if (code === 0 || code === null) return;
      for (const fail of failures) fail(new Error('a process that plays hosts has failed'));
    });
    child.on('message', (message: FromPlayer) => {
      for (const listener of listeners) listener(message);
    });
    return child;
  });
  return {
    players,
    tell(order, to) {
      for (const [number, player] of players.entries()) if (to === undefined || to === number) player.send(order);
    },
    heard(wanted, times) {
      const { promise, resolve, reject } = Promise.withResolvers<readonly FromPlayer[]>();
      const found: FromPlayer[] = [];
      failures.add(reject);
      const timer = setTimeout(() => reject(new Error(`only ${found.length} of ${times} hosts answered`)), DEADLINE);
      const listener = (message: FromPlayer): void => {
        if (wanted(message)) found.push(message);
        if (found.length < times) return;
        clearTimeout(timer);
        listeners.delete(listener);
        resolve(found);
      };
      listeners.add(listener);
      return promise;
    },
  };
}

async function measure(context: Context, scale: Scale): Promise<Table> {
  await using etcd = await startEtcd({
    flags: ['--quota-backend-bytes', String(8 * 2 ** 30), '--auto-compaction-retention', '5m'],
  });
  const url = etcd.members[0]!.url;
  await makeNetworks(url, scale);
  const game = openGame();
  try {
    const each = Math.ceil(scale.hosts / PROCESSES);
    const began = clock();
    const converging = game.heard(({ said }) => said === 'converged', scale.hosts);
    for (let n = 0; n < PROCESSES; n++) {
      const [first, last] = [n * each, Math.min((n + 1) * each, scale.hosts) - 1];
      game.tell({ do: 'start', etcd: url, scale, first, last }, n);
    }
    context.say(`${scale.hosts} hosts begin, with ${scale.endpoints} endpoints`);
    const converged = (await converging).map((message) => ('at' in message ? message.at - began : 0));
    context.say(`all know all after ${(Math.max(...converged) / 1000).toFixed(1)} s`);
    const before = await sent(url);
    const known: number[] = [];
    const carriers = carriersOf(scale);
    for (let n = 0; n < (context.runs ?? CHANGES); n++) {
      const host = (n * 37) % scale.hosts;
      known.push(
        await changeOne(game, host, Math.floor(host / each), `change-${n}`, carriers.get(networksOf(host, scale)[0]!)!),
      );
    }
    const perChange = (await sent(url, before)) / known.length;
    const size = await databaseSize(url);
    const ending = game.heard(({ said }) => said === 'ended', PROCESSES);
    game.tell({ do: 'end' });
    const memory = (await ending).map((message) => ('residentMegabytes' in message ? message.residentMegabytes : 0));
    const name = `${scale.hosts} hosts, ${scale.endpoints} endpoints`;
    const rows: Row[] = [
      { what: 'all hosts know all, from nothing', name, unit: 's', samples: [Math.max(...converged) / 1000] },
      {
        what: 'a change is known on every host that carries its network',
        name,
        unit: 'ms',
        samples: known,
        budgets: [{ of: 'p99', most: 1000 }],
      },
      { what: 'sent by etcd for one change, renewals included', name, unit: 'KiB', samples: [perChange / 1024] },
      { what: 'memory of a host’s part in the cluster', name, unit: 'MB', samples: [sum(memory) / scale.hosts] },
      { what: 'database of etcd, with its history', name, unit: 'MB', samples: [size / 2 ** 20] },
    ];
    return {
      title: 'Hosts',
      notes: [
        `${PROCESSES} processes play the hosts, each with a connection of its own for every host; etcd is one member on the same machine`,
        `each host has ${scale.endpoints / scale.hosts} containers on ${scale.carried} of ${scale.networks} networks, and follows those networks`,
        'a change: from when the endpoint’s host begins to tell, until the last host that carries the network has heard',
      ],
      rows,
    };
  } finally {
    for (const player of game.players) {
      if (player.exitCode === null && player.kill('SIGKILL')) await once(player, 'exit');
    }
  }
}

async function changeOne(game: Game, host: number, player: number, mark: string, carriers: number): Promise<number> {
  game.tell({ do: 'await', mark });
  const seen = game.heard((message) => message.said === 'seen' && message.mark === mark, carriers);
  const began = clock();
  game.tell({ do: 'change', host, mark }, player);
  return Math.max(...(await seen).map((message) => ('at' in message ? message.at : 0))) - began;
}

async function makeNetworks(url: string, { networks }: Scale): Promise<void> {
  const store = await openEtcdStore({ endpoints: [{ url }], prefix: 'bench/' });
  for (let first = 0; first < networks; first += 100) {
    const then = Array.from({ length: Math.min(100, networks - first) }, (_, n): Operation => {
      return { do: 'put', key: keys.object('network', `default:n${first + n}`), value: '{}' };
    });
    await store.transact({ then });
  }
  await store.close();
}

/** Bytes that etcd has sent to its clients. */
async function sent(url: string, before = 0): Promise<number> {
  return (await metric(url, 'etcd_network_client_grpc_sent_bytes_total')) - before;
}

const databaseSize = (url: string): Promise<number> => metric(url, 'etcd_mvcc_db_total_size_in_bytes');

async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(text.match(new RegExp(`^${name} (.*)$`, 'm'))?.[1] ?? Number.NaN);
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
