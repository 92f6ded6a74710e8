/**
 * In which order the requests that wait for the kernel thread are sent to it. Pure.
 *
 * First come, first served, with two exceptions. Removals that wait are joined into one, since deleting a hundred links at
 * once takes as long as deleting three. And what came while a removal ran goes before the next removal, so that a container
 * that starts never waits for more than one of those. No request overtakes an earlier one of the same owner.
 */

export interface Waiting {
  /** Rises with each request. */
  readonly number: number;
  /** `barrier`: neither overtakes nor is overtaken. */
  readonly type: 'remove' | 'barrier' | 'other';
  readonly owner?: string;
}

/** So many removals at most are joined: a hundred links take 46 ms. */
const JOINED = 128;

/**
 * The requests to be sent next, together: one, or several removals.
 *
 * @param waiting in the order in which they came.
 * @param favoured the last number that had been given when the last removal ended.
 */
export function chooseNext<T extends Waiting>(waiting: readonly T[], favoured: number): T[] {
  const first = waiting[0];
  if (first?.type !== 'remove') return first === undefined ? [] : [first];
  const blocked = new Set<string>();
  const removals: T[] = [];
  for (const request of waiting) {
    if (request.type === 'barrier') break;
    const held = request.owner !== undefined && blocked.has(request.owner);
    if (request.type === 'remove') {
      if (!held && removals.length < JOINED) removals.push(request);
    } else if (!held && request.number <= favoured && !removals.some((removal) => removal.owner === request.owner)) {
      return [request];
    }
    if (request.owner !== undefined && (request.type !== 'remove' || held)) blocked.add(request.owner);
  }
  return removals;
}
