/**
 * For tests: an Open vSwitch of their own, with its files in a temporary folder and its switch in the network namespace of
 * the caller. Never the machine's: nothing of it is in /run, /etc or /var.
 */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { DatabaseAddress } from '../address.ts';

const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema';

export interface OpenVswitch {
  readonly address: DatabaseAddress & { readonly kind: 'unix' };
  /** `ovs-vsctl` without waiting for the switch; its standard output, trimmed. */
  vsctl(...args: readonly string[]): string;
  /** Lets the database listen on a TCP port of the loopback interface too. */
  listen(port: number): void;
  /** Starts the switch itself; without it there is only the database. */
  startSwitch(): void;
  readonly database: { stop(): Promise<void>; start(): Promise<void>; freeze(): void; thaw(): void };
  close(): Promise<void>;
}

/** A database that is empty but for its one row, and the programs' answers as they come. */
export async function openVswitch(): Promise<OpenVswitch> {
  const dir = mkdtempSync(join(tmpdir(), 'berth-ovs-'));
  const at = (name: string): string => join(dir, name);
  const env = { ...process.env, OVS_RUNDIR: dir, OVS_LOGDIR: dir, OVS_DBDIR: dir, OVS_SYSCONFDIR: dir };
  const socket = at('db.sock');
  const children = new Set<ChildProcess>();
  let server: ChildProcess | undefined;

  function launch(program: string, ...args: readonly string[]): ChildProcess {
    const quiet = ['-vconsole:off', '-vsyslog:off', '-vfile:off', '--no-chdir'];
    // It ends with this process, also when that is killed.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', program, ...args, ...quiet], { env, stdio: 'ignore' });
    children.add(child);
    child.once('exit', () => children.delete(child));
    return child;
  }

  async function start(): Promise<void> {
    rmSync(socket, { force: true });
    server = launch('ovsdb-server', at('conf.db'), `--remote=punix:${socket}`, `--unixctl=${at('db.ctl')}`);
    while (!(await answers(socket))) {
      if (server.exitCode !== null) throw new Error(`ovsdb-server ended with ${server.exitCode}`);
      await delay(10);
    }
  }

  execFileSync('ovsdb-tool', ['create', at('conf.db'), SCHEMA], { env });
  await start();
  const vsctl = (...args: readonly string[]): string =>
    execFileSync('ovs-vsctl', ['--no-wait', `--db=unix:${socket}`, '--timeout=10', ...args], {
      env,
      encoding: 'utf8',
    }).trim();
  vsctl('init');

  return {
    address: { kind: 'unix', path: socket },
    vsctl,
    listen(port) {
      const remote = ['ovsdb-server/add-remote', `ptcp:${port}:127.0.0.1`];
      execFileSync('ovs-appctl', ['-t', at('db.ctl'), ...remote], { env });
    },
    startSwitch() {
      launch('ovs-vswitchd', `unix:${socket}`, `--unixctl=${at('switch.ctl')}`);
    },
    database: {
      stop: () => end(server!),
      start,
      freeze: () => void server!.kill('SIGSTOP'),
      thaw: () => void server!.kill('SIGCONT'),
    },
    async close() {
      await Promise.all([...children].map(end));
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
}

function answers(path: string): Promise<boolean> {
  if (!existsSync(path)) return Promise.resolve(false);
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
