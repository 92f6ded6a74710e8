/** Whether anybody on a segment has an address: asked once by all who want to know at about the same time. */

import type { Kernel } from '../../kernel/kernel.ts';
import { type Claim, probe } from '../../kernel/packet/probe.ts';
import { type Address, formatAddress, sameAddress } from '../../model/address.ts';
import { asBerthError, type BerthError } from '../../model/errors.ts';
import { within } from '../within.ts';
import type { Wires } from './wires.ts';

export interface Inquiries {
  /**
   * Begins to ask, unless that was done a moment ago and nobody has answered so far: whoever has made the other machine let go
   * of the address may try again at once.
   */
  ask(link: AskedLink, address: Address): Promise<Claim | undefined>;
  /**
   * What has come of it a moment ago, or else asks. Resolves as soon as somebody is known to have the address, and without a
   * claim when `WINDOW` is over, or when nobody could be asked. Never rejects.
   *
   * @param patience milliseconds after the question for which a claim is waited for.
   */
  answer(link: AskedLink, address: Address, patience?: number): Promise<Claim | undefined>;
  /**
   * Who the host itself knows to have had the address less than a minute ago. That may have been a container of ours which is
   * gone, so it is no reason to refuse an address that somebody wants, only one to give out another. Never rejects.
   */
  remembered(link: string, address: Address): Promise<Claim | undefined>;
  /** Goes on asking and listening for some seconds: a machine may be slow to answer, or take the address a moment later. */
  follow(link: string, address: Address): Promise<Claim | undefined>;
  close(): void;
}

/** A link to ask on. */
export interface AskedLink {
  readonly name: string;
  /** It was made a moment ago: a switch behind it may need a while until it forwards. */
  readonly isNew: boolean;
}

interface Inquiry {
  readonly since: number;
  readonly answer: Promise<Claim | undefined>;
  claimed: boolean;
}

export interface InquiriesParts {
  readonly kernel: Kernel;
  readonly wires: Wires;
  /** A claim of a container of ours. */
  isOurs(link: string, claim: Claim): boolean;
  /** Nobody could be asked on that link. */
  unanswerable(link: string, why: BerthError): void;
  /** Milliseconds of a clock that nobody sets. */
  monotonic(): number;
}

/** Milliseconds that a container may be held up by the question whether its address is free. */
const WINDOW = 200;
/** The same on a link that is new: Open vSwitch says that a port is there before its main loop has taken it up. */
const WINDOW_OF_NEW = 600;
/** The same if the kernel is late with a port: the container's link has to wait for the same thread. */
const MOST = 3_000;
/** How long an answer is good for. */
const FRESH = 5_000;
const FOLLOWED = 10_000;
const FOLLOW_ASKS = [300, 1_500, 5_000] as const;

export function createInquiries(parts: InquiriesParts): Inquiries {
  const { kernel, wires, isOurs, monotonic } = parts;
  const recent = new Map<string, Inquiry>();
  const ended = new AbortController();
  const { signal } = ended;

  async function question({ name, isNew }: AskedLink, address: Address): Promise<Claim | undefined> {
    const [claim] = await wires.use(name, (port) =>
      probe(port, [address], {
        for: isNew ? WINDOW_OF_NEW : WINDOW,
        isOurs: (claim) => isOurs(name, claim),
        signal,
      }),
    );
    return claim;
  }

  function begin(key: string, link: AskedLink, address: Address): Inquiry {
    const answer = within(MOST, question(link, address)).then(
      (claim) => {
        inquiry.claimed = claim !== undefined;
        return claim;
      },
      (error: unknown) => {
        parts.unanswerable(link.name, asBerthError(error));
        return undefined;
      },
    );
    const inquiry: Inquiry = { since: monotonic(), answer, claimed: false };
    recent.set(key, inquiry);
    return inquiry;
  }

  function lately(key: string): Inquiry | undefined {
    const now = monotonic();
    for (const [other, { since }] of recent) if (now - since >= FRESH) recent.delete(other);
    return recent.get(key);
  }

  return {
    ask(link, address) {
      const key = `${link.name} ${formatAddress(address)}`;
      const known = lately(key);
      return known === undefined || known.claimed ? begin(key, link, address).answer : known.answer;
    },

    answer(link, address, patience) {
      const key = `${link.name} ${formatAddress(address)}`;
      const { since, answer } = lately(key) ?? begin(key, link, address);
      return patience === undefined ? answer : within(Math.max(0, since + patience - monotonic()), answer);
    },

    async remembered(link, address) {
      const known = await kernel.neighbours(link).catch(() => []);
      return known.find((one) => sameAddress(one.address, address) && !isOurs(link, one));
    },

    async follow(link, address) {
      try {
        const options = { for: FOLLOWED, asks: FOLLOW_ASKS, isOurs: (claim: Claim) => isOurs(link, claim), signal };
        const [claim] = await wires.use(link, (port) => probe(port, [address], options));
        return claim;
      } catch (error) {
        parts.unanswerable(link, asBerthError(error));
        return undefined;
      }
    },

    close: () => ended.abort(),
  };
}
