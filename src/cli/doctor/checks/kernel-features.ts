import { type Check, fail, ok, warn } from '../check.ts';
import { type KernelFeature, kernelFeatures } from '../facts.ts';

/** Without these there is no network of any kind. */
const required: readonly KernelFeature[] = ['veth', 'bridge', 'nf_tables'];

/** What the kernel can do: tried out, not read from its configuration, because modules load on demand. */
export const kernelFeature: Check = {
  name: 'kernel',
  look({ kernel: { release, lacks, hasLibnftables }, isRoot }) {
    if (!hasLibnftables) {
      return [
        fail('libnftables.so.1 is missing, which sets the rules of the packet filter', 'apt-get install libnftables1'),
      ];
    }
    if (lacks === undefined) {
      const fix = isRoot ? 'apt-get install iproute2 util-linux nftables' : 'sudo berth doctor';
      return [warn('what the kernel can do could not be tried out', fix)];
    }
    const missing = kernelFeatures.filter((feature) => lacks[feature] !== undefined);
    const fatal = missing.filter((feature) => required.includes(feature));
    if (fatal.length > 0) {
      return fatal.map((feature) =>
        fail(`Linux ${release} has no ${feature}: ${lacks[feature] ?? 'refused'}`, `modprobe ${feature}`),
      );
    }
    const rest = missing.length === 0 ? '' : `; without ${missing.join(', ')}, which networks of one host do not need`;
    return [
      ok(`Linux ${release} has ${kernelFeatures.filter((feature) => !missing.includes(feature)).join(', ')}${rest}`),
    ];
  },
};
