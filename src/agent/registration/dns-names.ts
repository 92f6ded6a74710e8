/** Names at DNS servers: each is brought to what is wanted by a job of its own, tried again until it is so. */

import { query, update } from '../../dns/client.ts';
import { readKeyFile } from '../../dns/key-file.ts';
import { nameKey } from '../../dns/name.ts';
import { type DnsServer, type Outcome, type Registration, register, unregister } from '../../dns/registrar.ts';
import { formatAddress, sameAddress } from '../../model/address.ts';
import { asBerthError } from '../../model/errors.ts';
import type { Book, DnsEntry } from './book.ts';
import type { NameReports, NameState } from './reports.ts';
import type { DnsWish } from './wanted.ts';

export interface DnsNames {
  /** From now on these, and no others. */
  want(wishes: readonly DnsWish[]): void;
  states(): readonly NameState[];
  /** Tries again now what has failed, and looks whether what was registered still is. */
  retry(): void;
  close(): Promise<void>;
}

export interface DnsNamesParts {
  readonly book: Book;
  readonly reports: NameReports;
  /** By which a server knows our names again. */
  readonly owner: string;
}

interface Job {
  wish: DnsWish | undefined;
  working: boolean;
  /** The wish has changed while it was worked on. */
  again: boolean;
  failures: number;
  timer: NodeJS.Timeout | undefined;
  state: NameState['state'];
  /** Absent: nothing is in the way. */
  problem?: string | undefined;
  endpoint: string;
}

/** Milliseconds until something is tried again: the first time, and the longest. */
const BACK_OFF = { first: 1000, most: 60_000 } as const;
/** How many answers of one server are waited for at a time. */
const MOST_AT_ONCE = 8;

export function dnsKey(wish: Pick<DnsEntry, 'name' | 'server' | 'port'>): string {
  return `${formatAddress(wish.server)} ${wish.port} ${nameKey(wish.name)}`;
}

const serverOf = (key: string): string => key.split(' ')[0]!;

