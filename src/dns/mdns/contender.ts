/** One claim's way to its name: probing, announcing, holding, and back to probing when somebody contests it (RFC 6762 §8, §9). */

import { IN, type Message, type Question, type ResourceRecord, type } from '../message.ts';
import { nameKey } from '../name.ts';
import { sameData } from '../records.ts';
import { classOf } from './answers.ts';
import { type Claim, candidate, type HeldRecord, recordsOf } from './claim.ts';
import { probe } from './packing.ts';
import type { Clock } from './responder.ts';
import { compareRecords } from './tie-break.ts';

export interface Contender {
  start(): void;
  /** Other addresses or services under the same name. */
  change(claim: Claim): void;
  claim(): Claim;
  label(): string;
  /** What may be answered with: nothing before the name is ours. */
  held(): readonly HeldRecord[];
  hearProbe(message: Message): void;
  hearRecords(records: readonly ResourceRecord[]): void;
  stop(): void;
}

export interface ContenderParts {
  readonly clock: Clock;
  multicast(message: Uint8Array): void;
  publish(records: readonly HeldRecord[]): void;
  /** The first number from this one on whose label no other claim of ours has. */
  free(number: number): number;
  /** What is held has changed. */
  changed(): void;
  held(label: string): void;
  conflict(label: string, next: string): void;
}

/** Milliseconds (§8.1, §8.3). */
const PROBE_INTERVAL = 250;
const PROBES = 3;
const ANNOUNCE_INTERVAL = 1000;
/** A link with so many conflicts in so short a time is not made worse by us (§8.1). */
const MANY = { conflicts: 15, within: 10_000, pause: 5000 } as const;
/** Who has lost a tie tries again when the winner has announced itself (§8.2). */
const TIE_PAUSE = 1000;

export function createContender(wanted: Claim, firstNumber: number, parts: ContenderParts): Contender {
  const { clock } = parts;
  const conflicts: number[] = [];
  let claim = wanted;
  let number = firstNumber;
  let phase: 'probing' | 'held' | 'stopped' = 'probing';
  let probed = false;
  let cancel = (): void => undefined;

  const label = (): string => candidate(claim.label, number);
  /** Looked at for each message that is heard. */
  let known: { readonly claim: Claim; readonly number: number; readonly all: readonly HeldRecord[] } | undefined;
  function records(): readonly HeldRecord[] {
    if (known?.claim !== claim || known.number !== number) known = { claim, number, all: recordsOf(claim, label()) };
    return known.all;
  }
  /** What nobody else may have. Who has an address is not asked here, but by ARP. */
  const contested = (): readonly ResourceRecord[] =>
    records()
      .filter(({ record, unique }) => unique && record.type !== type.PTR)
      .map(({ record }) => record);

  function wait(milliseconds: number, work: () => void): void {
    cancel();
    cancel = clock.after(milliseconds, work);
  }

  function begin(pause: number): void {
    phase = 'probing';
    probed = false;
    parts.changed();
    wait(pause, () => ask(1));
  }

  function ask(round: number): void {
    probed = true;
    const wished = contested();
    const names = [...new Map(wished.map((record) => [nameKey(record.name), record.name])).values()];
    // Not by unicast: the answer would go to whoever has the port on this host.
    const questions = names.map((name): Question => ({ name, type: type.ANY, class: IN }));
    parts.multicast(probe(wished, questions));
    wait(PROBE_INTERVAL, () => (round < PROBES ? ask(round + 1) : hold()));
  }

  function hold(): void {
    phase = 'held';
    parts.changed();
    announce();
    parts.held(label());
  }

  function announce(): void {
    parts.publish(records());
    wait(ANNOUNCE_INTERVAL, () => parts.publish(records()));
  }

  function lose(): void {
    const now = clock.now();
    conflicts.push(now);
    while (conflicts.length > MANY.conflicts) conflicts.shift();
    const many = conflicts.length === MANY.conflicts && now - conflicts[0]! < MANY.within;
    const before = label();
    number = parts.free(number + 1);
    parts.conflict(before, label());
    begin(many ? MANY.pause : clock.random() * PROBE_INTERVAL);
  }

  return {
    start: () => begin(clock.random() * PROBE_INTERVAL),
    claim: () => claim,
    label,
    held: () => (phase === 'held' ? records() : []),

    change(next) {
      const servicesChanged = JSON.stringify(next.services) !== JSON.stringify(claim.services);
      claim = next;
      if (phase !== 'held') return;
      // With its services come names that nobody has been asked for.
      if (servicesChanged) begin(0);
      else announce();
    },

    hearProbe(message) {
      if (phase !== 'probing' || !probed) return;
      const names = new Set(contested().map(({ name }) => nameKey(name)));
      for (const name of names) {
        if (!message.questions.some((question) => nameKey(question.name) === name)) continue;
        const theirs = message.authorities.filter((record) => nameKey(record.name) === name);
        const mine = contested().filter((record) => nameKey(record.name) === name);
        if (theirs.length > 0 && compareRecords(mine, theirs) < 0) {
          begin(TIE_PAUSE);
          return;
        }
      }
    },

    hearRecords(heard) {
      if (phase === 'stopped' || (phase === 'probing' && !probed)) return;
      const own = contested();
      const isOurs = (record: ResourceRecord): boolean =>
        own.some((mine) => mine.name.length === record.name.length && nameKey(mine.name) === nameKey(record.name));
      const others = heard.filter(
        (record) => classOf(record) === IN && record.ttl > 0 && record.type !== type.PTR && isOurs(record),
      );
      const differs = (record: ResourceRecord): boolean => !own.some((mine) => sameData(mine, record));
      if (phase === 'probing') {
        if (others.some(differs)) lose();
        return;
      }
      const sameType = (record: ResourceRecord): boolean =>
        own.some((mine) => mine.type === record.type && nameKey(mine.name) === nameKey(record.name));
      // Of the two, the other one will defend it if it has it by right (§9).
      if (others.some((record) => sameType(record) && differs(record))) begin(0);
    },

    stop() {
      phase = 'stopped';
      cancel();
    },
  };
}
