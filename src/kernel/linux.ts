/**
 * The kernel of this host. Everything that talks to it runs in one thread of its own, because a system call there can
 * block for as long as the kernel likes: deleting a single veth takes 15 ms. This side keeps the requests in order, gives
 * up on one that takes too long, and tells a thread that had to be started anew what must be there.
 *
 * A bundler must emit `worker.ts` as an entry point of its own, and put that file's address where `new URL` names it here.
 */

import { closeSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { BerthError } from '../model/errors.ts';
import { type DatabaseAddress, DEFAULT_DATABASE } from '../ovs/address.ts';
import type { Drift, Kernel, Owner } from './kernel.ts';
import type { KernelObject } from './objects.ts';
import { createPorts } from './packet/ports.ts';
import { type Answer, type Command, type Outcome, type Report, unpackError } from './protocol.ts';
import { chooseNext, type Waiting } from './queue.ts';
import { startThread, type Thread } from './thread.ts';

export interface KernelOptions {
  /** Milliseconds after which a request fails with KERNEL_BUSY. Docker is answered within 10 s, so less than that. */
  readonly timeout?: number;
  /** The same for an audit, which reads everything. */
  readonly auditTimeout?: number;
  /** Where the database of this host's Open vSwitch listens. Absent: where it does by default. */
  readonly ovsDatabase?: DatabaseAddress;
  /** For tests: another program for the thread. */
  readonly program?: URL;
}

interface Request extends Waiting {
  readonly command: Command;
  /** As in: the kernel did not finish to … */
  readonly what: string;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: BerthError) => void;
  readonly begun?: (() => void) | undefined;
  /** The caller has been told that it took too long. */
  abandoned: boolean;
  /** The thread died while at it. */
  fatal: boolean;
}

/**
 * Starts the kernel thread.
 *
 * @throws BerthError KERNEL_LACKS, KERNEL_REFUSED when the kernel cannot be spoken to at all.
 */
