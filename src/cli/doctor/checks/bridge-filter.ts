import { type Check, orOk, warn } from '../check.ts';
import type { ForwardChain } from '../facts.ts';

const families = [
  { family: 4, path: 'net/bridge/bridge-nf-call-iptables' },
  { family: 6, path: 'net/bridge/bridge-nf-call-ip6tables' },
] as const;

/** With br_netfilter on, packets that only cross the LAN bridge meet the FORWARD chain too, whose policy Docker sets to drop. */
export const bridgeFilter: Check = {
  name: 'bridge filter',
  look(facts) {
    const lans = 'networks' in facts.agent ? facts.agent.networks.filter(({ fabric }) => fabric === 'lan') : [];
    if (lans.length === 0 || facts.forward === undefined) return [];
    const findings = families.flatMap(({ family, path }) => {
      const chain = facts.forward?.find((candidate) => candidate.family === family);
      if (facts.sysctls[path] !== '1' || chain?.policy !== 'DROP') return [];
      const dropped = lans.filter(({ endpoints, objects }) => endpoints > 0 && !accepted(chain, objects));
      if (dropped.length === 0) return [];
      const names = dropped.map(({ name, id }) => name ?? id.slice(0, 12)).join(', ');
      return [
        warn(
          `IPv${family} packets that cross the bridge of ${names} are dropped by the host’s own firewall`,
          `sysctl -w ${path.replaceAll('/', '.')}=0`,
        ),
      ];
    });
    return orOk(findings, 'packets that only cross a LAN bridge pass');
  },
};

/** Whether Berth's exception for the bridge of a network stands; the network's objects name it. */
function accepted({ accepts }: ForwardChain, objects: readonly string[]): boolean {
  const bridges = accepts
    .filter((rule) => rule.startsWith('-i '))
    .map((rule) => rule.slice('-i '.length).split(' ')[0]!);
  return bridges.some((bridge) => objects.some((object) => object.split(/[^\w.-]+/).includes(bridge)));
}
