/**
 * What Neutron was asked for, and has not answered. That it has not done it when we look is no proof: it may still be at it, or have the
 * request in a socket. So it is looked for again, for as long as a request may be under way.
 */

import { BerthError } from '../../model/errors.ts';
import { detailsOf } from '../../openstack/failure.ts';

/** A proxy has given up waiting, and not Neutron. */
const OF_PROXIES = new Set([502, 504]);

/** Whether what failed so may yet be done. Of what it answers to, Neutron is no longer at work. */
export function mayYetBeDone(error: unknown): boolean {
  const details = detailsOf(error);
  if (details === undefined || details.service !== 'Neutron') return false;
  return details.status === undefined ? details.mayBeDone : OF_PROXIES.has(details.status);
}

/** Whether Neutron has refused what failed so, or was never asked: Keystone, which comes before, gave no token or knows no Neutron. */
export function wasNotDone(error: unknown): boolean {
  if (error instanceof BerthError && error.code === 'OPENSTACK_NO_ENDPOINT') return true;
  const details = detailsOf(error);
  return details !== undefined && (details.service !== 'Neutron' || !details.mayBeDone);
}

/** When Neutron answered for the first time whether it has something, by the record of it. */
const firstLooks = new WeakMap<object, number>();

/**
 * To be asked when Neutron has answered that it has no such thing. A Neutron that was frozen, or had much to do, may have the request in
 * a socket all that time, and carry it out when it is back: so the time counts from its first answer.
 *
 * @param record with `unanswered`: since when it was asked, where it was not answered.
 * @returns milliseconds for which to go on looking; undefined when that is over.
 */
export function leftToLook(
  record: { readonly unanswered?: number | undefined },
  settle: number,
  now: number,
): number | undefined {
  if (record.unanswered === undefined) return undefined;
  const first = firstLooks.get(record) ?? now;
  firstLooks.set(record, first);
  const left = Math.min(settle, first + settle - now);
  return left > 0 ? left : undefined;
}
