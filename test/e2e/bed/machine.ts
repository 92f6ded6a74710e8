/** A machine of the bed: network, mount, pid, uts and ipc namespaces around a pid 1 whose death is a power failure. */

import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { noteProcess } from './ownership.ts';
import { childrenOf, type Process, type Result, type RunOptions, run, signal, start } from './process.ts';

export const repository = join(import.meta.dirname, '../../..');

/**
 * What programs in a machine see of the environment. Nothing is inherited: a test gives the same result whoever runs it.
 * In /usr/local are only the tools that the boot scripts put there.
 */
const environment = {
  PATH: `${repository}/node_modules/node/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin`,
  HOME: '/root',
  LANG: 'C.UTF-8',
  DOCKER_CONFIG: '/run/docker-cli',
};

export interface SpawnOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** Name of the log file; default the program's name. */
  readonly name?: string;
}

export interface Machine {
  readonly name: string;
  /** Its folder, at the same path inside and outside; output of its programs is in `log/`. */
  readonly dir: string;
  /** Its pid 1, seen from outside. @throws when it is off. */
  pid(): number;
  isOn(): boolean;
  /** The path from outside of a file or socket inside. */
  path(inside: string): string;
  /** Runs a program to its end. @throws CommandError as `run`. */
  exec(command: readonly string[], options?: RunOptions): Promise<Result>;
  /** Runs a shell script to its end. */
  sh(script: string, options?: RunOptions): Promise<Result>;
  /** Starts a program in the background. */
  spawn(command: readonly string[], options?: SpawnOptions): Promise<Process>;
  /** Like `exec`, with this machine's file system and only the network of the machine: for tools that an engine's tree lacks. */
  net(command: readonly string[], options?: RunOptions): Promise<Result>;
  /** Like `spawn`, but as `net`. It ends with the machine. */
  netSpawn(command: readonly string[], options?: SpawnOptions): Promise<Process>;
  /** Several `ip` commands at once, without the word `ip`. */
  ip(...commands: readonly string[]): Promise<void>;
  /** A power failure: everything in it is killed. What is on its disk stays. Returns when all is gone. */
  powerOff(): Promise<void>;
  /** Boots it again, with its disk and its network cables. */
  powerOn(): Promise<void>;
  /** Runs now, and again after each `powerOn`: what the machine is equipped with. */
  equip(action: () => Promise<void>): Promise<void>;
}

export interface MachineOptions {
  readonly name: string;
  readonly dir: string;
  /** Script that makes the file system and becomes pid 1. */
  readonly boot: 'boot-host.sh' | 'boot-machine.sh';
  /** The file system it runs: `/` or a Debian tree. */
  readonly root: string;
}

/** Boots a machine. @throws when the boot script fails, with its output. */
export async function startMachine({ name, dir, boot, root }: MachineOptions): Promise<Machine> {
  const equipment: (() => Promise<void>)[] = [];
  const companions: Process[] = [];
  let power: { readonly pid: number; readonly off: Promise<void>; ref(): void } | undefined;

  const on = async () => {
    if (power) throw new Error(`Machine ${name} is on already`);
    const booted = await bootUp(dir, boot, [dir, root, name, repository]);
    power = booted;
    void booted.off.then(() => {
      if (power === booted) power = undefined;
    });
  };
  const pid = () => {
    if (!power) throw new Error(`Machine ${name} is off`);
    return power.pid;
  };
  const inside = (command: readonly string[]) => [
    'nsenter',
    '-t',
    `${pid()}`,
    '-n',
    '-m',
    '-u',
    '-i',
    '-p',
    '--',
    ...command,
  ];
  const network = (command: readonly string[]) => ['nsenter', '-t', `${pid()}`, '-n', '--', ...command];
  const log = (command: readonly string[], options: SpawnOptions) =>
    join(dir, 'log', `${options.name ?? command[0]!.replace(/^.*\//, '')}.log`);

  const machine: Machine = {
    name,
    dir,
    pid,
    isOn: () => power !== undefined,
    path: (path) => `/proc/${pid()}/root${path}`,
    exec: (command, options = {}) => run(inside(command), { ...options, env: { ...environment, ...options.env } }),
    sh: (script, options) => machine.exec(['sh', '-ec', script], options),
    spawn: (command, options = {}) =>
      start(inside(command), {
        env: { ...environment, ...options.env },
        log: log(command, options),
        forks: true,
      }),
    net: (command, options = {}) => run(network(command), { ...options, env: { ...environment, ...options.env } }),
    netSpawn: async (command, options = {}) => {
      // It is outside of the pid namespace: the kernel ends it with this process, and powerOff with the machine.
      const companion = await start(['setpriv', '--pdeathsig', 'KILL', ...network(command)], {
        env: { ...environment, ...options.env },
        log: log(command, options),
      });
      companions.push(companion);
      return companion;
    },
    ip: async (...commands) => {
      await machine.net(['ip', '-batch', '-'], { input: `${commands.join('\n')}\n` });
    },
    powerOff: async () => {
      if (!power) return;
      const { off } = power;
      power.ref();
      signal(power.pid, 'SIGKILL');
      await Promise.all([off, ...companions.splice(0).map((companion) => companion.stop('SIGKILL'))]);
    },
    powerOn: async () => {
      await on();
      for (const action of equipment) await action();
    },
    equip: async (action) => {
      equipment.push(action);
      await action();
    },
  };
  await on();
  return machine;
}

/**
 * pid 1 reads standard input, which is a socket of this process: however this process ends, its machines do too.
 * `unshare` outlives pid 1 until everything in the pid namespace is gone.
 */
async function bootUp(dir: string, script: string, args: readonly string[]) {
  mkdirSync(join(dir, 'log'), { recursive: true });
  const logFile = join(dir, 'log/boot.log');
  const log = openSync(logFile, 'w');
  const isolation = ['-n', '-m', '-u', '-i', '-p', '--fork', '--kill-child=KILL', '--propagation', 'private'];
  const program = ['unshare', ...isolation, '--', 'sh', join(import.meta.dirname, script), ...args];
  const child = spawn(program[0]!, program.slice(1), {
    stdio: ['pipe', log, log, 'pipe'],
    env: environment,
    detached: true,
  });
  closeSync(log);
  const off = new Promise<void>((resolve) => {
    child.once('error', () => resolve());
    child.once('exit', () => resolve());
  });
  const up = await Promise.race([
    off.then(() => false),
    new Promise<boolean>((resolve) => {
      child.stdio[3]!.once('data', () => resolve(true));
    }),
  ]);
  const [pid] = up ? childrenOf(child.pid!) : [];
  if (pid === undefined) throw new Error(`${dir} does not boot:\n${await readFile(logFile, 'utf8')}`);
  noteProcess(dir, pid);
  child.stdio[3]!.destroy();
  child.unref();
  // A socket, though its type only says that it can be written to.
  (child.stdin as unknown as { unref(): void }).unref();
  return { pid, off, ref: () => child.ref() };
}
