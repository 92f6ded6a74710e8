/** The control nodes of a cluster: machines that run a member of etcd each, and masters. Hosts reach them over the management network. */

import { join } from 'node:path';
import { type Machine, repository } from './machine.ts';
import { type Process, type Result, waitFor } from './process.ts';

/** A program that is started again with the same flags after it was killed. */
export interface Service {
  /** @throws when it does not run. */
  process(): Process;
  running(): boolean;
  /** Starts it and waits until it serves, or only starts it. */
  start(options?: { readonly wait?: boolean }): Promise<void>;
  /** SIGTERM, and waits. */
  stop(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** SIGSTOP: connections stay, nothing is answered. */
  freeze(): Promise<void>;
  thaw(): void;
}

export interface EtcdMember extends Service {
  readonly machine: Machine;
  readonly address: string;
  readonly url: string;
  /** etcdctl, v3, against this member. @throws CommandError unless `check` is false. */
  ctl(args: readonly string[], options?: { readonly check?: boolean; readonly timeout?: number }): Promise<Result>;
  /** etcdctl with the v2 API, where Docker's cluster store is. */
  ctl2(args: readonly string[]): Promise<Result>;
}

export interface MasterService extends Service {
  readonly machine: Machine;
  readonly url: string;
}

/** @param launch starts the program. @param serves whether it answers by now. @param timeout milliseconds until then. */
export function service(
  what: string,
  launch: () => Promise<Process>,
  serves: () => Promise<boolean>,
  timeout = 30_000,
): Service {
  let current: Process | undefined;
  const process = () => {
    if (current?.running() !== true) throw new Error(`${what} is not running`);
    return current;
  };
  return {
    process,
    running: () => current?.running() === true,
    start: async ({ wait = true } = {}) => {
      if (current?.running()) throw new Error(`${what} is running already`);
      const started = await launch();
      current = started;
      if (!wait) return;
      let log = '';
      await waitFor(
        () => `${what} to serve; it wrote:\n${log}`,
        async () => {
          if (await serves()) return true;
          log = await started.output();
          if (!started.running()) throw new Error(`${what} ended with ${await started.exited()}:\n${log}`);
          return false;
        },
        timeout,
        50,
      );
    },
    stop: async () => {
      await process().stop('SIGTERM');
    },
    kill: async () => {
      await process().stop('SIGKILL');
    },
    freeze: () => process().freeze(),
    thaw: () => process().thaw(),
  };
}

/**
 * The members of one cluster of etcd, not started yet: they must be started together. The v2 API is on as well, for engines
 * with a cluster store.
 *
 * @param nodes the machines and their addresses, one member on each; `disk` is what survives a power failure.
 */
export function etcdMembers(nodes: readonly { machine: Machine; address: string }[]): EtcdMember[] {
  const peer = (address: string) => `http://${address}:2380`;
  const initial = nodes.map(({ address }, n) => `m${n + 1}=${peer(address)}`).join(',');
  return nodes.map(({ machine, address }, n): EtcdMember => {
    const url = `http://${address}:2379`;
    const name = `m${n + 1}`;
    const args = [
      `--name=${name}`,
      `--data-dir=${join(machine.dir, 'etcd')}`,
      '--enable-v2',
      '--listen-client-urls=http://0.0.0.0:2379',
      `--advertise-client-urls=${url}`,
      `--listen-peer-urls=${peer(address)}`,
      `--initial-advertise-peer-urls=${peer(address)}`,
      `--initial-cluster=${initial}`,
      '--heartbeat-interval=100',
      '--election-timeout=1000',
      '--logger=zap',
      '--log-level=warn',
    ];
    // The folder is the same inside and outside, and etcd and etcdctl are this machine's: engine trees have none.
    const ctl =
      (version: string) =>
      (words: readonly string[], options: { check?: boolean; timeout?: number } = {}) =>
        machine.net(['etcdctl', `--endpoints=${url}`, ...words], { ...options, env: { ETCDCTL_API: version } });
    const v3 = ctl('3');
    const unit = service(
      `etcd ${name}`,
      () => machine.netSpawn(['etcd', ...args], { name: 'etcd' }),
      async () => (await v3(['get', 'x'], { check: false, timeout: 10_000 })).code === 0,
    );
    return { ...unit, machine, address, url, ctl: v3, ctl2: ctl('2') };
  });
}

/**
 * `berth master`, or another program with its flags: not started yet. It is asked for its tenants until it answers.
 *
 * @param port where its flags say that it listens.
 */
export function masterService(
  machine: Machine,
  address: string,
  command: readonly [program: string, ...args: string[]],
  port = 9999,
): MasterService {
  const url = `http://${address}:${port}`;
  const unit = service(
    `the master on ${machine.name}`,
    () => machine.spawn([join(repository, 'bin', command[0]), ...command.slice(1)], { name: 'master' }),
    async () => {
      // Debian's busybox crashes on wget's own -T.
      const wget = ['timeout', '3', 'busybox', 'wget', '-q', '-O', '/dev/null', `${url}/api/v1/tenants/`];
      return (await machine.net(['busybox', ...wget], { check: false })).code === 0;
    },
  );
  return { ...unit, machine, url };
}
