/**
 * The way between the host and its own macvlan or ipvlan containers. The kernel passes no frame between an interface and the
 * links that stand on it; between two such links it does. So the host gets one of its own, with a route to each container.
 *
 * The link hears what the LAN broadcasts, too, and the host would answer there for its addresses a second time, with another
 * MAC. A filter on it therefore lets in only what comes from the host's own containers.
 */

import { createHash } from 'node:crypto';
import type { HostAddress, HostView } from '../../kernel/kernel.ts';
import type { IpvlanLink, KernelObject, MacvlanLink, NftElement } from '../../kernel/objects.ts';
import { type Address, formatAddress } from '../../model/address.ts';
import { linkName } from '../../model/ids.ts';
import { macFromBytes } from '../../model/mac.ts';
import type { Endpoint, Network } from '../../model/network.ts';
import { contains, type Prefix } from '../../model/prefix.ts';
import type { IpvlanSettings, MacvlanSettings } from './settings.ts';

type Shimmed = MacvlanSettings | IpvlanSettings;

const TABLE_FAMILY = 'netdev';

export const shimLink = (parent: string): string => linkName('bs', parent);

/** What a host needs to reach the containers on a network; nothing where it has no address on that LAN itself. */
export function shimObjects(settings: Shimmed, { subnets }: Network, host: HostView): readonly KernelObject[] {
  const own = hostAddresses(settings, host);
  const reachable = subnets.some(({ prefix }) => sourceFor(prefix.address, own) !== undefined);
  if (!settings.hostAccess || !reachable) return [];
  const name = shimLink(settings.parent);
  const common = { kind: 'link', name, parent: settings.parent, up: true, noLinkLocal: true } as const;
  const alias = `berth host access to ${settings.parent}`;
  const link: MacvlanLink | IpvlanLink =
    settings.mode === 'macvlan'
      ? { ...common, type: 'macvlan', mode: 'bridge', alias, mac: shimMac(settings.parent, host) }
      : { ...common, type: 'ipvlan', mode: settings.variant, alias };
  // Who asks for the host's IPv6 address is only answered by a link that has it (ndisc_recv_ns); for IPv4 any will do.
  const addresses = own
    .filter(({ address }) => address.address.family === 6 && settings.mode === 'macvlan')
    .map(({ address }) => ({
      kind: 'address' as const,
      link: name,
      address: { address: address.address, length: 128 },
      noPrefixRoute: true,
    }));
  return [link, filter(settings, name), ...addresses];
}

/** What lets one container through, and leads to it. */
export function shimEndpointObjects(settings: Shimmed, endpoint: Endpoint, host: HostView): readonly KernelObject[] {
  if (!settings.hostAccess) return [];
  const own = hostAddresses(settings, host);
  const name = shimLink(settings.parent);
  const objects: KernelObject[] = [];
  for (const { address } of endpoint.addresses) {
    const source = sourceFor(address, own);
    if (source === undefined) continue;
    const destination: Prefix = { address, length: address.family === 4 ? 32 : 128 };
    objects.push({ kind: 'route', destination, link: name, source, scope: 'link' });
    if (settings.mode === 'ipvlan') objects.push(element(name, setOf(address), formatAddress(address)));
  }
  if (objects.length > 0 && settings.mode === 'macvlan') objects.push(element(name, 'containers', endpoint.mac));
  return objects;
}

/** Those of the host on the LAN itself. */
function hostAddresses({ parent }: Shimmed, host: HostView): readonly HostAddress[] {
  return host.addresses.filter(({ link, scope }) => link === parent && scope === 'global');
}

/** The host's address from which a container sees it: of the same subnet if there is one. */
function sourceFor(address: Address, own: readonly HostAddress[]): Address | undefined {
  const family = own.filter((candidate) => candidate.address.address.family === address.family);
  return (family.find((candidate) => contains(candidate.address, address)) ?? family[0])?.address.address;
}

/** The same after each restart, since containers remember it. */
function shimMac(parent: string, host: HostView) {
  const under = host.links.find(({ name }) => name === parent);
  const digest = createHash('sha256')
    .update(`berth host access ${under?.mac ?? parent}`)
    .digest();
  return macFromBytes(Uint8Array.of(0x02, 0x42, ...digest.subarray(0, 4)));
}

const setOf = (address: Address): string => (address.family === 4 ? 'containers4' : 'containers6');

function filter({ mode }: Shimmed, link: string): KernelObject {
  const sets =
    mode === 'macvlan'
      ? 'set containers { type ether_addr; }'
      : 'set containers4 { type ipv4_addr; }\n\tset containers6 { type ipv6_addr; }';
  // The links of an ipvlan share one MAC: there the containers are known by their addresses.
  const rules =
    mode === 'macvlan'
      ? 'ether saddr @containers accept'
      : 'arp saddr ip @containers4 accept\n\t\tip saddr @containers4 accept\n\t\tip6 saddr @containers6 accept';
  return {
    kind: 'nft-table',
    family: TABLE_FAMILY,
    name: link,
    body: `
	${sets}
	chain ingress {
		type filter hook ingress device "${link}" priority 0; policy drop;
		${rules}
	}
`,
  };
}

function element(link: string, set: string, text: string): NftElement {
  return { kind: 'nft-element', family: TABLE_FAMILY, table: link, set, element: text };
}
