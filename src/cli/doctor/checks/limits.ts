import { type Check, type Finding, orOk, warn } from '../check.ts';
import type { Facts } from '../facts.ts';

/** From this share on, a table is called nearly full. */
const high = 0.8;

/** Tables of the kernel that, once full, lose packets of everyone. */
export const limits: Check = {
  name: 'limits',
  look(facts) {
    return orOk([...conntrack(facts), ...neighbours(facts)], 'the connection and neighbour tables have room');
  },
};

function conntrack({ sysctls }: Facts): Finding[] {
  const most = Number(sysctls['net/netfilter/nf_conntrack_max']);
  const count = Number(sysctls['net/netfilter/nf_conntrack_count']);
  if (!(count >= most * high)) return [];
  return [
    warn(
      `${count} of at most ${most} connections are tracked; beyond, new ones are dropped`,
      `sysctl -w net.netfilter.nf_conntrack_max=${most * 2}`,
    ),
  ];
}

/** gc_thresh3 is the hard limit of the table, of all network namespaces together (arp(7)). */
function neighbours({ sysctls, neighbours: used }: Facts): Finding[] {
  const families = [
    { family: 'ipv4', count: used.v4 },
    { family: 'ipv6', count: used.v6 },
  ];
  return families.flatMap(({ family, count }) => {
    const most = Number(sysctls[`net/${family}/neigh/default/gc_thresh3`]);
    if (!(count >= most * high)) return [];
    return [
      warn(
        `${count} of at most ${most} neighbours are known in ${family}; beyond, hosts become unreachable`,
        `sysctl -w net.${family}.neigh.default.gc_thresh3=${most * 4}`,
      ),
    ];
  });
}
