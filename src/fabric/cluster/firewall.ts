/**
 * The packet filter of virtual networks: one nftables table with fixed chains. What differs from network to network stands
 * in sets, so that a change costs microseconds and never reloads a rule.
 */

import type { KernelObject, NftElement, NftTable } from '../../kernel/objects.ts';
import type { Network } from '../../model/network.ts';
import { formatPrefix } from '../../model/prefix.ts';
import { isRouted, settingsOf } from './settings.ts';

const TABLE = { family: 'inet', name: 'berth' } as const;

/**
 * - Within a network everything passes (the chain sees bridged packets where br_netfilter is on), and between networks of a tenant
 *   that are routed.
 * - `internal` networks exchange nothing with anything else; answers included, so this stands before `ct state`.
 * - Between two networks, and between ours and the engine's own, nothing passes.
 * - Into a network that hides behind the host's address nobody opens a connection: its addresses mean nothing outside.
 *
 * Priority `filter - 1`: a drop here is final, and an accept leaves the last word to the host's own rules.
 */
export const firewall: NftTable = {
  kind: 'nft-table',
  family: TABLE.family,
  name: TABLE.name,
  body: `
	set networks { type ifname; }
	set within { type ifname . ifname; }
	set internal { type ifname; }
	set hidden { type ifname; }
	set engine { type ifname; elements = { "docker0", "docker_gwbridge" }; }
	set sources4 { type ipv4_addr; flags interval; }
	set sources6 { type ipv6_addr; flags interval; }
	chain forward {
		type filter hook forward priority filter - 1; policy accept;
		iifname . oifname @within accept
		iifname @internal drop
		oifname @internal drop
		ct state established,related accept
		iifname @networks oifname @networks drop
		iifname @networks oifname @engine drop
		iifname @engine oifname @networks drop
		oifname @hidden drop
	}
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr @sources4 oifname != @networks masquerade
		ip6 saddr @sources6 oifname != @networks masquerade
	}
`,
};

function element(set: string, text: string): NftElement {
  return { kind: 'nft-element', family: TABLE.family, table: TABLE.name, set, element: text };
}

/** The engine's own networks, which nothing passes to or from. */
export function engineElements(bridges: readonly string[]): readonly KernelObject[] {
  return bridges.map((bridge) => element('engine', `"${bridge}"`));
}

/**
 * The elements by which one network takes part.
 *
 * @param routed bridges of networks that it exchanges packets with. Each of two says it of both ways: either may be there first.
 */
export function bridgeElements(
  network: Network,
  bridge: string,
  masquerade: boolean,
  routed: readonly string[] = [],
): readonly KernelObject[] {
  const name = `"${bridge}"`;
  const elements = [element('networks', name), element('within', `${name} . ${name}`)];
  for (const other of routed)
    elements.push(element('within', `${name} . "${other}"`), element('within', `"${other}" . ${name}`));
  if (network.internal) return [...elements, element('internal', name)];
  if (!masquerade) return elements;
  elements.push(element('hidden', name));
  // In a domain of its own it is known by its mark. Where nothing leads out, others may have the same subnet, or a part of it.
  const { domain, cluster } = settingsOf(network);
  if (domain !== undefined || (cluster !== undefined && !isRouted(cluster))) return elements;
  for (const subnet of network.subnets) {
    elements.push(element(`sources${subnet.prefix.address.family}`, formatPrefix(subnet.prefix)));
  }
  return elements;
}
