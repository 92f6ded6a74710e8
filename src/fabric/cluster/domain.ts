/**
 * Routing domains: what lets two tenants have the same subnet on one host, without VRF devices, which not every kernel has.
 *
 * The tenant `default`, and networks of this host alone, are in the host's main routing table, as ever. Each other tenant has a number
 * on this host, and with it three things of its own:
 *
 * - a routing table, which says by which bridge a subnet is reached. What comes from the tenant's bridges is routed by it;
 * - a zone of connection tracking, so that two connections that look alike are two;
 * - a mark, which connections out of the tenant's bridges keep, and by which their answers find the table.
 *
 * The zone counts for the direction out of the tenant only, where packets leave it: the answers come to the host's own address, where
 * nobody knows yet whose they are, and masquerading makes them differ (`nf_nat_used_tuple`, net/netfilter/nf_nat_core.c; NF_CT_ZONE_DIR_ORIG).
 * Among the tenant's own containers it counts for both: one host may see the one direction only, and nothing may be rewritten.
 */

import { createHash } from 'node:crypto';
import type { KernelObject, NftElement, NftTable } from '../../kernel/objects.ts';
import { type Address, formatAddress } from '../../model/address.ts';
import { BerthError } from '../../model/errors.ts';
import type { Network } from '../../model/network.ts';
import { formatPrefix, type Prefix } from '../../model/prefix.ts';
import { BRIDGE } from './bridge.ts';
import { isRouted, type Membership, settingsOf } from './settings.ts';

/** Whose networks are in the main table. */
const MAIN_TENANT = 'default';

/** Small enough for a zone (16 bits), and clear of the bits by which others tell their marks (0x4000, 0x8000, 0x20000 …). */
const DOMAINS = 0x3fff;
/** Tables of Berth begin here: others count from 1, or from 1000. */
const FIRST_TABLE = 186_000_000;
/** After the table `local`, and before what an administrator adds without saying where (`ip rule`: before 32766). */
const RULE_PRIORITY = 1860;
const SIGNATURE = 0xbe700000;
/** In the mark of a connection: it hides behind the host's address. */
const HIDDEN = 0x00080000;
/**
 * Where tenants have the same subnet, the host's own processes reach the network with the least metric: the tenant `default` has none.
 */
const METRIC = { vlan: 1024, vxlan: 8192 } as const;

const routingTable = (domain: number): number => FIRST_TABLE + domain;
const packetMark = (domain: number): number => SIGNATURE + domain;
const hexadecimal = (value: number): string => `0x${value.toString(16)}`;

/**
 * The number of a tenant on this host: that of its other networks, else one that follows from its name and is free.
 *
 * @returns undefined for the main table: of the tenant `default`, and while networks stand that were made before there were domains.
 * @throws BerthError KERNEL_LACKS when all numbers are taken.
 */
export function domainFor(tenant: string, networks: readonly Network[]): number | undefined {
  if (tenant === MAIN_TENANT) return undefined;
  const taken = new Set<number>();
  for (const network of networks) {
    if (network.fabric !== 'cluster') continue;
    const { cluster, domain } = settingsOf(network);
    if (cluster?.tenant === tenant) return domain;
    if (domain !== undefined) taken.add(domain);
  }
  const first = createHash('sha256').update(tenant).digest().readUInt32BE(0) % DOMAINS;
  for (let step = 0; step < DOMAINS; step++) {
    const domain = 1 + ((first + step) % DOMAINS);
    if (!taken.has(domain)) return domain;
  }
  throw new BerthError('KERNEL_LACKS', `there is no routing domain for the tenant ${tenant}: a host has ${DOMAINS}`);
}

const TABLE = { family: 'inet', name: 'berth_tenants' } as const;

/**
 * - `bridges`, `zones`, `marks`: of all networks of tenants with a domain. `routed`: those in which this host has addresses.
 * - `here`: addresses that are this host's, `within`: subnets of the tenant, both as seen from each of its bridges.
 * - `leads`: the bridges that packets of a connection with that mark may be sent to.
 *
 * A zone that was set stays (nft_ct_set_zone_eval, net/netfilter/nft_ct.c: the first template counts), so the first rule that fits does it.
 * No chain accepts for others: what may not pass between networks is dropped in the table `berth`. What is dropped here are packets of a
 * connection that would come to another tenant than its own, because the bridge of the own one has gone meanwhile.
 */
