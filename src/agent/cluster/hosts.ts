/** The hosts of the cluster as this one knows them, and which of them are to be taken for gone. */

import { type Address, formatAddress } from '../../model/address.ts';
import { asBerthError } from '../../model/errors.ts';
import { keys } from '../../model/keys.ts';
import { mirror } from '../../store/mirror.ts';
import type { Store } from '../../store/store.ts';
import type { Events } from '../events.ts';
import { decodeHost, type HostRecord } from './records.ts';

export interface ClusterHost extends HostRecord {
  readonly name: string;
  /** Its agent runs. */
  readonly heard: boolean;
  /** When that became so, or was first known. Milliseconds of the wall clock. */
  readonly since: number;
  /** Neither its agent nor the host itself answers: nothing is sent there any more. */
  readonly gone: boolean;
}

export interface Hosts {
  all(): readonly ClusterHost[];
  get(name: string): ClusterHost | undefined;
  onChange(listener: () => void): void;
  /** Follows until the signal aborts. */
  follow(signal: AbortSignal): Promise<void>;
}

export interface HostsParts {
  readonly store: Store;
  /** Ourselves. */
  readonly host: string;
  readonly events: Pick<Events, 'emit'>;
  /** Whether a machine answers at all, whatever it is that runs there. */
  answers(address: Address): Promise<boolean>;
  now(): number;
}

/** How often a host whose agent is silent is asked whether it is there itself. Milliseconds. */
const ASK = 5000;
/** So many times without an answer, one after the other, and it is gone. */
const PATIENCE = 2;

interface Known {
  record: HostRecord;
  heard: boolean;
  since: number;
  unanswered: number;
}

export function createHosts(parts: HostsParts): Hosts {
  const { store, events, now } = parts;
  const known = new Map<string, Known>();
  const agents = new Set<string>();
  const listeners: (() => void)[] = [];
  /** Both listings are in: before that a missing agent says nothing. */
  const read = { hosts: false, agents: false };
  let view: readonly ClusterHost[] | undefined;

  const isGone = ({ heard, unanswered }: Known): boolean => !heard && unanswered >= PATIENCE;

  const changed = (): void => {
    view = undefined;
    for (const listener of listeners) listener();
  };

  const viewOf = (name: string, one: Known): ClusterHost => ({
    name,
    ...one.record,
    heard: one.heard,
    since: one.since,
    gone: isGone(one),
  });

  const compare = (): void => {
    for (const [name, one] of read.hosts && read.agents ? known : []) {
      const heard = agents.has(name);
      if (one.heard === heard) continue;
      Object.assign(one, { heard, since: now(), unanswered: 0 });
      if (name === parts.host) continue;
      events.emit(
        heard ? 'host.heard' : 'host.silent',
        heard ? `the agent of the host ${name} runs` : `the agent of the host ${name} is not heard any more`,
        { host: name },
      );
    }
    changed();
  };

  const absorb = (key: string, value: string | undefined): void => {
    const name = key.slice(keys.hosts.length);
    if (value === undefined) return void known.delete(name);
    try {
      const record = decodeHost({ key, value });
      const one = known.get(name);
      if (one === undefined) known.set(name, { record, heard: agents.has(name), since: now(), unanswered: 0 });
      else one.record = record;
    } catch (error) {
      events.emit('cluster.unreadable', asBerthError(error).message, { host: name });
    }
  };

  /** A host whose agent is silent may have its containers, and may have lost power. */
  const ask = async (): Promise<void> => {
    const silent = [...known].filter(([name, one]) => name !== parts.host && !one.heard);
    await Promise.all(
      silent.map(async ([name, one]) => {
        const { vtep } = one.record;
        const before = isGone(one);
        const answered = vtep !== undefined && (await parts.answers(vtep));
        one.unanswered = answered ? 0 : Math.min(one.unanswered + 1, PATIENCE);
        if (isGone(one) === before || one.heard) return;
        const where = vtep === undefined ? '' : ` at ${formatAddress(vtep)}`;
        events.emit(
          before ? 'host.back' : 'host.gone',
          before
            ? `the host ${name} answers again${where}; its agent does not run`
            : `the host ${name} does not answer${where}: nothing is sent there any more`,
          { host: name },
        );
        changed();
      }),
    );
  };

  return {
    all() {
      view ??= [...known].map(([name, one]) => viewOf(name, one)).toSorted((a, b) => (a.name < b.name ? -1 : 1));
      return view;
    },
    get(name) {
      const one = known.get(name);
      return one && viewOf(name, one);
    },
    onChange: (listener) => void listeners.push(listener),
    async follow(signal) {
      let asking: Promise<void> = Promise.resolve();
      const timer = setInterval(() => {
        asking = asking.then(ask);
      }, ASK).unref();
      signal.addEventListener('abort', () => clearInterval(timer), { once: true });
      await Promise.all([
        mirror(
          {
            store,
            prefix: keys.hosts,
            absorb: (key, entry) => absorb(key, entry?.value),
            changed() {
              read.hosts = true;
              compare();
            },
          },
          signal,
        ),
        mirror(
          {
            store,
            prefix: keys.agents,
            absorb(key, entry) {
              const name = key.slice(keys.agents.length);
              if (entry === undefined) agents.delete(name);
              else agents.add(name);
            },
            changed() {
              read.agents = true;
              compare();
            },
          },
          signal,
        ),
      ]);
      await asking;
    },
  };
}
