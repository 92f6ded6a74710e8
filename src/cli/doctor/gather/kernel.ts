/** What the kernel can do, found out by doing it in a network namespace that goes with the probe. */

import { release } from 'node:os';
import { type Facts, type KernelFeature, kernelFeatures } from '../facts.ts';
import { run } from './run.ts';

/** Prints `FEATURE<tab>ok` or `FEATURE<tab>what was said`, a line each. A program that is missing says nothing about the kernel. */
const probe = `
try() {
  feature=$1; shift
  command -v "$1" >/dev/null || return 0
  if said=$("$@" 2>&1 </dev/null); then said=ok; fi
  printf '%s\\t%s\\n' "$feature" "$(printf %s "$said" | head -n 1)"
}
try veth ip link add probe0 type veth peer name probe1
try bridge ip link add probe2 type bridge
try vxlan ip link add probe3 type vxlan id 1 dstport 4789
try macvlan ip link add link probe0 name probe4 type macvlan mode bridge
try ipvlan ip link add link probe1 name probe5 type ipvlan mode l2
try 8021q ip link add link probe1 name probe6 type vlan id 2
try ifb ip link add probe7 type ifb
try nf_tables nft add table inet probe
`;

export async function gatherKernel(): Promise<Facts['kernel']> {
  const [printed, libraries] = await Promise.all([run('unshare', '-n', 'sh', '-c', probe), run('ldconfig', '-p')]);
  const lacks = printed === undefined ? undefined : parseProbe(printed);
  return {
    release: release(),
    // Where the list cannot be read, the agent itself says what it misses.
    hasLibnftables: libraries === undefined || libraries.includes('libnftables.so.1'),
    ...(lacks === undefined ? {} : { lacks }),
  };
}

/** What the probe printed, as the features that are missing; undefined when nothing could be tried. */
export function parseProbe(printed: string): Partial<Record<KernelFeature, string>> | undefined {
  const lacks: Partial<Record<KernelFeature, string>> = {};
  const lines = printed.split('\n').filter((line) => line !== '');
  for (const line of lines) {
    const [name, said = ''] = line.split('\t');
    const feature = kernelFeatures.find((candidate) => candidate === name);
    if (feature !== undefined && said !== 'ok') lacks[feature] = said.replace(/^(RTNETLINK answers|Error): /, '');
  }
  return lines.length === 0 ? undefined : lacks;
}
