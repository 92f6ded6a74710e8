/** Tells the neighbours where an address is, as often as RFC 5227 §2.3 wants it. */

import type { Announcement } from '../kernel/announce.ts';
import type { Kernel } from '../kernel/kernel.ts';

/** ANNOUNCE_INTERVAL of RFC 5227 §1.1. Milliseconds. */
const INTERVAL = 2000;

/**
 * Twice: when the first goes out, the port of the switch may not forward yet, because the link has just come up. That it cannot
 * be told is no failure: neighbours find out later.
 *
 * @returns resolves after the first.
 */
export async function announceTwice(kernel: Pick<Kernel, 'announce'>, announcement: Announcement): Promise<void> {
  // By then all of it may be gone, namespace or link.
  const again = setTimeout(() => void kernel.announce(announcement).catch(() => undefined), INTERVAL);
  again.unref();
  await kernel.announce(announcement).catch(() => undefined);
}
