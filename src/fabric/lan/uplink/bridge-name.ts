import { linkName } from '../../../model/ids.ts';

/** What a bridge made from a NIC is called unless the user says otherwise. */
export function bridgeName(parent: string): string {
  return parent.length <= 12 ? `br-${parent}` : linkName('br-', parent);
}
