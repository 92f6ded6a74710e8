/**
 * The way between the host and its own macvlan or ipvlan containers. The kernel passes no frame between an interface and the
 * links that stand on it; between two such links it does. So the host gets one of its own, with a route to each container.
 *
 * A macvlan hears what the LAN broadcasts, too, and the host would answer there for its addresses a second time, with another
 * MAC. A filter on it therefore lets in only what comes from the host's own containers. An ipvlan has the MAC of its parent:
 * there, a second answer is the same answer.
 */

import type { HostAddress, HostView } from '../../kernel/kernel.ts';
import type { IpvlanLink, KernelObject, MacvlanLink } from '../../kernel/objects.ts';
import type { Address } from '../../model/address.ts';
import { linkName } from '../../model/ids.ts';
import { macFromIdentity } from '../../model/mac.ts';
import type { Endpoint, Network } from '../../model/network.ts';
import { contains, type Prefix } from '../../model/prefix.ts';
import type { IpvlanSettings, MacvlanSettings } from './settings.ts';

type Shimmed = MacvlanSettings | IpvlanSettings;

export const shimLink = (parent: string): string => linkName('bs', parent);

/** What a host needs to reach the containers on a network; nothing where it has no address on that LAN itself. */
export function shimObjects(settings: Shimmed, { subnets }: Network, host: HostView): readonly KernelObject[] {
  const own = hostAddresses(settings, host);
  // Where a DHCP server says what the subnets are, they are not known beforehand.
  const reachable =
    subnets.length === 0 ? own.length > 0 : subnets.some(({ prefix }) => sourceFor(prefix.address, own) !== undefined);
  if (!settings.hostAccess || !reachable) return [];
  const name = shimLink(settings.parent);
  const common = { kind: 'link', name, parent: settings.parent, up: true, noLinkLocal: true } as const;
  const alias = `berth host access to ${settings.parent}`;
  const link: MacvlanLink | IpvlanLink =
    settings.mode === 'macvlan'
      ? { ...common, type: 'macvlan', mode: 'bridge', alias, mac: shimMac(settings.parent, host) }
      : { ...common, type: 'ipvlan', mode: settings.variant, alias };
  // Who asks for the host's IPv6 address is only answered by a link that has it (ndisc_recv_ns); for IPv4 any will do. On an
  // ipvlan it must not be: that would take over what comes to it from the LAN (ipvlan_addr_lookup).
  const addresses = own
    .filter(({ address }) => address.address.family === 6)
    .map(({ address }) => ({
      kind: 'address' as const,
      link: name,
      address: { address: address.address, length: 128 },
      noPrefixRoute: true,
    }));
  return settings.mode === 'macvlan' ? [link, filter(name), ...addresses] : [link];
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
    if (settings.mode === 'ipvlan' && settings.variant === 'l2')
      objects.push(...acquainted(name, address, source, endpoint));
  }
  if (objects.length > 0 && settings.mode === 'macvlan')
    objects.push({ kind: 'nft-element', family: 'netdev', table: name, set: 'containers', element: endpoint.mac });
  return objects;
}

/**
 * Host and container know each other's MAC, which is the same. Asking would not do: what is sent to an address that no ipvlan of
 * the parent has, such as the answer to the host, comes in by the parent, and not by the link that asked (ipvlan_xmit_mode_l2).
 */
function acquainted(
  link: string,
  address: Address,
  host: Address,
  { mac, sandbox, sandboxInterface }: Endpoint,
): readonly KernelObject[] {
  const here: KernelObject = { kind: 'neighbour', link, address, mac };
  if (sandbox === undefined || sandboxInterface === undefined) return [here];
  return [here, { kind: 'neighbour', netns: sandbox, link: sandboxInterface, address: host, mac }];
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
  return macFromIdentity(`berth host access ${under?.mac ?? parent}`);
}

/** `typeof`, not `type`: of a set that nft 1.1 made with `type`, nft 1.0 falls over as soon as it lists anything. */
function filter(link: string): KernelObject {
  return {
    kind: 'nft-table',
    family: 'netdev',
    name: link,
    body: `
	set containers { typeof ether saddr; }
	chain ingress {
		type filter hook ingress device "${link}" priority 0; policy drop;
		ether saddr @containers accept
	}
`,
  };
}