const separation: NftTable = {
  kind: 'nft-table',
  family: TABLE.family,
  name: TABLE.name,
  body: `
	set bridges { type ifname; }
	map zones { typeof iifname : ct zone; }
	map marks { type ifname : mark; }
	set routed { type ifname; }
	set here4 { type ifname . ipv4_addr; }
	set here6 { type ifname . ipv6_addr; }
	set within4 { type ifname . ipv4_addr; flags interval; }
	set within6 { type ifname . ipv6_addr; flags interval; }
	set leads { type mark . ifname; }
	chain prerouting_raw {
		type filter hook prerouting priority raw; policy accept;
		iifname . ip daddr @here4 ct original zone set iifname map @zones
		iifname . ip6 daddr @here6 ct original zone set iifname map @zones
		iifname . ip daddr @within4 ct zone set iifname map @zones
		iifname . ip6 daddr @within6 ct zone set iifname map @zones
		iifname @routed ct original zone set iifname map @zones
		ct zone set iifname map @zones
	}
	chain prerouting_mangle {
		type filter hook prerouting priority mangle; policy accept;
		ct state new ct mark set iifname map @marks
		iifname != "${BRIDGE}*" ct mark and 0xfff00000 == ${hexadecimal(SIGNATURE)} meta mark set ct mark and 0xfff7ffff
	}
	chain output {
		type route hook output priority mangle; policy accept;
		ct mark and 0xfff00000 == ${hexadecimal(SIGNATURE)} meta mark set ct mark and 0xfff7ffff
	}
	chain forward {
		type filter hook forward priority filter - 2; policy accept;
		ct state new ct mark and 0xfff00000 != ${hexadecimal(SIGNATURE)} ct mark set oifname map @marks
		oifname "${BRIDGE}*" ct mark and 0xfff00000 == ${hexadecimal(SIGNATURE)} ct mark . oifname != @leads drop
		oifname @bridges ct state established,related ct mark . oifname != @leads drop
	}
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		oifname != "${BRIDGE}*" ct mark and 0xfff80000 == ${hexadecimal(SIGNATURE + HIDDEN)} masquerade
	}
`,
};

/** What all domains of a host need together. */
export function sharedOfDomains(networks: readonly Network[]): readonly KernelObject[] {
  return networks.some((network) => settingsOf(network).domain !== undefined) ? [separation] : [];
}

/**
 * What puts a network into its tenant's domain; nothing for one in the main table.
 *
 * @param addresses those that this host has in it.
 * @param others bridges of the networks that it exchanges packets with. Each of two says it of both: either may be there first.
 */
export function domainObjects(
  network: Network,
  addresses: readonly Address[],
  others: readonly string[],
): readonly KernelObject[] {
  const { bridge, masquerade, domain, cluster } = settingsOf(network);
  if (domain === undefined) return [];
  const routed = isRouted(cluster!);
  const hides = masquerade && !network.internal;
  const shown = packetMark(domain);
  const hidden = shown + HIDDEN;
  const objects: KernelObject[] = [
    element('bridges', quoted(bridge)),
    element('zones', quoted(bridge), String(domain)),
    element('marks', quoted(bridge), hexadecimal(hides ? hidden : shown)),
    ...[shown, hidden].map((mark) => element('leads', `${hexadecimal(mark)} . ${quoted(bridge)}`)),
  ];
  for (const seenFrom of [bridge, ...others].map(quoted)) {
    for (const { prefix } of network.subnets)
      objects.push(element(`within${prefix.address.family}`, `${seenFrom} . ${formatPrefix(prefix)}`));
    for (const address of addresses)
      objects.push(element(`here${address.family}`, `${seenFrom} . ${formatAddress(address)}`));
  }
  if (!routed) return objects;
  objects.push(element('routed', quoted(bridge)));
  for (const family of new Set(network.subnets.map(({ prefix }) => prefix.address.family))) {
    const rule = { kind: 'rule', family, priority: RULE_PRIORITY, table: routingTable(domain) } as const;
    objects.push({ ...rule, inputLink: bridge }, { ...rule, mark: shown });
    // Whether an address may come from here is looked up in the main table, which may lead to another tenant's bridge first: that there
    // is a way at all must do (__fib_validate_source, net/ipv4/fib_frontend.c).
    if (family === 4) objects.push({ kind: 'sysctl', path: `net/ipv4/conf/${bridge}/rp_filter`, value: '2' });
  }
  return objects;
}

/**
 * The way to a subnet: in the main table, and in that of its tenant. In the main table it is what the host itself goes by, and how it is
 * known that there is a way before a packet has a mark; where tenants have the same subnet, one comes first.
 */
export function connectedRoutes(network: Network, destination: Prefix, source: Address | undefined): KernelObject[] {
  const { bridge, domain, cluster } = settingsOf(network);
  const from = source === undefined ? {} : { source };
  const route = { kind: 'route', destination, link: bridge, scope: 'link', ...from } as const;
  if (domain === undefined) return [route];
  return [
    { ...route, metric: mainMetric(cluster!) },
    { ...route, table: routingTable(domain) },
  ];
}

/** Different for each network of the cluster, and the same on all hosts; greater than any that the kernel chooses itself. */
const mainMetric = ({ encapsulation, tag }: Membership): number => METRIC[encapsulation] + tag;

const quoted = (link: string): string => `"${link}"`;

function element(set: string, key: string, value?: string): NftElement {
  const object = { kind: 'nft-element', family: TABLE.family, table: TABLE.name, set, element: key } as const;
  return value === undefined ? object : { ...object, value };
}
