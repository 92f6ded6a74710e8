/** Two that probe for the same name at the same time: who may have it (RFC 6762 §8.2). Pure. */

import type { ResourceRecord } from '../message.ts';
import { classOf } from './answers.ts';

/**
 * Compares two sets of records by class, type and data, as numbers and bytes.
 *
 * @returns less than zero when the first set loses, zero when they are the same.
 */
export function compareRecords(mine: readonly ResourceRecord[], theirs: readonly ResourceRecord[]): number {
  const [first, second] = [mine.toSorted(compare), theirs.toSorted(compare)];
  for (const [position, record] of first.entries()) {
    const other = second[position];
    if (other === undefined) return 1;
    const difference = compare(record, other);
    if (difference !== 0) return difference;
  }
  return first.length - second.length;
}

function compare(a: ResourceRecord, b: ResourceRecord): number {
  return classOf(a) - classOf(b) || a.type - b.type || Buffer.compare(a.data, b.data);
}