export function createDnsNames({ book, reports, owner }: DnsNamesParts): DnsNames {
  const jobs = new Map<string, Job>();
  const ending = new AbortController();
  const underWay = new Set<Promise<void>>();
  /** By server: how many are at work, and who waits. */
  const turns = new Map<string, { busy: number; readonly queue: (() => void)[] }>();

  function jobOf(key: string, endpoint: string): Job {
    const known = jobs.get(key);
    if (known !== undefined) return known;
    const job: Job = {
      wish: undefined,
      working: false,
      again: false,
      failures: 0,
      timer: undefined,
      state: 'pending',
      endpoint,
    };
    jobs.set(key, job);
    return job;
  }

  /** One server that hangs keeps nobody from another. */
  async function inTurn(server: string, work: () => Promise<void>): Promise<void> {
    const turn = turns.get(server) ?? { busy: 0, queue: [] };
    turns.set(server, turn);
    if (turn.busy >= MOST_AT_ONCE) await new Promise<void>((resolve) => turn.queue.push(resolve));
    turn.busy += 1;
    try {
      await work();
    } finally {
      turn.busy -= 1;
      turn.queue.shift()?.();
      if (turn.busy === 0 && turn.queue.length === 0) turns.delete(server);
    }
  }

  function start(key: string, job: Job): void {
    clearTimeout(job.timer);
    if (ending.signal.aborted) return;
    if (job.working) {
      job.again = true;
      return;
    }
    job.working = true;
    const work = inTurn(serverOf(key), () => attempt(key, job))
      .catch((error: unknown) => fail(key, job, asBerthError(error).message))
      .finally(() => {
        job.working = false;
        underWay.delete(work);
        if (!job.again) return;
        job.again = false;
        start(key, job);
      });
    underWay.add(work);
  }

  async function attempt(key: string, job: Job): Promise<void> {
    if (ending.signal.aborted) return;
    const { wish } = job;
    const entry = book.dns.get(key);
    if (wish !== undefined) await bring(key, job, wish, entry);
    else if (entry !== undefined) await takeBack(key, job, entry);
    else jobs.delete(key);
  }

  async function bring(key: string, job: Job, wish: DnsWish, entry: DnsEntry | undefined): Promise<void> {
    const { policy, name, label, addresses, endpoint } = wish;
    const before = entry?.addresses ?? [];
    const stale = before.filter((address) => !addresses.some((one) => sameAddress(one, address)));
    const { keyFile, server, port, reverse } = policy;
    const next = { name, server, port, reverse, endpoint, label, ...(keyFile === undefined ? {} : { keyFile }) };
    // Only before something is sent: of a server that has never been told anything there is nothing to take back.
    const intent = () => writeDown(key, { ...next, addresses: [...addresses, ...stale] });
    const wanted = { ...wish, owner, ttl: policy.ttl, reverse };
    const outcome = await withServer(next, (at) => register(at, wanted, before), intent);
    if (outcome.is === 'done') {
      // While the names of addresses are not right the old ones may not be, either.
      if (stale.length > 0 && outcome.problem === undefined) await book.putDns(key, { ...next, addresses });
      if (job.state !== 'registered' || stale.length > 0)
        reports.registered('dns', name, endpoint, `at ${formatAddress(server)}`);
      job.state = 'registered';
      job.endpoint = endpoint;
      if (outcome.problem !== undefined) fail(key, job, outcome.problem);
      else settle(job);
      return;
    }
    if (outcome.is === 'conflict') await book.deleteDns(key);
    job.state = outcome.is === 'conflict' ? 'conflict' : 'failed';
    fail(key, job, outcome.problem, outcome.is);
  }

  async function writeDown(key: string, next: DnsEntry): Promise<void> {
    if (asText(book.dns.get(key)) !== asText(next)) await book.putDns(key, next);
  }

  async function takeBack(key: string, job: Job, entry: DnsEntry): Promise<void> {
    job.state = 'leaving';
    const wish: Registration = { ...entry, owner, ttl: 0 };
    const outcome = await withServer(entry, (at) => unregister(at, wish));
    if (outcome.is !== 'done') {
      fail(key, job, outcome.problem);
      return;
    }
    await book.deleteDns(key);
    reports.removed('dns', entry.name, entry.endpoint);
    settle(job);
    if (job.wish === undefined) jobs.delete(key);
  }

  async function withServer(
    { server, port, keyFile }: Pick<DnsEntry, 'server' | 'port' | 'keyFile'>,
    work: (server: DnsServer) => Promise<Outcome>,
    beforeUpdate?: () => Promise<void>,
  ): Promise<Outcome> {
    const key = keyFile === undefined ? undefined : await readKeyFile(keyFile);
    if (key !== undefined && 'problem' in key)
      return { is: 'failed', problem: `the key file ${keyFile} ${key.problem}` };
    const at = { address: server, port, ...(key === undefined ? {} : { key }) };
    const options = { signal: ending.signal };
    return work({
      query: (name, type) => query(at, name, type, options),
      async update(change) {
        await beforeUpdate?.();
        return update(at, change, options);
      },
    });
  }

  function settle(job: Job): void {
    job.failures = 0;
    job.problem = undefined;
  }

  function fail(key: string, job: Job, problem: string, how: 'failed' | 'conflict' = 'failed'): void {
    if (ending.signal.aborted) return;
    const name = job.wish?.name ?? book.dns.get(key)?.name ?? key;
    if (job.problem !== problem) reports[how]('dns', name, job.wish?.endpoint ?? job.endpoint, problem);
    job.problem = problem;
    reports.attempt('dns', how);
    const wait = Math.min(BACK_OFF.first * 2 ** Math.min(job.failures, 10), BACK_OFF.most);
    job.failures += 1;
    clearTimeout(job.timer);
    job.timer = setTimeout(() => start(key, job), wait);
    job.timer.unref();
  }

  return {
    want(wishes) {
      const wanted = new Map(wishes.map((wish) => [dnsKey({ ...wish.policy, name: wish.name }), wish]));
      for (const [key, entry] of book.dns) jobOf(key, entry.endpoint);
      for (const [key, wish] of wanted) jobOf(key, wish.endpoint);
      for (const [key, job] of jobs) {
        const wish = wanted.get(key);
        const isSame = JSON.stringify(plain(wish)) === JSON.stringify(plain(job.wish));
        job.wish = wish;
        // What has been told to go is tried again by its own timer.
        if (!isSame || (job.state === 'pending' && !job.working)) {
          job.failures = 0;
          start(key, job);
        }
      }
    },

    states: () =>
      [...jobs].map(([key, { wish, state, problem, endpoint }]) => ({
        via: 'dns' as const,
        name: wish?.name ?? book.dns.get(key)?.name ?? '',
        endpoint: wish?.endpoint ?? endpoint,
        state,
        where: serverOf(key),
        ...(problem === undefined ? {} : { problem }),
      })),

    retry() {
      for (const [key, job] of jobs) if (!job.working) start(key, job);
    },

    async close() {
      ending.abort();
      for (const job of jobs.values()) clearTimeout(job.timer);
      for (const { queue } of turns.values()) for (const resolve of queue.splice(0)) resolve();
      await Promise.all(underWay);
    },
  };
}

const asText = (entry: DnsEntry | undefined): string =>
  JSON.stringify(
    entry && [
      formatAddress(entry.server),
      [entry.port, entry.name, entry.keyFile ?? '', entry.reverse, entry.endpoint, entry.label],
      entry.addresses.map(formatAddress).toSorted(),
    ],
  );

/** As text, by which wishes are compared. */
const plain = (wish: DnsWish | undefined): unknown =>
  wish && [
    wish.endpoint,
    wish.name,
    wish.addresses.map(formatAddress),
    { ...wish.policy, server: formatAddress(wish.policy.server) },
  ];
