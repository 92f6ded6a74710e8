/** When a DHCPv6 message is sent again (RFC 8415 §15). How long altogether is up to whoever asks. Pure. */

/** Milliseconds. */
export interface Timeouts {
  readonly first: number;
  /** From here on it does not get longer. */
  readonly most: number;
}

/** RFC 8415 §7.6. Its SOL_MAX_RT, which a server may change (§21.24), is `most` of the first. */
export const timeouts = {
  soliciting: { first: 1000, most: 3_600_000 },
  requesting: { first: 1000, most: 30_000 },
  confirming: { first: 1000, most: 4000 },
  renewing: { first: 10_000, most: 600_000 },
  rebinding: { first: 10_000, most: 600_000 },
  releasing: { first: 1000, most: Infinity },
  informing: { first: 1000, most: 3_600_000 },
} as const satisfies Record<string, Timeouts>;

const JITTER = 0.1;

/**
 * How long an answer is waited for: doubled from time to time, and different by up to a tenth, so that clients that began together do
 * not go on together.
 *
 * @param before the wait before this one; absent: it is the first.
 * @param chance from 0 up to 1.
 */
export function nextTimeout({ first, most }: Timeouts, before: number | undefined, chance: () => number): number {
  const jitter = JITTER * (2 * chance() - 1);
  const wait = before === undefined ? first * (1 + jitter) : before * (2 + jitter);
  return wait > most ? most * (1 + jitter) : wait;
}
