/** VLANs of an interface (IEEE 802.1Q) as kernel objects. */

import type { KernelObject } from '../kernel/objects.ts';
import { linkName } from '../model/ids.ts';

/** The link on which the frames with a tag come and go. */
export interface VlanOf {
  readonly id: number;
  /** Whose VLAN it is. */
  readonly base: string;
}

/** Of IFNAMSIZ one byte is for the end of the string. */
const LONGEST_NAME = 15;

/** Named as everybody names them, as far as the kernel takes such a name. */
export function vlanLink({ id, base }: VlanOf): string {
  const name = `${base}.${id}`;
  return name.length <= LONGEST_NAME ? name : linkName('bl', name);
}

/**
 * @param alias by which it is known from the administrator's; absent: it is the administrator's, and stays.
 * @param master the bridge that it is a port of.
 */
export function vlanObjects(vlan: VlanOf, alias: string | undefined, master?: string): readonly KernelObject[] {
  const common = { kind: 'link', name: vlanLink(vlan), up: true, ...(master === undefined ? {} : { master }) } as const;
  if (alias === undefined) return [{ ...common, type: 'adopted' }];
  return [{ ...common, type: 'vlan', parent: vlan.base, vlan: vlan.id, alias }];
}
