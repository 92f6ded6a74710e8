/**
 * Keeps the leases of running containers: renews them in time, and acts when one is lost.
 *
 * A lost address is taken from the container at once, whether a server refused it or the lease ran out: by then it may be
 * another machine's, and two of them with one address break both (RFC 2131 §4.4.5 asks for the same). The MAC and the name stay,
 * so a server that comes back mostly gives the same address, which the container then gets back.
 */

import type { Purpose } from '../../dhcp/client.ts';
import { nextDue } from '../../dhcp/schedule.ts';
import type { Kernel, KernelStep } from '../../kernel/kernel.ts';
import { formatAddress, sameAddress } from '../../model/address.ts';
import { asBerthError } from '../../model/errors.ts';
import type { Endpoint } from '../../model/network.ts';
import { formatPrefix, parseInterfaceAddress, prefixOf } from '../../model/prefix.ts';
import type { Events } from '../events.ts';
import type { KeyedMutex } from '../mutex.ts';
import type { State } from '../state.ts';
import type { Book } from './book.ts';
import type { Conversation } from './conversation.ts';
import type { Where } from './ports.ts';
import type { DhcpLease, Grant } from './record.ts';

export interface Keeper {
  /** Looks after a lease from now on, or anew after it has changed. */
  watch(key: string): void;
  /** When a lease is due next, and for what; milliseconds since the epoch. */
  due(key: string): { readonly what: string; readonly at: number } | undefined;
  close(): void;
}

export interface KeeperParts {
  readonly book: Book;
  readonly conversation: Conversation;
  readonly state: State;
  readonly kernel: Kernel;
  readonly events: Events;
  /** One thing at a time per lease, by its key. */
  readonly mutex: KeyedMutex;
  now(): number;
  monotonic(): number;
  /** Milliseconds of a clock that nobody sets, and that goes on while the machine sleeps. */
  uptime(): number;
  /** Milliseconds for an answer: a server that is there answers at once, and another try comes. */
  readonly patience: number;
}

interface Watch {
  /** `uptime` when the lease was asked for. */
  readonly origin: number;
  /** `requestedAt` of the grant that this is about. */
  readonly requestedAt: number;
  triedAfter?: number;
  /** A lost address is off the container. */
  taken?: boolean;
  timer?: NodeJS.Timeout;
}

/** Between attempts to get a lost lease back. */
const REGAIN = 20_000;
/** Timers stand still while the machine sleeps, and the wall clock may be set: the clocks are looked at this often. */
const GLANCE = 60_000;

