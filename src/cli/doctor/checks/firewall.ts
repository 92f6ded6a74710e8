import { type Check, type Finding, orOk, warn } from '../check.ts';
import { berthNetworks, type Facts, type ForwardChain } from '../facts.ts';

/** Bridges of virtual networks all begin so (fabric/cluster). */
const bridges = 'bt+';

/** Firewalls of the host that would drop what containers send through it. */
export const firewall: Check = {
  name: 'firewall',
  look(facts) {
    const findings = [
      ...(facts.forward ?? []).flatMap((chain) => iptables(chain, facts)),
      ...facts.droppingChains.flatMap(({ family, table, chain, accepts }) => {
        const missing = ['iifname', 'oifname'].filter((direction) => !accepts.includes(`${direction} bt*`));
        if (missing.length === 0) return [];
        const rules = missing.map((direction) => `insert rule ${family} ${table} ${chain} ${direction} "bt*" accept`);
        return [
          warn(
            `the nftables chain ${family} ${table} ${chain} drops forwarded packets unless its own rules accept them`,
            `nft '${rules.join('; ')}'`,
          ),
        ];
      }),
      ...firewalld(facts),
      ...ufw(facts),
    ];
    // That all is well can only be said of rules that were seen.
    return facts.forward === undefined ? findings : orOk(findings, 'nothing drops what containers forward');
  },
};

function program(family: 4 | 6): string {
  return family === 4 ? 'iptables' : 'ip6tables';
}

function usesFamily(facts: Facts, family: 4 | 6): boolean {
  return berthNetworks(facts).some(({ subnets }) => subnets.some((subnet) => subnet.includes(':') === (family === 6)));
}

/** Docker sets the policy of FORWARD to drop. Berth's rules stand in DOCKER-USER, which Docker keeps for others. */
function iptables({ family, policy, hasDockerUser, accepts }: ForwardChain, facts: Facts): Finding[] {
  if (policy !== 'DROP' || !usesFamily(facts, family)) return [];
  const directions = ['-i', '-o'];
  if (directions.every((direction) => accepts.includes(`${direction} ${bridges}`))) return [];
  if (!hasDockerUser) {
    const rules = directions.map((direction) => `${program(family)} -I FORWARD ${direction} ${bridges} -j ACCEPT`);
    return [
      warn(
        `${program(family)} drops forwarded packets, and Docker’s chain for exceptions, DOCKER-USER, is missing`,
        rules.join(' && '),
      ),
    ];
  }
  if (!attached(facts, family)) return [];
  return [
    warn(
      `${program(family)} drops forwarded packets, and Berth’s exceptions in DOCKER-USER are missing`,
      'berth audit --repair',
    ),
  ];
}

/** Whether a virtual network with that family has containers now: only then Berth's exceptions exist. */
function attached(facts: Facts, family: 4 | 6): boolean {
  if (!('networks' in facts.agent)) return false;
  return facts.agent.networks.some(
    ({ fabric, internal, endpoints, subnets }) =>
      fabric === 'cluster' &&
      !internal &&
      endpoints > 0 &&
      subnets.some(({ subnet }) => subnet.includes(':') === (family === 6)),
  );
}

function firewalld(facts: Facts): Finding[] {
  if (!facts.firewalld) return [];
  const sources = [...new Set(berthNetworks(facts).flatMap(({ subnets }) => subnets))];
  if (sources.length === 0) return [];
  const given = sources.map((source) => `--add-source=${source}`).join(' ');
  return [
    warn(
      'firewalld is active and rejects forwarded packets of networks that are in none of its zones',
      `firewall-cmd --permanent --zone=trusted ${given} && firewall-cmd --reload`,
    ),
  ];
}

function ufw(facts: Facts): Finding[] {
  const chain = facts.forward?.find(({ family }) => family === 4);
  if (!facts.ufw || chain?.policy !== 'DROP' || chain.hasDockerUser) return [];
  return [warn('ufw is active and denies forwarded packets', 'ufw default allow routed')];
}
