/** What is kept with virtual networks, for tests of what is done with it. */

import type { Membership, Settings } from '../settings.ts';

/** Of a network of the cluster, or of one of this host alone. */
export function settingsFor(member?: Pick<Membership, 'tenant' | 'network' | 'group'>): Settings {
  const own = { bridge: 'bt0', masquerade: true, interfacePrefix: 'eth' };
  if (member === undefined) return own;
  const rest = { encapsulation: 'vxlan', tag: 1, kind: 'data', forwarding: 'bridge' } as const;
  return { ...own, cluster: { ...member, ...rest, gateways: [] } };
}