export function createKeeper(parts: KeeperParts): Keeper {
  const { book, conversation, state, kernel, events, mutex } = parts;
  const watches = new Map<string, Watch>();
  let closed = false;

  /** The container's end of a lease, while it runs. */
  function running(lease: DhcpLease): Endpoint | undefined {
    const endpoint = lease.endpoint === undefined ? undefined : state.endpoints.get(lease.endpoint);
    return endpoint?.phase === 'attached' ? endpoint : undefined;
  }

  function inside(endpoint: Endpoint): Required<Pick<Where, 'link' | 'netns'>> | undefined {
    const { sandbox, sandboxInterface } = endpoint;
    return sandbox === undefined || sandboxInterface === undefined
      ? undefined
      : { netns: sandbox, link: sandboxInterface };
  }

  function after(watch: Watch): { readonly steady: number; readonly either: number } {
    const steady = parts.uptime() - watch.origin;
    return { steady, either: Math.max(steady, parts.now() - watch.requestedAt) };
  }

  function watchOf(lease: DhcpLease & { granted: Grant }): Watch {
    const known = watches.get(lease.key);
    const { requestedAt } = lease.granted;
    if (known?.requestedAt === requestedAt) return known;
    clearTimeout(known?.timer);
    // A clock that was set back while nobody looked makes a lease no younger than new.
    const age = Math.max(0, parts.now() - requestedAt);
    const fresh: Watch = { origin: parts.uptime() - age, requestedAt };
    watches.set(lease.key, fresh);
    return fresh;
  }

  function schedule(key: string): void {
    const lease = book.get(key);
    // A container that does not run does not renew: it asks again when it starts.
    if (closed || lease === undefined || running(lease) === undefined || (lease.granted ?? lease.lost) === undefined) {
      clearTimeout(watches.get(key)?.timer);
      watches.delete(key);
      return;
    }
    const { granted } = lease;
    const watch = granted === undefined ? (watches.get(key) ?? bare(key)) : watchOf({ ...lease, granted });
    clearTimeout(watch.timer);
    const wait = isToTake(lease, running(lease)!, watch) ? 0 : waitFor(lease, watch);
    if (wait === undefined) return;
    watch.timer = setTimeout(() => void act(key), Math.min(Math.max(wait, 0), GLANCE));
    watch.timer.unref();
  }

  function bare(key: string): Watch {
    const fresh: Watch = { origin: parts.uptime(), requestedAt: parts.now() };
    watches.set(key, fresh);
    return fresh;
  }

  /** A lost address that is still on the container: where that is was not known, or a crash came in between. */
  function isToTake(lease: DhcpLease, endpoint: Endpoint, watch: Watch): boolean {
    return lease.lost !== undefined && watch.taken !== true && inside(endpoint) !== undefined;
  }

  function waitFor(lease: DhcpLease, watch: Watch): number | undefined {
    if (lease.granted === undefined)
      return watch.triedAfter === undefined ? 0 : watch.triedAfter + REGAIN - after(watch).steady;
    const due = nextDue(lease.granted.terms, watch.triedAfter);
    if (due === undefined) return undefined;
    const { steady, either } = after(watch);
    return due.after - (due.what === 'expire' ? steady : either);
  }

  /** Something is due, or it is time to look at the clock. */
  async function act(key: string): Promise<void> {
    try {
      await mutex.run(key, async () => {
        const lease = book.get(key);
        const watch = watches.get(key);
        const endpoint = lease && running(lease);
        if (closed || lease === undefined || watch === undefined || endpoint === undefined) return;
        if (isToTake(lease, endpoint, watch)) watch.taken = await take(endpoint, lease.lost!.address);
        const wait = waitFor(lease, watch);
        if (wait === undefined || wait > 0) return;
        if (lease.granted === undefined) await regain(lease, endpoint, watch);
        else await keep(lease, endpoint, watch);
      });
    } catch (error) {
      const { code, message } = asBerthError(error);
      const watch = watches.get(key);
      if (watch !== undefined) watch.triedAfter = after(watch).either;
      if (code !== 'SHUTTING_DOWN') events.emit('dhcp.failed', `cannot keep a DHCP lease: ${message}`, { lease: key });
    }
    schedule(key);
  }

  async function keep(lease: DhcpLease, endpoint: Endpoint, watch: Watch): Promise<void> {
    const granted = lease.granted!;
    const due = nextDue(granted.terms, watch.triedAfter)!;
    const shown = formatAddress(granted.terms.address.address);
    if (due.what === 'expire') {
      await lose(lease, endpoint, `its lease of ${granted.terms.lease} s ran out, and no DHCP server answered`);
      return;
    }
    // Nothing was asked in time, and it may be another machine's by now: whether it still can be had is asked without it.
    if (after(watch).steady >= granted.terms.lease * 1000) {
      await lose(lease, endpoint, `its lease of ${granted.terms.lease} s ran out while nobody kept it`);
      return;
    }
    const { address } = granted.terms.address;
    // A lost address cannot be spoken from: what is kept then is another one, for the next start. IPv6 is spoken from the host.
    const place = lease.lost === undefined ? inside(endpoint) : undefined;
    const purpose: Purpose =
      place === undefined && lease.family === undefined
        ? { kind: 'confirm', address }
        : due.what === 'renew' && after(watch).either < granted.terms.rebind * 1000
          ? { kind: 'renew', address, server: granted.server }
          : { kind: 'rebind', address };
    watch.triedAfter = after(watch).either;
    // Not beyond its end: by then it may be another machine's.
    const patience = Math.min(parts.patience, Math.max(0, granted.terms.lease * 1000 - after(watch).steady));
    const ending = await conversation.keep(lease, purpose, place ?? { link: lease.link }, patience);
    if (ending.kind === 'silent') {
      events.emit('dhcp.unanswered', `no DHCP server answered ${lease.identity}, which wants to keep ${shown}`, {
        link: lease.link,
        address: shown,
        asked: purpose.kind,
      });
      return;
    }
    const now = book.get(lease.key) ?? lease;
    if (ending.kind === 'refused') {
      const why = `the DHCP server ${formatAddress(ending.server)} refused to go on with it`;
      await lose(now, endpoint, ending.reason === '' ? why : `${why}: ${ending.reason}`);
      return;
    }
    const requestedAt = Math.round(parts.now() - (parts.monotonic() - ending.requestedAt));
    const renewed: Grant = { terms: ending.terms, server: ending.server, requestedAt };
    await book.put({ ...now, granted: renewed });
    events.emit('dhcp.renewed', `the lease of ${shown} of ${lease.identity} was renewed`, {
      link: lease.link,
      address: shown,
      server: formatAddress(renewed.server.address),
      asked: purpose.kind,
    });
    tellChanges(lease, granted, renewed);
  }

  /** What a running container was told at its start stays until it starts again. */
  function tellChanges(lease: DhcpLease, before: Grant, now: Grant): void {
    const told = ['gateway', 'routes', 'mtu', 'dns', 'domain', 'search'] as const;
    const changed: string[] = told.filter((field) => text(before.terms[field]) !== text(now.terms[field]));
    if (before.terms.address.length !== now.terms.address.length) changed.unshift('subnet mask');
    if (changed.length === 0) return;
    events.emit(
      'dhcp.changed',
      `the DHCP server has changed ${changed.join(', ')} for ${lease.identity}: it is heeded when the container starts again`,
      { link: lease.link },
    );
  }

  async function lose(lease: DhcpLease, endpoint: Endpoint, reason: string): Promise<void> {
    const { granted, ...rest } = lease;
    const held = lease.lost?.address ?? formatPrefix(granted!.terms.address);
    await book.put({ ...rest, lost: { address: held, reason } });
    clearTimeout(watches.get(lease.key)?.timer);
    const watch = bare(lease.key);
    if (lease.lost !== undefined) return;
    watch.taken = await take(endpoint, held);
    events.emit(
      'dhcp.lost',
      `${lease.identity} has lost the address ${held.replace(/\/.*/, '')}: ${reason}; start the container again to give it another one`,
      { link: lease.link, address: held, endpoint: endpoint.id },
    );
  }

  /** Off the container's interface; routes through it go with it. @returns false while it is not known where that is. */
  async function take(endpoint: Endpoint, held: string): Promise<boolean> {
    const place = inside(endpoint);
    const address = parseInterfaceAddress(held);
    if (place === undefined || address === undefined) return false;
    await kernel.execute([{ unmake: { kind: 'address', ...place, address } }]);
    return true;
  }

  /** A server may be back, and mostly gives the same address again. */
  async function regain(lease: DhcpLease, endpoint: Endpoint, watch: Watch): Promise<void> {
    const held = lease.lost!.address;
    watch.triedAfter = after(watch).steady;
    const got = await conversation.obtain(lease, parts.patience).catch((error: unknown) => asBerthError(error));
    if (!('granted' in got)) return;
    const { terms } = got.granted;
    const shown = formatAddress(terms.address.address);
    if (!sameAddress(terms.address.address, parseInterfaceAddress(held)!.address)) {
      // For its next start; until then it is kept like any other.
      events.emit(
        'dhcp.moved',
        `the DHCP server gives ${lease.identity} the address ${shown} from now on: start the container again`,
        { link: lease.link, address: formatPrefix(terms.address) },
      );
      return;
    }
    await giveAgain(endpoint, got.granted);
    const { lost: _found, ...rest } = got;
    await book.put(rest);
    events.emit('dhcp.regained', `${lease.identity} has its address ${shown} again`, {
      link: lease.link,
      address: held,
    });
  }

  async function giveAgain(endpoint: Endpoint, { terms }: Grant): Promise<void> {
    const place = inside(endpoint);
    if (place === undefined) return;
    const steps: KernelStep[] = [{ make: { kind: 'address', ...place, address: terms.address } }];
    const { family } = terms.address.address;
    for (const { destination, via } of endpoint.routes ?? []) {
      if (destination.address.family !== family) continue;
      steps.push({
        make: { kind: 'route', ...place, destination, ...(via === undefined ? { scope: 'link' } : { via }) },
      });
    }
    const everything = prefixOf({ address: { family, value: 0n }, length: 0 });
    const gateway = endpoint.gateways?.find((one) => one.family === family);
    if (gateway !== undefined) steps.push({ make: { kind: 'route', ...place, destination: everything, via: gateway } });
    await kernel.execute(steps);
  }

  return {
    watch: schedule,
    due(key) {
      const lease = book.get(key);
      const watch = watches.get(key);
      if (lease === undefined || watch === undefined) return undefined;
      const due = lease.granted && nextDue(lease.granted.terms, watch.triedAfter);
      return due && { what: due.what, at: lease.granted!.requestedAt + due.after };
    },
    close() {
      closed = true;
      for (const { timer } of watches.values()) clearTimeout(timer);
      watches.clear();
    },
  };
}

const text = (value: unknown): string =>
  JSON.stringify(value, (_, field) => (typeof field === 'bigint' ? String(field) : field)) ?? '';
