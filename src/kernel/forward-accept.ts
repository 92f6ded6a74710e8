/**
 * Accepting rules in the engine's DOCKER-USER chain, through the iptables programs: whether they speak to nf_tables or to
 * the old tables is the host's choice, and the engine uses the same ones. A program is only spawned when such an object
 * is declared or audited.
 */

import { spawnSync } from 'node:child_process';
import { BerthError } from '../model/errors.ts';
import type { ObjectDriver } from './driver.ts';
import type { Namespaces } from './namespace.ts';
import { type ForwardAccept, type KernelObject, type Netns, type ObjectKey, objectKey } from './objects.ts';

const chain = 'DOCKER-USER';
const comment = 'berth';
/** Of one program. It waits up to 5 s for another one that changes the tables (`-w`). */
const TIMEOUT_MS = 7_000;
/** Exit status RESOURCE_PROBLEM of iptables: somebody else held the lock all the time. */
const BUSY = 4;

/** Runs a program to its end: exit status (undefined when there is no such program), and what it said. */
export type RunProgram = (
  program: string,
  args: readonly string[],
) => { readonly status: number | undefined; readonly stdout: string; readonly stderr: string };

/** @param options.run for tests. */
export function createForwardAcceptDriver(options: {
  readonly namespaces: Namespaces;
  readonly run?: RunProgram;
}): ObjectDriver {
  const run = options.run ?? spawn;

  function iptables(netns: Netns | undefined, family: 4 | 6, args: readonly string[]): ReturnType<RunProgram> {
    // A child process is born in the namespace of the thread that makes it.
    return options.namespaces.within(netns, () => run(program(family), ['-w', '5', ...args]));
  }

  /** Rules of the chain, as `iptables -S` lists them; undefined when there is no such chain, and nothing to accept. */
  function rules(netns: Netns | undefined, family: 4 | 6): ReadonlySet<string> | undefined {
    const { status, stdout, stderr } = iptables(netns, family, ['-S', chain]);
    if (status === BUSY) {
      throw new BerthError('KERNEL_BUSY', `${program(family)} -S ${chain} failed: ${firstLine(stderr)}`);
    }
    return status === 0 ? new Set(stdout.split('\n').map((line) => line.trim())) : undefined;
  }

  function change(object: ForwardAccept, verb: '-I' | '-D'): void {
    const { status, stderr } = iptables(object.netns, object.family, [verb, chain, ...match(object)]);
    if (status !== 0) {
      throw new BerthError(
        'KERNEL_REFUSED',
        `${program(object.family)} ${verb} ${chain} failed for ${objectKey(object)}: ${firstLine(stderr)}`,
      );
    }
  }

  return {
    kinds: ['forward-accept'],

    find(wanted, netns) {
      const found = new Map<ObjectKey, KernelObject>();
      for (const family of [4, 6] as const) {
        const objects = (wanted as readonly ForwardAccept[]).filter((object) => object.family === family);
        if (objects.length === 0) continue;
        const there = rules(netns, family);
        for (const object of objects) {
          if (there === undefined || there.has(listed(object))) found.set(objectKey(object), object);
        }
      }
      return found;
    },

    make(object) {
      const accept = object as ForwardAccept;
      const there = rules(accept.netns, accept.family);
      if (there !== undefined && !there.has(listed(accept))) change(accept, '-I');
    },

    unmake(object) {
      const accept = object as ForwardAccept;
      // Twice when two of us raced to insert it; `iptables -D` takes one at a time.
      while (rules(accept.netns, accept.family)?.has(listed(accept)) === true) change(accept, '-D');
    },

    close() {},
  };
}

function program(family: 4 | 6): string {
  return family === 4 ? 'iptables' : 'ip6tables';
}

function match(object: ForwardAccept): string[] {
  const input = object.input === undefined ? [] : ['-i', object.input];
  const output = object.output === undefined ? [] : ['-o', object.output];
  return [...input, ...output, '-m', 'comment', '--comment', comment, '-j', 'ACCEPT'];
}

function listed(object: ForwardAccept): string {
  return ['-A', chain, ...match(object)].join(' ');
}

function firstLine(text: string): string {
  return text.trim().split('\n')[0] || 'no reason given';
}

function spawn(name: string, args: readonly string[]): ReturnType<RunProgram> {
  const child = spawnSync(name, args, { encoding: 'utf8', timeout: TIMEOUT_MS, stdio: ['ignore', 'pipe', 'pipe'] });
  if (child.error !== undefined && (child.error as NodeJS.ErrnoException).code !== 'ENOENT') {
    return { status: BUSY, stdout: '', stderr: child.error.message };
  }
  return {
    status: child.error === undefined ? (child.status ?? -1) : undefined,
    stdout: child.stdout ?? '',
    stderr: child.stderr ?? '',
  };
}
