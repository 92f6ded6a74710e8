/** A host: a machine with a Docker engine, and Berth from this repository. */

import { existsSync, rmSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { composePlugin, type EngineVersion } from './engines.ts';
import { type RequestOptions, type Response, unixRequest } from './http.ts';
import { type ImageName, imageArchive, imageChanges } from './images.ts';
import { type Machine, repository } from './machine.ts';
import { type Process, type Result, waitFor } from './process.ts';

export interface BerthOptions {
  /** Plugin sockets to wait for. Default `berth`, `berth-lan` and `local`. */
  readonly plugins?: readonly string[];
  /** Wait until it serves (default); otherwise return when it is started. */
  readonly wait?: boolean;
  /** Milliseconds to wait; default 20,000. */
  readonly timeout?: number;
  /** The program; default `bin/berth` of this repository. */
  readonly program?: string;
}

export interface Host extends Machine {
  readonly version: EngineVersion;

  /** Starts dockerd and waits until it answers. @throws with its log when it ends or 60 s pass. */
  startEngine(flags?: readonly string[]): Promise<Process>;
  /** dockerd, as long as it runs. @throws when it does not. */
  engine(): Process;
  /** Asks dockerd to end (SIGTERM), and waits. It stops its containers, unless `--live-restore`. */
  stopEngine(): Promise<void>;
  /** Ends dockerd and starts it again, with the same flags. */
  restartEngine(): Promise<void>;
  /** SIGKILL. Containers keep running. */
  killEngine(): Promise<void>;
  /** The docker command of the host's engine. Its standard output, trimmed. @throws CommandError. */
  docker(...args: readonly string[]): Promise<string>;
  /** `docker compose`. */
  compose(...args: readonly string[]): Promise<Result>;
  /** Docker's API, without the price of starting a command. */
  api(path: string, options?: RequestOptions): Promise<Response>;
  /** Name of an image that is loaded into the engine by then: `busybox` (default), or `iperf3`, which has both. */
  image(name?: ImageName): Promise<string>;

  /**
   * Starts `berth agent` with the directories of the issue, then the flags; waits until its plugin sockets exist and
   * /health answers, healthy or not. @throws with its log when it ends before.
   */
  startBerth(flags?: readonly string[], env?: NodeJS.ProcessEnv, options?: BerthOptions): Promise<Process>;
  /** The agent, as long as it runs. @throws when it does not. */
  agent(): Process;
  /** SIGTERM, and waits. The exit code. */
  stopBerth(): Promise<number>;
  /** SIGKILL. */
  killBerth(): Promise<void>;
  /** The `berth` command, on the agent of the host. Does not fail by itself: look at `code`. */
  berth(...args: readonly string[]): Promise<Result>;
  /** The agent's API. */
  berthApi(path: string, options?: RequestOptions): Promise<Response>;
}

const dockerSocket = '/run/docker.sock';
const pidFile = '/run/dockerd.pid';

/** @param cgroup parent of the cgroups of the host's containers. */
export function asHost(machine: Machine, version: EngineVersion, cgroup: string): Host {
  const images = new Set<ImageName>();
  let engine: Process | undefined;
  let engineFlags: readonly string[] = [];
  let agent: Process | undefined;
  let runDir = '/run/berth';

  const running = (process: Process | undefined, what: string): Process => {
    if (!process?.running()) throw new Error(`${what} is not running on ${machine.name}`);
    return process;
  };

  const startEngine = async (flags: readonly string[] = []): Promise<Process> => {
    if (engine?.running()) throw new Error(`dockerd is running on ${machine.name} already`);
    engineFlags = flags;
    // A killed dockerd leaves its file, and its number may have been given to another process since.
    rmSync(machine.path(pidFile), { force: true });
    const fixed = ['--data-root', '/var/lib/docker', '--exec-root', '/run/docker', '--pidfile', pidFile];
    const api = ['-H', `unix://${dockerSocket}`];
    const cgroups = ['--exec-opt', 'native.cgroupdriver=cgroupfs', '--cgroup-parent', `/${cgroup}`];
    const started = await machine.spawn(['dockerd', ...fixed, ...api, ...cgroups, ...flags]);
    engine = started;
    await waitFor(
      () => `dockerd on ${machine.name} to answer`,
      async () => {
        if (!started.running()) throw new Error(`dockerd on ${machine.name} ended:\n${await started.output()}`);
        // Its number of containers comes only when it has restored them.
        return host.api('/info', { timeout: 60_000 }).then(
          ({ status }) => status === 200,
          () => false,
        );
      },
      120_000,
    );
    return started;
  };

  const ready = async (plugins: readonly string[]): Promise<boolean> => {
    if (!plugins.every((plugin) => existsSync(machine.path(`/run/docker/plugins/${plugin}.sock`)))) return false;
    return host.berthApi('/health').then(
      () => true,
      () => false,
    );
  };

  const startBerth: Host['startBerth'] = async (flags = [], env = {}, options = {}) => {
    if (agent?.running()) throw new Error(`Berth is running on ${machine.name} already`);
    const all = [
      '--state-dir',
      '/var/lib/berth',
      '--run-dir',
      '/run/berth',
      '--plugin-dir',
      '/run/docker/plugins',
      ...flags,
    ];
    runDir = all[all.lastIndexOf('--run-dir') + 1]!;
    const program = options.program ?? join(repository, 'bin/berth');
    const started = await machine.spawn([program, 'agent', ...all], { env, name: 'berth' });
    agent = started;
    if (options.wait === false) return started;
    const plugins = options.plugins ?? ['berth', 'berth-lan', 'local'];
    let log = '';
    await waitFor(
      () => `the agent on ${machine.name} to serve ${plugins.join(', ')}; it wrote:\n${log}`,
      async () => {
        const ended = !started.running();
        if (await ready(plugins)) return true;
        log = await started.output();
        if (ended) throw new Error(`The agent on ${machine.name} ended with ${await started.exited()}:\n${log}`);
        return false;
      },
      options.timeout ?? 60_000,
    );
    return started;
  };

  const host: Host = {
    ...machine,
    version,
    startEngine,
    engine: () => running(engine, 'dockerd'),
    stopEngine: async () => {
      await running(engine, 'dockerd').stop('SIGTERM', 60_000);
    },
    restartEngine: async () => {
      await host.stopEngine();
      await startEngine(engineFlags);
    },
    killEngine: async () => {
      await running(engine, 'dockerd').stop('SIGKILL');
    },
    docker: async (...args) => (await machine.exec(['docker', ...args])).stdout.trim(),
    compose: async (...args) => {
      const plugin = '/run/docker-cli/cli-plugins/docker-compose';
      if (!existsSync(machine.path(plugin))) await copyFile(await composePlugin(), machine.path(plugin));
      return machine.exec(['docker', 'compose', ...args], { timeout: 180_000 });
    },
    api: (path, options) => unixRequest(machine.path(dockerSocket), path, options),
    image: async (name = 'busybox') => {
      const tag = `bed-${name}`;
      if (images.has(name)) return tag;
      const query = new URLSearchParams({ fromSrc: '-', repo: tag, tag: 'latest' });
      for (const change of imageChanges) query.append('changes', change);
      const { status, body } = await host.api(`/images/create?${query.toString()}`, {
        method: 'POST',
        body: await imageArchive(name),
      });
      if (status !== 200 || body.includes('"error"')) throw new Error(`Image ${tag} cannot be imported: ${body}`);
      images.add(name);
      return tag;
    },
    startBerth,
    agent: () => running(agent, 'Berth'),
    stopBerth: () => running(agent, 'Berth').stop('SIGTERM', 30_000),
    killBerth: async () => {
      await running(agent, 'Berth').stop('SIGKILL');
    },
    berth: (...args) =>
      machine.exec([join(repository, 'bin/berth'), ...args], { check: false, env: { BERTH_RUN_DIR: runDir } }),
    berthApi: (path, options) => unixRequest(machine.path(join(runDir, 'berth.sock')), path, options),
  };
  return host;
}
