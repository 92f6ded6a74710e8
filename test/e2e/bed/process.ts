/** Starting programs: to their end (`run`), or in the background with their output in a file (`start`). */

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string | Uint8Array;
  /** Milliseconds; then the program is killed and the call fails. Default 120,000. */
  readonly timeout?: number;
  /** Fail when the exit code is not 0. Default true. */
  readonly check?: boolean;
}

export interface Result {
  /** Exit code; 128 + the signal's number if a signal ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program that failed or took too long; the message holds the command, the code and both outputs. */
export class CommandError extends Error {
  readonly result: Result;

  constructor(command: readonly string[], reason: string, result: Result) {
    super(`${command.join(' ')}: ${reason}\n${result.stdout}${result.stderr}`.trimEnd());
    this.name = 'CommandError';
    this.result = result;
  }
}

/** Runs a program to its end. @throws CommandError when it fails (unless `check` is false) or takes too long. */
export async function run(command: readonly string[], options: RunOptions = {}): Promise<Result> {
  const child = spawn(command[0]!, command.slice(1), { env: options.env, stdio: 'pipe' });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  // The program may end without reading all of its input; its exit code tells what that means.
  child.stdin.on('error', () => {});
  child.stdin.end(options.input);

  const timeout = options.timeout ?? 120_000;
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    for (const pid of [...childrenOf(child.pid!), child.pid!]) signal(pid, 'SIGKILL');
    // A grandchild may still hold the pipes; nobody waits for it.
    child.stdout.destroy();
    child.stderr.destroy();
  }, timeout);
  try {
    const code = await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (status, killedBy) => resolve(exitCode(status, killedBy)));
    });
    const result = { code, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() };
    if (late) throw new CommandError(command, `no end after ${timeout} ms`, result);
    if (code !== 0 && options.check !== false) throw new CommandError(command, `exit code ${code}`, result);
    return result;
  } finally {
    clearTimeout(timer);
  }
}

/** A program in the background. */
export interface Process {
  /** Process id, seen from outside of any namespace. */
  readonly pid: number;
  /** File with its standard output and error. */
  readonly log: string;
  running(): boolean;
  /** Waits for its end: the exit code, 128 + the signal's number if a signal ended it. Never rejects. */
  exited(): Promise<number>;
  /** What it has written since it was started. */
  output(): Promise<string>;
  /** Waits until its output matches. @throws when it ends or the time (ms, default 10,000) passes before. */
  waitForOutput(pattern: RegExp, timeout?: number): Promise<RegExpExecArray>;
  kill(signal?: NodeJS.Signals): void;
  /** Sends a signal (SIGTERM) and waits for the end; SIGKILL when that takes longer than `timeout` ms (20,000). */
  stop(signal?: NodeJS.Signals, timeout?: number): Promise<number>;
  /** Stops it in its tracks (SIGSTOP), and returns when it stands still. */
  freeze(): Promise<void>;
  thaw(): void;
}

export interface StartOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** File that its output is appended to. */
  readonly log: string;
  /** The program is `nsenter` (or another that forks): the process that matters is its child. */
  readonly forks?: boolean;
}

/** Starts a program in the background. It does not keep this process alive. */
export async function start(command: readonly string[], options: StartOptions): Promise<Process> {
  mkdirSync(dirname(options.log), { recursive: true });
  const fd = openSync(options.log, 'a');
  const before = readFileSync(options.log).length;
  // A process group of its own: Ctrl-C in the terminal is for the test, which then clears up.
  const child = spawn(command[0]!, command.slice(1), { env: options.env, stdio: ['ignore', fd, fd], detached: true });
  closeSync(fd);
  let ended = false;
  const exited = exitOf(child).finally(() => {
    ended = true;
  });
  child.unref();
  if (child.pid === undefined) throw new Error(`${command[0]} cannot be started`);

  let pid = child.pid;
  if (options.forks) {
    while (!ended) {
      const [first] = childrenOf(child.pid);
      if (first !== undefined) {
        pid = first;
        break;
      }
      await delay(1);
    }
  }
  const output = async () => (await readFile(options.log)).subarray(before).toString();
  const process: Process = {
    pid,
    log: options.log,
    running: () => !ended,
    exited: () => {
      child.ref();
      return exited;
    },
    output,
    waitForOutput: async (pattern, timeout = 30_000) => {
      let text = '';
      return waitFor(
        () => `${command.join(' ')} to write ${pattern}; it wrote:\n${text}`,
        async () => {
          const wasEnded = ended;
          text = await output();
          const match = pattern.exec(text);
          if (!match && wasEnded) throw new Error(`${command.join(' ')} ended without writing ${pattern}:\n${text}`);
          return match;
        },
        timeout,
      );
    },
    kill: (name = 'SIGTERM') => {
      if (ended) return;
      signal(pid, name);
      // A frozen program can be killed, but its nsenter stands still with it, and would never see the end.
      if (options.forks && name === 'SIGKILL') thaw(child.pid!);
    },
    stop: async (name = 'SIGTERM', timeout = 20_000) => {
      process.kill(name);
      const timer = setTimeout(() => process.kill('SIGKILL'), timeout);
      const code = await process.exited();
      clearTimeout(timer);
      return code;
    },
    freeze: () => freeze(pid),
    thaw: () => {
      thaw(pid);
      // nsenter stops itself when its child is stopped, and would then miss the child's end.
      if (options.forks) thaw(child.pid!);
    },
  };
  return process;
}

/** SIGSTOP, and waits until the process stands still. */
export async function freeze(pid: number): Promise<void> {
  signal(pid, 'SIGSTOP');
  await waitFor(`process ${pid} to stand still`, () => processState(pid) === 'T');
}

export function thaw(pid: number): void {
  signal(pid, 'SIGCONT');
}

/** Sends a signal; a process that is gone already is no error. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Ids of the processes that this one has forked from its main thread and that still are. */
export function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** Fields of /proc/PID/stat from the third (state) on, see proc(5); the second may contain anything. */
function statFields(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

/** `R`, `S`, `D`, `T`, `Z` …; undefined when there is no such process. */
export function processState(pid: number): string | undefined {
  return statFields(pid)?.[0];
}

/** When the process started, in clock ticks since boot: with the pid it names a process for ever. */
export function startTime(pid: number): string | undefined {
  return statFields(pid)?.[19];
}

/**
 * Polls until the probe gives something truthy: seldom where that is costly, so that waiting leaves the machine to those who are
 * waited for. @throws after `timeout` ms, naming what it waited for. The default is what a crowded machine may need.
 */
export async function waitFor<T>(
  what: string | (() => string),
  probe: () => T | Promise<T>,
  timeout = 30_000,
  interval = 10,
): Promise<NonNullable<T>> {
  const deadline = performance.now() + timeout;
  for (;;) {
    const began = performance.now();
    const found = await probe();
    if (found) return found;
    const now = performance.now();
    if (now > deadline) throw new Error(`Waited ${timeout} ms for ${typeof what === 'string' ? what : what()}`);
    await delay(Math.max(interval, Math.min(2 * (now - began), 250)));
  }
}

function exitOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => {
    child.once('error', () => resolve(127));
    child.once('exit', (status, killedBy) => resolve(exitCode(status, killedBy)));
  });
}

function exitCode(status: number | null, killedBy: NodeJS.Signals | null): number {
  return status ?? 128 + (killedBy ? constants.signals[killedBy] : 0);
}
