import { type Finding, orOk, warn } from '../../check.ts';
import type { NeutronCheck } from '../checks.ts';
import { type NeutronFacts, type NeutronLink, type NeutronNetworkFacts, portAgents } from '../facts.ts';

/**
 * What tunnels add, without the outer IP header: VXLAN 8 + UDP 8 + Ethernet 14; GRE 8 + Ethernet 14; Geneve 8 + UDP 8 + Ethernet 14,
 * and its options (neutron_lib.constants, *_ENCAP_*OVERHEAD).
 */
const OVERHEAD: Readonly<Record<string, number>> = { vxlan: 30, gre: 22, geneve: 30 };
const HEADER = { 4: 20, 6: 40 } as const;

/** What a network carries fits into what is beneath it here, and what containers send into what it carries. */
export const mtu: NeutronCheck = {
  name: 'MTU',
  look(facts): readonly Finding[] {
    const { networks: told } = facts;
    if (told === undefined || 'error' in told) return [];
    const findings = told.value.flatMap((on) => [...beneath(on, facts), ...within(on)]);
    return orOk(findings, 'no network is larger than what is beneath it');
  },
};

function within({ name, mtu: own, network }: NeutronNetworkFacts): readonly Finding[] {
  const carried = network?.mtu;
  if (own === undefined || carried === undefined || own <= carried) return [];
  return [
    warn(
      `containers on ${name} send packets of ${own} bytes, and Neutron's network carries ${carried} by now`,
      `docker network rm ${name}, and create it again`,
    ),
  ];
}

function beneath({ name, network }: NeutronNetworkFacts, facts: NeutronFacts): readonly Finding[] {
  const size = network?.mtu;
  const under = linkUnder(network, facts);
  if (network === undefined || size === undefined || under === undefined) return [];
  const { link, added } = under;
  if (size + added <= link.mtu) return [];
  const why = added === 0 ? `${size} bytes` : `${size} bytes and ${added} of ${network['provider:network_type']}`;
  return [
    warn(
      `the network ${name} has packets of ${why}, and ${link.name} carries ${link.mtu}: large ones are lost`,
      `openstack network set --mtu ${link.mtu - added} ${network.id}`,
    ),
  ];
}

/** The link that packets of this network leave this host by, as far as Neutron tells that. */
function linkUnder(
  network: NeutronNetworkFacts['network'],
  { agents, host, links, uplink }: NeutronFacts,
): { readonly link: NeutronLink; readonly added: number } | undefined {
  const byName = (name: unknown) => links.find((link) => link.name === name);
  const kind = network?.['provider:network_type'];
  const here =
    agents !== undefined && 'value' in agents ? portAgents(agents.value).filter((one) => one.host === host) : [];
  const configured = here.map(({ configurations = {} }) => configurations);
  const added = kind === undefined ? undefined : OVERHEAD[kind];
  if (added !== undefined) {
    const end = configured.map(({ tunneling_ip }) => tunneling_ip).find((ip) => typeof ip === 'string' && ip !== '') as
      | string
      | undefined;
    const link = end === undefined ? byName(uplink) : links.find(({ addresses }) => addresses.includes(end));
    return link && { link, added: added + HEADER[end?.includes(':') === true ? 6 : 4] };
  }
  const physical = network?.['provider:physical_network'];
  // Not told to everybody: then it is at least not larger than the way out.
  if (kind === undefined || physical === undefined) return asUplink(byName(uplink));
  const mapped = configured.map(
    ({ interface_mappings, bridge_mappings }) =>
      (interface_mappings as Record<string, unknown> | undefined)?.[physical] ??
      (bridge_mappings as Record<string, unknown> | undefined)?.[physical],
  );
  return asUplink(mapped.map(byName).find((link) => link !== undefined));
}

const asUplink = (link: NeutronLink | undefined) => link && { link, added: 0 };
