/**
 * A responder for the names of machines on one link (RFC 6762): probes for a name, takes another one when somebody has it,
 * announces it, answers for it, defends it, and says goodbye. It does not know how messages get onto the link.
 */

import { decodeMessage, flag, has, type Message, opcodeOf, type ResourceRecord, rcodeOf, type } from '../message.ts';
import { nameKey } from '../name.ts';
import { sameData } from '../records.ts';
import { additionalsTo, answersTo, classOf, type Holdings, holdingsOf, TOP_BIT } from './answers.ts';
import { type Claim, candidate, type HeldRecord, sameClaim } from './claim.ts';
import { type Contender, createContender } from './contender.ts';
import { goodbyes, legacyResponse, responses } from './packing.ts';
import type { Peer } from './peer.ts';

export const MDNS_PORT = 5353;

/** How messages get onto the link. */
export interface Wire {
  multicast(message: Uint8Array): void;
  unicast(message: Uint8Array, to: Peer): void;
}

export interface Clock {
  /** Milliseconds, of a clock that nobody sets. */
  now(): number;
  /** @returns a function that calls it off. */
  after(milliseconds: number, work: () => void): () => void;
  /** From 0 to 1. */
  random(): number;
}

export interface Holding {
  readonly id: string;
  /** The label that it has, or is probing for. */
  readonly label: string;
  readonly state: 'probing' | 'held';
}

export interface ResponderEvents {
  /** The name is ours, and has been announced. */
  held(id: string, label: string): void;
  /** Somebody else has the name; another one is tried. */
  conflict(id: string, label: string, next: string): void;
}

export interface Responder {
  /**
   * The claims from now on: new ones are probed for, those that are missing are said goodbye to.
   *
   * @param remembered the label that a claim last held, so that another one's is not fought for again.
   */
  set(claims: readonly Claim[], remembered?: (id: string) => string | undefined): void;
  /** A message that was heard on the link, whatever it is. */
  hear(bytes: Uint8Array, from: Peer): void;
  /** Says goodbye for records that an earlier process held, unless they are held again. */
  bury(records: readonly HeldRecord[]): void;
  holdings(): readonly Holding[];
  /** Ends without a goodbye: who follows takes over. */
  close(): void;
}

/** Milliseconds in which a record is not multicast again: to whom asks, and to whom probes for the name (§6). */
const REPEAT = { asked: 1000, probed: 250 } as const;
/** Milliseconds for which our own messages may come back to us. */
const ECHO = 2000;
/** Most questions that wait for the rest of what their askers know; more are answered at once. */
const MOST_WAITING = 100;

interface Waiting {
  readonly message: Message;
  readonly known: ResourceRecord[];
}