export async function openKernel(options: KernelOptions = {}): Promise<Kernel> {
  const timeout = options.timeout ?? 8_000;
  const auditTimeout = options.auditTimeout ?? 60_000;
  /** What must be there, as far as callers have been told: what a new thread starts from. */
  const declared = new Map<Owner, readonly KernelObject[]>();
  /**
   * Owners whose declaration was applied, with nothing amiss since in all of the kernel: to apply the same again would change
   * nothing. A network's own objects are applied whenever a container joins it, and each question to the thread costs its start
   * as much as the answer.
   */
  const settled = new Set<Owner>();
  const driftListeners = new Set<(drifts: readonly Drift[]) => void>();
  const changeListeners = new Set<() => void>();
  const arrivalListeners = new Set<(links: readonly string[]) => void>();
  const waiting: Request[] = [];
  let running: readonly Request[] = [];
  let lastNumber = 0;
  let favoured = 0;
  let closed = false;

  const thread: Thread = await startThread({
    program: options.program ?? new URL('./worker.ts', import.meta.url),
    settings: { ovsDatabase: options.ovsDatabase ?? DEFAULT_DATABASE },
    report: hear,
    died() {
      settled.clear();
      recover();
    },
    startedAgain() {
      // Should it die of this, it is started again with the same.
      submit({ type: 'restore', declared: [...declared] }, 'barrier', 'take over', Infinity, { first: true }).catch(
        () => {},
      );
      ports.reopen();
    },
  });
  const ports = createPorts({
    async open(port, request, index) {
      const what = `open a packet port on ${request.link}`;
      const answer = await submit({ type: 'open-port', port, request, index }, 'other', what, timeout);
      if (answer.type !== 'port') throw new BerthError('INTERNAL', 'the kernel thread opened no port');
      return answer;
    },
    post: (notice) => thread.post(notice),
  });

  function submit(
    command: Command,
    type: Waiting['type'],
    what: string,
    ms: number,
    { first = false, begun }: { readonly first?: boolean; readonly begun?: (() => void) | undefined } = {},
  ): Promise<Outcome> {
    const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
    if (closed) {
      reject(new BerthError('SHUTTING_DOWN', `cannot ${what}: the agent is stopping`));
      return promise;
    }
    lastNumber += 1;
    const owner = ownerOf(command);
    const request: Request = {
      number: lastNumber,
      type,
      command,
      what,
      begun,
      abandoned: false,
      fatal: false,
      ...(owner !== undefined && { owner }),
      resolve(answer) {
        clearTimeout(timer);
        resolve(answer);
      },
      reject(error) {
        clearTimeout(timer);
        reject(error);
      },
    };
    const timer = Number.isFinite(ms) ? setTimeout(() => abandon(request, ms), ms) : undefined;
    if (first) waiting.unshift(request);
    else waiting.push(request);
    next();
    return promise;
  }

  function abandon(request: Request, ms: number): void {
    request.abandoned = true;
    const at = waiting.indexOf(request);
    if (at >= 0) waiting.splice(at, 1);
    request.reject(new BerthError('KERNEL_BUSY', `the kernel did not finish to ${request.what} within ${ms / 1000} s`));
  }

  function next(): void {
    if (running.length > 0 || !thread.alive) return;
    const chosen = chooseNext(waiting, favoured);
    if (chosen.length === 0) return;
    for (const request of chosen) waiting.splice(waiting.indexOf(request), 1);
    running = chosen;
    const removals = chosen.flatMap(({ command }) => (command.type === 'remove' ? command.removals : []));
    thread.post(removals.length > 0 ? { type: 'remove', removals } : chosen[0]!.command);
  }

  function hear(report: Report): void {
    // Something was not as it was taken to be, and may not have been mended.
    if (report.type === 'drift') settled.clear();
    if (report.type === 'answer') finish(report.answer);
    else if (report.type === 'deleting') for (const request of running) request.begun?.();
    else if (report.type === 'drift') for (const listener of driftListeners) listener(report.drifts);
    else if (report.type === 'change') for (const listener of changeListeners) listener();
    else if (report.type === 'arrived') for (const listener of arrivalListeners) listener(report.links);
    else if (report.type === 'frames') ports.hear(report.port, report.frames);
    else if (report.type === 'port-flushed') ports.flushed(report.port);
    else if (report.type === 'port-ended') ports.end(report.port, unpackError(report.refusal));
  }

  function finish(answer: Answer): void {
    const finished = running;
    running = [];
    if (answer.type === 'removed') favoured = lastNumber;
    for (const [index, request] of finished.entries()) {
      const own = answer.type === 'removed' ? answer.each[index]! : answer;
      if (own.type === 'refused') {
        if (request.owner !== undefined || request.type === 'barrier') settled.clear();
        request.reject(unpackError(own.refusal));
      } else {
        note(request);
        if (request.abandoned) closeUnwanted(own);
        request.resolve(own);
      }
    }
    next();
  }

  /** Keeps `declared` true when a request has succeeded. */
  function note({ command, abandoned, what }: Request): void {
    if (command.type === 'execute' || command.type === 'audit') settled.clear();
    if (command.type === 'apply') settled.delete(command.owner);
    if (command.type === 'remove') {
      for (const { owner } of command.removals) {
        declared.delete(owner);
        settled.delete(owner);
      }
    } else if (command.type === 'apply' && !abandoned) {
      declared.set(command.owner, command.objects);
      settled.add(command.owner);
    } else if (command.type === 'apply' && !waiting.some(({ owner }) => owner === command.owner)) {
      // Its caller was told that it had failed; so it has to have no effect, unless it has been asked for again since.
      const objects = declared.get(command.owner) ?? [];
      submit({ type: 'apply', owner: command.owner, objects }, 'other', `undo to ${what}`, Infinity).catch(() => {});
    } else if (command.type === 'open-port' && abandoned) {
      thread.post({ type: 'close-port', port: command.port });
    }
  }

  /** Nobody waits for these any more. */
  function closeUnwanted(outcome: Outcome): void {
    if (outcome.type === 'descriptor') closeSync(outcome.fd);
    if (outcome.type === 'resolver-sockets') for (const fd of Object.values(outcome.sockets)) closeSync(fd);
  }

  /** The thread died. What it was at may be why, or may be innocent: once, it is tried again. */
  function recover(): void {
    for (const request of running.toReversed()) {
      if (request.abandoned) continue;
      if (request.fatal || request.type === 'barrier') {
        request.reject(new BerthError('INTERNAL', `the kernel thread died before it could ${request.what}`));
      } else {
        request.fatal = true;
        waiting.unshift(request);
      }
    }
    running = [];
  }

  /** Whether an owner has these objects for certain, with nothing about it under way. */
  function isSettled(owner: Owner, objects: readonly KernelObject[]): boolean {
    const underWay = [...running, ...waiting].some((other) => other.owner === owner || other.type === 'barrier');
    return settled.has(owner) && !underWay && isDeepStrictEqual(declared.get(owner), objects);
  }

  return {
    async apply(owner, objects) {
      if (!closed && isSettled(owner, objects)) return;
      await submit({ type: 'apply', owner, objects }, 'other', `apply what ${owner} needs`, timeout);
    },

    async remove(owner, known = [], begun) {
      const command: Command = { type: 'remove', removals: [{ owner, known }] };
      await submit(command, 'remove', `remove what ${owner} needed`, timeout, { begun });
    },

    declare(owner, objects) {
      declared.set(owner, objects);
      settled.delete(owner);
      submit({ type: 'declare', owner, objects }, 'other', `take note of what ${owner} needs`, Infinity).catch(
        () => {},
      );
    },

    async audit({ repair }) {
      const answer = await submit({ type: 'audit', repair }, 'other', 'audit', auditTimeout);
      return answer.type === 'drifts' ? answer.drifts : [];
    },

    async execute(steps) {
      await submit({ type: 'execute', steps }, 'barrier', `execute ${steps.length} steps`, timeout);
    },

    async announce(announcement) {
      await submit({ type: 'announce', announcement }, 'other', 'announce an address', timeout);
    },

    packets: (request) => ports.add(request),

    async beforeResolver(netns) {
      const what = `listen beside the resolver in ${netns}`;
      const answer = await submit({ type: 'before-resolver', netns }, 'other', what, timeout);
      if (answer.type !== 'resolver-sockets') throw new BerthError('INTERNAL', 'the kernel thread opened no sockets');
      return answer.sockets;
    },

    async resolverStream(netns) {
      const what = `reach the resolver in ${netns}`;
      const answer = await submit({ type: 'resolver-stream', netns }, 'other', what, timeout);
      if (answer.type !== 'descriptor') throw new BerthError('INTERNAL', 'the kernel thread opened no stream');
      return answer.fd;
    },

    async view(netns) {
      const answer = await submit({ type: 'view', netns }, 'other', 'read what there is', timeout);
      if (answer.type !== 'view') throw new BerthError('INTERNAL', 'the kernel thread gave no view');
      return answer.view;
    },

    async belongings(link) {
      const answer = await submit({ type: 'belongings', link }, 'other', `read what ${link} has`, timeout);
      if (answer.type !== 'belongings') throw new BerthError('INTERNAL', 'the kernel thread gave no belongings');
      return answer.found;
    },

    async entries(link) {
      const answer = await submit({ type: 'entries', link }, 'other', `read the entries of ${link}`, timeout);
      if (answer.type !== 'entries') throw new BerthError('INTERNAL', 'the kernel thread told no entries');
      return answer.entries;
    },

    async neighbours(link) {
      const answer = await submit({ type: 'neighbours', link }, 'other', `read the neighbours on ${link}`, timeout);
      if (answer.type !== 'neighbours') throw new BerthError('INTERNAL', 'the kernel thread told no neighbours');
      return answer.neighbours;
    },

    onDrift(listener) {
      driftListeners.add(listener);
    },

    onArrival(listener) {
      arrivalListeners.add(listener);
    },

    onChange(listener) {
      changeListeners.add(listener);
    },

    async close() {
      if (closed) return;
      closed = true;
      for (const request of waiting.splice(0)) {
        request.reject(new BerthError('SHUTTING_DOWN', `cannot ${request.what}: the agent is stopping`));
      }
      ports.endAll(new BerthError('SHUTTING_DOWN', 'the agent is stopping'));
      await thread.close();
      for (const request of running) {
        request.reject(new BerthError('SHUTTING_DOWN', `cannot ${request.what}: the agent is stopping`));
      }
    },
  };
}

function ownerOf(command: Command): Owner | undefined {
  if (command.type === 'remove') return command.removals[0]?.owner;
  return 'owner' in command ? command.owner : undefined;
}
