import { type Check, orOk, warn } from '../check.ts';
import { berthNetworks } from '../facts.ts';

/** Without forwarding nothing leaves a routed network. The agent turns it on with the first container; others may turn it off. */
export const forwarding: Check = {
  name: 'forwarding',
  look(facts) {
    const routed =
      'networks' in facts.agent
        ? facts.agent.networks.filter(
            ({ fabric, internal, endpoints }) => fabric !== 'lan' && !internal && endpoints > 0,
          )
        : [];
    const families = [
      { name: 'IPv4', sign: '.', path: 'net/ipv4/ip_forward' },
      { name: 'IPv6', sign: ':', path: 'net/ipv6/conf/all/forwarding' },
    ];
    const findings = families.flatMap(({ name, sign, path }) => {
      const needed = routed.some(({ subnets }) => subnets.some(({ subnet }) => subnet.includes(sign)));
      const value = facts.sysctls[path];
      if (!needed || value === undefined || value === '1') return [];
      const key = path.replaceAll('/', '.');
      return [warn(`this host does not forward ${name}, so containers reach nothing outside`, `sysctl -w ${key}=1`)];
    });
    const count = berthNetworks(facts).length;
    return orOk(findings, count === 0 ? 'no network needs it yet' : 'on where a network needs it');
  },
};