export function createResponder(wire: Wire, clock: Clock, events: ResponderEvents): Responder {
  const contenders = new Map<string, Contender>();
  const waiting = new Map<string, Waiting>();
  const cancels = new Set<() => void>();
  /** When each record was last multicast, by its key. */
  const lastSent = new Map<string, number>();
  const echoes = new Map<string, number>();
  let holdings: Holdings = new Map();
  let closed = false;

  function multicast(message: Uint8Array): void {
    const now = clock.now();
    for (const [text, at] of echoes) if (now - at > ECHO) echoes.delete(text);
    echoes.set(Buffer.from(message).toString('base64'), now);
    wire.multicast(message);
  }

  const keyOf = ({ record }: HeldRecord): string =>
    `${nameKey(record.name)} ${record.type} ${Buffer.from(record.data).toString('hex')}`;

  function publish(answers: readonly HeldRecord[], additionals: readonly HeldRecord[] = []): void {
    const now = clock.now();
    for (const one of [...answers, ...additionals]) lastSent.set(keyOf(one), now);
    for (const message of responses(answers, additionals)) multicast(message);
  }

  function later(milliseconds: number, work: () => void): void {
    const cancel = clock.after(milliseconds, () => {
      cancels.delete(cancel);
      work();
    });
    cancels.add(cancel);
  }

  function reckon(): void {
    const held = [...contenders.values()].flatMap((contender) => contender.held());
    holdings = holdingsOf(held);
    const known = new Set(held.map(keyOf));
    for (const key of lastSent.keys()) if (!known.has(key)) lastSent.delete(key);
  }

  /** Without those that somebody else of us has in common with it. */
  function farewell(records: readonly HeldRecord[]): void {
    const kept = new Set([...contenders.values()].flatMap((contender) => contender.held()).map(keyOf));
    const gone = records.filter((one) => !kept.has(keyOf(one)));
    for (const message of goodbyes(gone)) multicast(message);
  }

  const isTaken = (label: string, by: string): boolean =>
    [...contenders].some(([id, other]) => id !== by && other.label().toLowerCase() === label.toLowerCase());

  /** The first of a claim's labels, from a number on, that no other claim here has. */
  function free(claim: Claim, from: number): number {
    let number = from;
    while (isTaken(candidate(claim.label, number), claim.id)) number += 1;
    return number;
  }

  function start(claim: Claim, remembered: string | undefined): void {
    const last = Number(/-([0-9]{1,4})$/.exec(remembered ?? '')?.[1] ?? 1);
    const first = last > 1 && candidate(claim.label, last) === remembered ? last : 1;
    const contender = createContender(claim, free(claim, first), {
      clock,
      multicast,
      publish,
      free: (number) => free(claim, number),
      changed: reckon,
      held: (label) => events.held(claim.id, label),
      conflict: (label, next) => events.conflict(claim.id, label, next),
    });
    contenders.set(claim.id, contender);
    contender.start();
  }

  function stop(id: string): void {
    const contender = contenders.get(id);
    if (contender === undefined) return;
    const held = contender.held();
    contender.stop();
    contenders.delete(id);
    reckon();
    farewell(held);
  }

  function answer(message: Message, known: readonly ResourceRecord[], from: Peer): void {
    if (closed) return;
    const now = clock.now();
    const legacy = from.port !== MDNS_PORT;
    const probed = message.authorities.length > 0;
    const byUnicast = new Map<string, HeldRecord>();
    const byMulticast = new Map<string, HeldRecord>();
    for (const question of message.questions) {
      const welcome = (question.class & TOP_BIT) !== 0;
      for (const one of answersTo(question, holdings, known)) {
        const age = now - (lastSent.get(keyOf(one)) ?? Number.NEGATIVE_INFINITY);
        if (legacy || (welcome && age < (one.record.ttl * 1000) / 4)) byUnicast.set(keyOf(one), one);
        else if (age >= (probed ? REPEAT.probed : REPEAT.asked)) byMulticast.set(keyOf(one), one);
      }
    }
    const [direct, open] = [[...byUnicast.values()], [...byMulticast.values()]];
    const extra = additionalsTo(direct, holdings);
    if (legacy && direct.length > 0) wire.unicast(legacyResponse(message.id, message.questions, direct, extra), from);
    else for (const bytes of responses(direct, extra)) wire.unicast(bytes, from);
    if (open.length > 0) publish(open, additionalsTo(open, holdings));
  }

  function hearQuery(message: Message, from: Peer): void {
    for (const contender of contenders.values()) contender.hearProbe(message);
    const asker = from.key;
    const before = waiting.get(asker);
    if (before !== undefined) {
      before.known.push(...message.answers);
      if (message.questions.length === 0) return;
    }
    const isShared = message.questions.some((question) =>
      answersTo(question, holdings, []).some(({ unique }) => !unique),
    );
    const legacy = from.port !== MDNS_PORT;
    // Others may have the same to say (§6), or the asker has more to say of what it knows (§7.2).
    const pause =
      has(message, flag.truncated) && !legacy && waiting.size < MOST_WAITING
        ? 400 + clock.random() * 100
        : isShared && !legacy
          ? 20 + clock.random() * 100
          : 0;
    if (pause === 0) {
      answer(message, message.answers, from);
      return;
    }
    const mine = { message, known: [...message.answers] };
    if (pause >= 400) waiting.set(asker, mine);
    later(pause, () => {
      if (waiting.get(asker) === mine) waiting.delete(asker);
      answer(message, mine.known, from);
    });
  }

  function hearResponse(message: Message): void {
    const records = [...message.answers, ...message.additionals].filter((record) => record.type !== type.NSEC);
    for (const contender of contenders.values()) contender.hearRecords(records);
    // Somebody has said goodbye for us, or says that it is soon over: we know better (§10.2, §6.6).
    const spoiled = records.flatMap((record) =>
      (holdings.get(nameKey(record.name)) ?? []).filter(
        (one) =>
          one.unique &&
          classOf(one.record) === classOf(record) &&
          sameData(one.record, record) &&
          record.ttl * 2 < one.record.ttl,
      ),
    );
    if (spoiled.length > 0) publish(spoiled);
  }

  return {
    set(claims, remembered = () => undefined) {
      const wanted = new Map(claims.map((claim) => [claim.id, claim]));
      for (const [id, contender] of contenders) {
        const claim = wanted.get(id);
        if (claim === undefined || claim.label !== contender.claim().label) stop(id);
        else if (!sameClaim(claim, contender.claim())) {
          const before = contender.held();
          contender.change(claim);
          reckon();
          farewell(before);
        }
      }
      for (const claim of claims) if (!contenders.has(claim.id)) start(claim, remembered(claim.id));
    },

    hear(bytes, from) {
      if (closed || echoes.has(Buffer.from(bytes).toString('base64'))) return;
      const message = decodeMessage(bytes);
      if (message === undefined || opcodeOf(message) !== 0 || rcodeOf(message) !== 0) return;
      if (!has(message, flag.response)) hearQuery(message, from);
      else if (from.port === MDNS_PORT) hearResponse(message);
    },

    bury: farewell,

    holdings: () =>
      [...contenders].map(([id, contender]) => ({
        id,
        label: contender.label(),
        state: contender.held().length > 0 ? ('held' as const) : ('probing' as const),
      })),

    close() {
      closed = true;
      for (const contender of contenders.values()) contender.stop();
      for (const cancel of cancels) cancel();
      contenders.clear();
      holdings = new Map();
    },
  };
}
