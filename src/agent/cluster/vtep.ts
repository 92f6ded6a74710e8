/** Where other hosts send this host's packets of cluster networks to. */

import type { HostView } from '../../kernel/kernel.ts';
import type { Address } from '../../model/address.ts';
import type { Config } from '../config.ts';

/** @returns undefined when the host has no such address now. */
export function vtepOf(configured: Config['vtep'], host: HostView): Address | undefined {
  if (configured !== undefined && 'family' in configured) return configured;
  if (configured !== undefined) return addressOn(host, configured.link);
  // The route that the kernel would take: the lowest metric; IPv4 where there is one.
  const [way] = host.routes
    .filter(({ table, destination, type }) => table === MAIN && destination.length === 0 && type === 'unicast')
    .toSorted((a, b) => a.destination.address.family - b.destination.address.family || a.metric - b.metric);
  return way?.source ?? (way?.link === undefined ? undefined : addressOn(host, way.link));
}

/** RT_TABLE_MAIN, linux/rtnetlink.h. */
const MAIN = 254;

function addressOn(host: HostView, link: string): Address | undefined {
  return host.addresses
    .filter((on) => on.link === link && on.scope === 'global')
    .map(({ address }) => address.address)
    .toSorted((a, b) => a.family - b.family)[0];
}
