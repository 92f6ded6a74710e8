import { type Check, ok, warn } from '../check.ts';

/** rp_filter: 0 off, 1 strict, 2 loose; of `all` and the interface the larger one counts (ip-sysctl.txt). */
export const reversePath: Check = {
  name: 'reverse path',
  look({ sysctls }) {
    const values = [sysctls['net/ipv4/conf/all/rp_filter'], sysctls['net/ipv4/conf/default/rp_filter']];
    if (values.includes(undefined)) return [];
    if (Math.max(...values.map(Number)) !== 1) return [ok('containers on several networks may answer on another one')];
    return [
      warn(
        'rp_filter is strict, and containers inherit it: one on two networks drops what it would answer over the other',
        'sysctl -w net.ipv4.conf.all.rp_filter=2',
      ),
    ];
  },
};
