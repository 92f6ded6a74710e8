/** Lists of VLANs as people write them: `10,20,30-40`. */

/** VLAN numbers have 12 bits; Open vSwitch's trunks take 0 (untagged) and 4095 too (ovs-vswitchd.conf.db(5)). */
const GREATEST = 4095;

/** In order, each once; undefined when it is not such a list. */
export function parseVlans(text: string): readonly number[] | undefined {
  const found = new Set<number>();
  for (const item of text.split(',')) {
    const [, first, last = first] = /^\s*([0-9]{1,4})(?:-([0-9]{1,4}))?\s*$/.exec(item) ?? [];
    if (first === undefined || Number(last) > GREATEST || Number(first) > Number(last)) return undefined;
    for (let vlan = Number(first); vlan <= Number(last); vlan++) found.add(vlan);
  }
  return [...found].toSorted((a, b) => a - b);
}

/** @param vlans in order. */
export function formatVlans(vlans: readonly number[]): string {
  const runs: [first: number, last: number][] = [];
  for (const vlan of vlans) {
    const run = runs.at(-1);
    if (run !== undefined && run[1] + 1 === vlan) run[1] = vlan;
    else runs.push([vlan, vlan]);
  }
  return runs.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
}
