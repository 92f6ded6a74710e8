/** What the routers of a link advertise, asked for on behalf of containers that are about to start. */

import { type Advertisement, solicit } from '../../dhcp/router.ts';
import { type OnLinkParts, onLink } from './on-link.ts';
import type { DhcpLease } from './record.ts';

export interface Routers {
  /**
   * @param patience milliseconds.
   * @returns the first advertisement that gives a container an address, or else the last one; undefined when there is none.
   */
  ask(lease: Pick<DhcpLease, 'network' | 'link' | 'client'>, patience: number): Promise<Advertisement | undefined>;
}

export interface RoutersParts extends OnLinkParts {
  /** Milliseconds of a clock that nobody sets. */
  monotonic(): number;
}

/**
 * An answer serves those who ask soon after: a router need not answer again within 3 s, and half a second more (RFC 4861 §6.2.6), and
 * containers come in bursts. Milliseconds.
 */
const FRESH = 4000;

export function createRouters(parts: RoutersParts): Routers {
  const known = new Map<string, { readonly advertisement: Advertisement; readonly until: number }>();
  const asking = new Map<string, Promise<Advertisement | undefined>>();

  const isUseful = ({ managed, prefixes }: Advertisement): boolean => managed || prefixes.length > 0;

  async function question(
    lease: Pick<DhcpLease, 'network' | 'link' | 'client'>,
    patience: number,
  ): Promise<Advertisement | undefined> {
    const { link, client } = lease;
    const heard = await onLink(parts, lease, { link, hears: 'router-advertisements' }, (port) =>
      solicit(port, client.mac, patience, isUseful),
    );
    if (heard !== undefined && isUseful(heard))
      known.set(link, { advertisement: heard, until: parts.monotonic() + FRESH });
    return heard;
  }

  return {
    async ask(lease, patience) {
      const { link } = lease;
      const fresh = known.get(link);
      if (fresh !== undefined && parts.monotonic() < fresh.until) return fresh.advertisement;
      known.delete(link);
      const shared =
        asking.get(link) ??
        question(lease, patience).finally(() => {
          asking.delete(link);
        });
      asking.set(link, shared);
      return shared;
    },
  };
}
