/** The test bed: hosts, each with its own Docker engine, and LANs, all in namespaces of this machine. See ../README.md. */

import { cpSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type EngineVersion, engineRoot } from './engines.ts';
import { asHost, type Host } from './host.ts';
import { type Lan, type LanOptions, openLan } from './lan.ts';
import { type Machine, startMachine } from './machine.ts';
import { claimBed, removeBed } from './ownership.ts';

export interface HostOptions {
  /** Default 20.10. */
  readonly engine?: EngineVersion;
  /**
   * The card `eth0` on the bed's underlay: its addresses (default 10.8.65.79/24, .80 …, and fd08:65::4f/64 …), or
   * false for none.
   */
  readonly underlay?: readonly string[] | false;
  /** Start dockerd too (default), with these flags. */
  readonly start?: boolean;
  readonly flags?: readonly string[];
}

export interface Bed extends AsyncDisposable {
  readonly id: string;
  readonly dir: string;
  /** A new host, up and with its engine started. */
  host(name: string, options?: HostOptions): Promise<Host>;
  /** A new LAN; `name` defaults to `lan`. */
  lan(options: Omit<LanOptions, 'name'> & { name?: string }): Promise<Lan>;
  /** The LAN that connects the hosts: 10.8.65.0/24 and fd08:65::/64 with gateway .1 and an outside; made at first use. */
  underlay(): Promise<Lan>;
  /** When the test fails, adds to its report what the bed's programs have logged since this call. */
  watch(test: Pick<TestContext, 'after' | 'diagnostic'>): void;
}

/**
 * Opens a bed. Close it with `await using`, or `bed[Symbol.asyncDispose]()`; at the end of the process, also by a signal,
 * what it has on the machine is removed.
 */
export function openBed(name = 'bed'): Promise<Bed> {
  const { id, dir } = claimBed(name);
  const machines: Machine[] = [];
  const boot = async (machine: string, options: { boot: 'boot-host.sh' | 'boot-machine.sh'; root: string }) => {
    if (!/^[a-z0-9][a-z0-9-]*$/.test(machine)) throw new Error(`Machine name ${machine}: use a-z, 0-9 and -`);
    const folder = join(dir, machine);
    // Fails when the name is in use.
    mkdirSync(folder);
    const started = await startMachine({ name: machine, dir: folder, ...options });
    machines.push(started);
    return started;
  };
  const lan = (options: LanOptions) =>
    openLan(options, (machine) => boot(machine, { boot: 'boot-machine.sh', root: '/' }));

  let underlay: Promise<Lan> | undefined;
  let hosts = 0;
  const closing = new Set<() => void>();
  const bed: Bed = {
    id,
    dir,
    lan: (options) => lan({ name: 'lan', ...options }),
    underlay: () => {
      underlay ??= lan({
        name: 'underlay',
        subnet: '10.8.65.0/24',
        gateway: '10.8.65.1',
        subnet6: 'fd08:65::/64',
        gateway6: 'fd08:65::1',
      });
      return underlay;
    },
    host: async (which, options = {}) => {
      const version = options.engine ?? '20.10';
      const number = 79 + hosts;
      hosts += 1;
      const [machine, segment] = await Promise.all([
        engineRoot(version).then((root) => boot(which, { boot: 'boot-host.sh', root })),
        options.underlay === false ? undefined : bed.underlay(),
      ]);
      await segment?.plug(machine, {
        addresses: options.underlay || [`10.8.65.${number}/24`, `fd08:65::${number.toString(16)}/64`],
        gateway: !options.underlay,
      });
      const host = asHost(machine, version, `${id}/${which}`);
      if (options.start !== false) await host.startEngine(options.flags);
      return host;
    },
    watch: (test) => {
      const before = new Map(logFiles(dir).map((file) => [file, statSync(file).size]));
      let closed: readonly string[] | undefined;
      const read = () => (closed ??= logFiles(dir).flatMap((file) => tailOf(file, before.get(file) ?? 0, dir)));
      // A bed that is closed within the test is gone by the time that its end is known.
      closing.add(read);
      test.after(() => {
        closing.delete(read);
        // Node has it since 21.7; its type declarations do not.
        if ((test as { passed?: boolean }).passed) return;
        for (const one of read()) test.diagnostic(one);
      });
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(machines.map((machine) => machine.powerOff()));
      for (const last of closing) last();
      keepLogs(dir, id);
      removeBed(id);
    },
  };
  return Promise.resolve(bed);
}

/** The last lines of a log from a place on, under its name; none when there is nothing. */
function tailOf(file: string, from: number, dir: string): string[] {
  const lines = readFileSync(file).subarray(from).toString().trimEnd().split('\n');
  return lines[0] === '' ? [] : [`${file.slice(dir.length + 1)}:\n${lines.slice(-60).join('\n')}`];
}

/** Whole, where somebody asks for them: `BERTH_BED_LOGS` names a folder. */
function keepLogs(dir: string, id: string): void {
  const folder = process.env.BERTH_BED_LOGS;
  if (!folder) return;
  for (const file of logFiles(dir)) cpSync(file, join(folder, id, file.slice(dir.length + 1)));
}

function logFiles(dir: string): string[] {
  return readdirSync(dir).flatMap((machine) => {
    const folder = join(dir, machine, 'log');
    return readdirSync(folder).map((file) => join(folder, file));
  });
}
