/** Names on links: one responder for each link on which containers want to be known. */

import { type Claim, hostName, recordsOf } from '../../dns/mdns/claim.ts';
import { type Clock, createResponder, type Responder } from '../../dns/mdns/responder.ts';
import type { HostView, Kernel } from '../../kernel/kernel.ts';
import type { Family } from '../../model/address.ts';
import { asBerthError } from '../../model/errors.ts';
import type { Book, MdnsEntry } from './book.ts';
import { type HostAddresses, type MdnsLink, openMdnsLink, type Speakers } from './mdns-link.ts';
import type { NameReports, NameState } from './reports.ts';
import type { MdnsWish } from './wanted.ts';

export interface MdnsNames {
  /** From now on these, and no others. Resolves when those that are gone have been said goodbye to. */
  want(wishes: readonly MdnsWish[]): Promise<void>;
  states(): readonly NameState[];
  close(): Promise<void>;
}

export interface MdnsNamesParts {
  readonly kernel: Pick<Kernel, 'packets'>;
  readonly book: Book;
  readonly reports: NameReports;
  host(): HostView;
}

interface Served {
  readonly link: MdnsLink;
  readonly responder: Responder;
  /** While nobody wants it any more: a goodbye is still on its way. */
  closing?: NodeJS.Timeout | undefined;
}

/** Milliseconds in which what was said last goes out. */
const LINGER = 1000;

