/** VLAN ids and VXLAN VNIs: which there are, which are taken. */

import { refuse } from './kind.ts';

export type Encapsulation = 'vlan' | 'vxlan';

export interface TagRange {
  readonly least: number;
  readonly most: number;
}

/** VLANs 0 and 4095 are reserved (IEEE 802.1Q, table 9-2); a VNI has 24 bits (RFC 7348 §5). */
const MOST: Readonly<Record<Encapsulation, number>> = { vlan: 4094, vxlan: 0xffffff };

/**
 * The range `1-4094` in the global object.
 *
 * @throws BerthError OBJECT_INVALID
 */
export function parseTagRange(text: string, encap: Encapsulation): TagRange {
  const [least, most] = text.split('-').map(Number) as [number, number];
  if (least > most) refuse('OBJECT_INVALID', `invalid range ${text}, min is greater than max`);
  if (least < 1) refuse('OBJECT_INVALID', `invalid range ${text}, values less than 1`);
  // Contiv took 4095 and then never gave it out.
  if (encap === 'vlan' && most > 4095) {
    refuse('OBJECT_INVALID', `invalid range ${text}, vlan values exceed 4095 max allowed`);
  }
  if (most > MOST.vxlan)
    refuse('OBJECT_INVALID', `invalid range ${text}, vxlan values exceed ${MOST.vxlan} max allowed`);
  return { least, most: Math.min(most, MOST[encap]) };
}

/**
 * The requested tag, or the lowest that is free when `requested` is 0.
 *
 * @throws BerthError OBJECT_CONFLICT when it is taken or not in the range, TAGS_EXHAUSTED when none is free.
 */
export function allocateTag(
  encap: Encapsulation,
  { least, most }: TagRange,
  taken: ReadonlySet<number>,
  requested: number,
): number {
  if (requested !== 0) {
    const free = requested >= least && requested <= most && !taken.has(requested);
    if (free) return requested;
    if (encap === 'vlan') refuse('OBJECT_CONFLICT', `requested vlan not available - vlan:${requested}`);
    refuse('OBJECT_CONFLICT', requested < least ? 'requested vxlan is out of range' : 'requested vxlan not available');
  }
  for (let tag = least; tag <= most; tag++) if (!taken.has(tag)) return tag;
  return refuse('TAGS_EXHAUSTED', `no ${encap}s available`);
}
