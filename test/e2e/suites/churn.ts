/** What churn tests are made of: reproducible chance, containers that come and go, and misfortune that befalls all kinds of processes. */

import { setTimeout as delay } from 'node:timers/promises';
import type { Cluster, ClusterHost } from '../bed/cluster.ts';
import { historyOf } from '../bed/history.ts';
import type { Host } from '../bed/host.ts';
import { type Process, waitFor } from '../bed/process.ts';
import { inspect } from './containers.ts';

/** Numbers from 0 to 1 that follow from a seed: mulberry32, public domain, Tommy Ettinger. */
export function chance(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** A time in which an address was certainly a container's: from the moment it was told until it was asked to go. */
export interface Hold {
  readonly network: string;
  readonly address: string;
  readonly container: string;
  readonly from: number;
  to: number;
}

/** As logs have it: milliseconds since the epoch, of the clock that holds are measured by. */
const clock = (moment: number): string => new Date(performance.timeOrigin + moment).toISOString();

/** Pairs of holds of one address at one time, in words. */
export function overlapping(holds: readonly Hold[]): string[] {
  const faults: string[] = [];
  const last = new Map<string, Hold>();
  for (const hold of holds.toSorted((a, b) => a.from - b.from)) {
    const key = `${hold.network} ${hold.address}`;
    const before = last.get(key);
    if (before !== undefined && before.to > hold.from)
      faults.push(`${key}: ${before.container} and ${hold.container} from ${clock(hold.from)} on`);
    if (before === undefined || before.to < hold.to) last.set(key, hold);
  }
  return faults;
}

export interface Churn {
  /** All that were ever held. */
  readonly holds: readonly Hold[];
  /** The containers of a host are no longer certain to have what they had. */
  doubt(host: Host): void;
  /** No more are started. @returns how many came to run. */
  stop(): Promise<number>;
}

/** Starts and removes so many containers at a time on each host, on networks by chance, whatever the commands say. */
export function churn(
  hosts: readonly Host[],
  perHost: number,
  networks: readonly string[],
  random: () => number,
): Churn {
  const holds: Hold[] = [];
  const held = new Map<Host, Set<Hold>>(hosts.map((host) => [host, new Set()]));
  let going = true;
  const end = (hold: Hold, host: Host): void => {
    hold.to = Math.min(hold.to, performance.now());
    held.get(host)!.delete(hold);
  };

  const slot = async (host: Host, number: number, next: () => number): Promise<number> => {
    let ran = 0;
    const image = 'bed-busybox';
    for (let round = 0; going; round++) {
      const container = `w${number}-${round}`;
      const network = networks[Math.floor(next() * networks.length)]!;
      const run = ['docker', 'run', '-d', '--name', container, '--network', network, image, 'sleep', '1000'];
      const { code } = await host.exec(run, { check: false, timeout: 180_000 });
      let hold: Hold | undefined;
      if (code === 0) {
        ran += 1;
        const from = performance.now();
        const address = await inspect(host, container).then(
          ({ State, NetworkSettings }) => (State.Running ? NetworkSettings.Networks[network]?.IPAddress : undefined),
          () => undefined,
        );
        if (address) {
          hold = { network, address, container: `${container} on ${host.name}`, from, to: Number.POSITIVE_INFINITY };
          holds.push(hold);
          held.get(host)!.add(hold);
        }
        await delay(next() * 2000);
      } else {
        await delay(200);
      }
      if (hold !== undefined) end(hold, host);
      await host.exec(['docker', 'rm', '-f', container], { check: false, timeout: 180_000 });
    }
    return ran;
  };
  const slots = hosts.flatMap((host) =>
    Array.from({ length: perHost }, (_, number) => slot(host, number, chance(Math.floor(random() * 2 ** 32)))),
  );
  const ended = Promise.all(slots);
  // Seen when they are stopped.
  ended.catch(() => {});
  return {
    holds,
    doubt(host) {
      for (const hold of held.get(host)!) end(hold, host);
    },
    async stop() {
      going = false;
      return (await ended).reduce((sum, ran) => sum + ran, 0);
    },
  };
}

/** Something that may befall what containers need; it ends with everything as before. */
export interface Misfortune {
  readonly name: string;
  /** Things that have the same are not done at a time. */
  readonly what: string;
  befall(): Promise<void>;
}

/**
 * Kills, freezes and cuts off, by chance, at two places at a time, until it is told to stop; then all is as before again.
 *
 * @param doubt is called before the containers of a host may end.
 * @returns what was done, in order.
 */
export function misfortunes(
  cluster: Cluster,
  random: () => number,
  doubt: (host: ClusterHost) => void,
): { stop(): Promise<readonly string[]> } {
  const pause = (milliseconds: number) => delay(milliseconds * (0.2 + random()));
  const frozen = async (process: Process, milliseconds: number) => {
    await process.freeze();
    await pause(milliseconds);
    process.thaw();
  };
  const possible: Misfortune[] = [
    ...cluster.hosts.flatMap((host): Misfortune[] => [
      {
        name: `agent of ${host.name} killed`,
        what: `agent ${host.name}`,
        befall: async () => {
          await host.killBerth();
          await pause(1000);
          await restart(() => host.startAgent(['--log-level', 'info'], { timeout: 60_000 }));
        },
      },
      { name: `agent of ${host.name} frozen`, what: `agent ${host.name}`, befall: () => frozen(host.agent(), 3000) },
      {
        name: `engine of ${host.name} killed`,
        what: `engine ${host.name}`,
        befall: async () => {
          doubt(host);
          await host.killEngine();
          await pause(1000);
          await restart(() => host.startEngine());
          // What ran when it was killed has been stopped, and what was started before it was restored is in doubt too.
          doubt(host);
        },
      },
      { name: `engine of ${host.name} frozen`, what: `engine ${host.name}`, befall: () => frozen(host.engine(), 3000) },
      {
        name: `${host.name} cut off from etcd`,
        what: `management ${host.name}`,
        befall: async () => {
          await host.management.pull();
          await pause(5000);
          await host.management.push();
        },
      },
      {
        name: `${host.name} cut off from the other hosts`,
        what: `underlay ${host.name}`,
        befall: async () => {
          await host.underlay.pull();
          await pause(3000);
          await host.underlay.push();
        },
      },
    ]),
    ...cluster.masters.flatMap((master, n): Misfortune[] => [
      {
        name: `master ${n + 1} killed`,
        what: `master ${n}`,
        befall: async () => {
          await master.kill();
          await pause(500);
          await restart(() => master.start());
        },
      },
      { name: `master ${n + 1} frozen`, what: `master ${n}`, befall: () => frozen(master.process(), 2000) },
    ]),
    // One member at a time: with two away nothing can be written, which is another test.
    ...cluster.members.flatMap((member, n): Misfortune[] => [
      {
        name: `etcd ${n + 1} killed`,
        what: 'etcd',
        befall: async () => {
          await member.kill();
          await pause(2000);
          await restart(() => member.start());
        },
      },
      { name: `etcd ${n + 1} frozen`, what: 'etcd', befall: () => frozen(member.process(), 3000) },
    ]),
  ];
  return befall(possible, random, { atOnce: 2, between: 500 });
}

/**
 * One after the other by chance, until it is told to stop: `stop` returns what was done, in order.
 *
 * @param atOnce at so many places at a time. @param between milliseconds, on average, for which a place is left alone.
 */
export function befall(
  possible: readonly Misfortune[],
  random: () => number,
  { atOnce, between }: { readonly atOnce: number; readonly between: number },
): { stop(): Promise<readonly string[]> } {
  const done: string[] = [];
  const busy = new Set<string>();
  let going = true;
  const began = performance.now();
  const one = async (): Promise<void> => {
    while (going) {
      const free = possible.filter(({ what }) => !busy.has(what));
      const { name, what, befall: happen } = free[Math.floor(random() * free.length)]!;
      busy.add(what);
      done.push(`${((performance.now() - began) / 1000).toFixed(1)} s: ${name}`);
      try {
        await happen();
      } catch (error) {
        throw new Error(`after ${done.join('; ')}`, { cause: error });
      }
      busy.delete(what);
      await delay(between * (0.5 + random()));
    }
  };
  const all = Promise.all(Array.from({ length: atOnce }, one));
  // Seen when it is stopped.
  all.catch(() => {});
  return {
    async stop() {
      going = false;
      await all;
      return done;
    },
  };
}

/** Lets both go on for so long, then ends them. @returns how many containers came to run, and what was done to them. */
export async function after(
  seconds: number,
  containers: Pick<Churn, 'stop'>,
  chaos: { stop(): Promise<readonly string[]> },
): Promise<{ readonly ran: number; readonly done: readonly string[] }> {
  await delay(seconds * 1000);
  // Both before a failure is told: whoever still starts containers would run into what is off.
  const ended = chaos.stop();
  await ended.catch(() => undefined);
  const ran = await containers.stop();
  return { ran, done: await ended };
}

/** What is started while something that it needs is away may give up; a service manager starts it again, and so do we. */
export async function restart(start: () => Promise<unknown>): Promise<void> {
  let last: unknown;
  await waitFor(
    () => `a restart: ${String(last)}`,
    () =>
      start().then(
        () => true,
        (error: unknown) => {
          last = error;
          return false;
        },
      ),
    120_000,
    500,
  );
}

/** Where a cluster stands, for a failure: what the store has of addresses and endpoints, and what engines and agents say of it. */
export async function situation(cluster: Cluster): Promise<string> {
  const member = cluster.members.find((one) => one.running())!;
  const stored = await Promise.all(
    ['lease', 'cluster-endpoint', 'host-endpoint', 'gate'].map(async (kind) => {
      const { stdout } = await member.ctl(['get', '--prefix', `/berth/${kind}/`], { check: false });
      return stdout.trim();
    }),
  );
  const hosts = await Promise.all(
    cluster.hosts.map(async (host) => {
      const listed = await host.exec(
        [
          'sh',
          '-c',
          'docker ps -a; docker network inspect $(docker network ls -q) -f "{{.Name}} {{json .Containers}}"',
        ],
        { check: false },
      );
      const [records, leases, health] = await Promise.all(
        ['/v1/endpoints', '/v1/leases', '/health'].map((path) =>
          host.berthApi(path).then(
            ({ body }) => body,
            (error: unknown) => String(error),
          ),
        ),
      );
      return `${host.name}: ${listed.stdout}${listed.stderr}\nendpoints ${records}\nleases ${leases}\nhealth ${health}`;
    }),
  );
  const changes = (await historyOf(member, '/berth/')).filter(({ key }) =>
    /^\/berth\/(lease|cluster-endpoint)\//.test(key),
  );
  const told = changes.map(({ revision, key, value }) => `${revision} ${key} ${value ?? 'deleted'}`);
  return ['in the store:', ...stored, ...hosts, 'what was in the store:', ...told].join('\n');
}