const clock: Clock = {
  now: () => performance.now(),
  random: Math.random,
  after(milliseconds, work) {
    const timer = setTimeout(work, milliseconds);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

const keyOf = ({ link, endpoint }: Pick<MdnsEntry, 'link' | 'endpoint'>): string => `${link} ${endpoint}`;

export function createMdnsNames({ kernel, book, reports, host }: MdnsNamesParts): MdnsNames {
  const served = new Map<string, Served>();
  const wanted = new Map<string, MdnsWish>();
  /** Why a link cannot be spoken on, by its name. */
  const problems = new Map<string, string>();
  let queue: Promise<void> = Promise.resolve();
  let closed = false;

  function trouble(link: string, problem: string): void {
    for (const wish of wanted.values()) {
      if (wish.link !== link) continue;
      reports.attempt('mdns', 'failed');
      if (problems.get(link) !== problem) reports.failed('mdns', hostName(wish.label), wish.endpoint, problem);
    }
    problems.set(link, problem);
  }

  async function open(name: string): Promise<Served> {
    const link = await openMdnsLink(name, {
      kernel,
      hear: (message, from) => responder.hear(message, from),
      ended({ message }) {
        stop(name, opened);
        trouble(name, message);
      },
      deaf: (why) => trouble(name, `the programs of this host cannot be told: ${why}`),
    });
    const responder = createResponder(link, clock, {
      held(id, label) {
        const wish = wanted.get(id);
        if (wish === undefined) return;
        reports.registered('mdns', hostName(label), wish.endpoint, `on ${name}`);
        const entry = book.mdns.get(id);
        if (entry !== undefined && entry.held !== label) void inTurn(() => book.putMdns(id, { ...entry, held: label }));
      },
      conflict(id, label, next) {
        const problem = `another machine on ${name} has that name; now ${hostName(next)} is tried`;
        reports.attempt('mdns', 'conflict');
        reports.conflict('mdns', hostName(label), wanted.get(id)?.endpoint ?? '', problem);
      },
    });
    const opened: Served = { link, responder };
    served.set(name, opened);
    problems.delete(name);
    return opened;
  }

  function stop(name: string, which: Served): void {
    clearTimeout(which.closing);
    which.responder.close();
    which.link.close();
    if (served.get(name) === which) served.delete(name);
  }

  function inTurn(work: () => Promise<void>): Promise<void> {
    queue = queue.then(work).catch((error: unknown) => {
      reports.failed('mdns', '*.local', '', asBerthError(error).message);
    });
    return queue;
  }

  async function serve(name: string, wishes: readonly MdnsWish[]): Promise<void> {
    const gone = [...book.mdns].filter(([key, entry]) => entry.link === name && !wanted.has(key));
    const known = served.get(name);
    if (known === undefined && host().links.every((link) => link.name !== name) && wishes.length === 0) {
      // There is nobody to say goodbye to.
      for (const [key] of gone) await book.deleteMdns(key);
      return;
    }
    for (const wish of wishes) await writeDown(wish);
    const { link, responder } = known ?? (await open(name));
    await link.update(speakersOf(wishes, gone), hostAddresses(name, host()));
    responder.set(
      wishes.map((wish): Claim => ({ id: keyOf(wish), ...wish })),
      (id) => book.mdns.get(id)?.held,
    );
    // Those that an earlier process has announced.
    const held = new Set(responder.holdings().map(({ id }) => id));
    const left = gone.filter(([key]) => !held.has(key));
    responder.bury(left.flatMap(([key, entry]) => recordsOf({ ...entry, id: key }, entry.held)));
    for (const [key, entry] of gone) {
      await book.deleteMdns(key);
      reports.removed('mdns', hostName(entry.held), entry.endpoint);
    }
    const now = served.get(name);
    if (now === undefined) return;
    clearTimeout(now.closing);
    now.closing = wishes.length > 0 ? undefined : setTimeout(() => stop(name, now), LINGER).unref();
  }

  async function writeDown(wish: MdnsWish): Promise<void> {
    const key = keyOf(wish);
    const before = book.mdns.get(key);
    const { link, endpoint, label, mac, addresses, services } = wish;
    const held = before?.label === label ? before.held : label;
    const entry = { link, endpoint, label, held, mac, addresses, services };
    if (text(before) !== text(entry)) await book.putMdns(key, entry);
  }

  return {
    want: (wishes) =>
      inTurn(async () => {
        if (closed) return;
        wanted.clear();
        for (const wish of wishes) wanted.set(keyOf(wish), wish);
        const links = new Set([...wishes, ...book.mdns.values()].map(({ link }) => link));
        for (const name of links) {
          const own = wishes.filter(({ link }) => link === name);
          await serve(name, own).catch((error: unknown) => trouble(name, asBerthError(error).message));
        }
      }),

    states() {
      const holdings = new Map(
        [...served.values()].flatMap(({ responder }) => responder.holdings().map((one) => [one.id, one] as const)),
      );
      return [...wanted].map(([key, wish]) => {
        const holding = holdings.get(key);
        const problem = problems.get(wish.link);
        return {
          via: 'mdns' as const,
          name: hostName(holding?.label ?? wish.label),
          endpoint: wish.endpoint,
          state:
            holding?.state === 'held' ? ('registered' as const) : problem ? ('failed' as const) : ('pending' as const),
          where: wish.link,
          ...(problem === undefined ? {} : { problem }),
        };
      });
    },

    async close() {
      closed = true;
      await queue;
      for (const [name, one] of served) stop(name, one);
    },
  };
}

const text = (entry: MdnsEntry | undefined): string =>
  JSON.stringify(entry, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));

/** A container for whom is spoken where the host has no address; for those that are gone, one of them. */
function speakersOf(wishes: readonly MdnsWish[], gone: readonly (readonly [string, MdnsEntry])[]): Speakers {
  const all = [...wishes, ...gone.map(([, entry]) => entry)].flatMap(({ addresses, mac }) =>
    addresses.map((address) => ({ mac, address })),
  );
  const speaker = (family: Family) => all.find(({ address }) => address.family === family);
  const [four, six] = [speaker(4), speaker(6)];
  return { ...(four === undefined ? {} : { 4: four }), ...(six === undefined ? {} : { 6: six }) };
}

/** The host's own addresses on a link: the first of IPv4, and all of IPv6, of which each program chooses one. */
function hostAddresses(link: string, { addresses }: HostView): HostAddresses {
  const own = addresses
    .filter((one) => one.link === link)
    .map(({ scope, address }) => ({ scope, address: address.address }));
  const four = own.find(({ scope, address }) => scope === 'global' && address.family === 4);
  return {
    ...(four === undefined ? {} : { 4: [four.address] }),
    6: own.filter(({ address }) => address.family === 6).map(({ address }) => address),
  };
}
