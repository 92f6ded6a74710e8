/** Which addresses of a subnet are taken, as sorted intervals: a full /16 is one of them, an empty IPv6 /64 none. */

/**
 * Intervals in a chunk, at most. Inserting into one long array moves everything behind the place; in chunks it moves this
 * many at most, so an allocation among 50,000 scattered leases costs as much as among 10.
 */
const CHUNK = 64;

/** Intervals `starts[i]`..`ends[i]`, inclusive, ascending, and never touching one another. */
interface Chunk {
  readonly starts: bigint[];
  readonly ends: bigint[];
}

/** The index of the last of the sorted values that is not above `value`, -1 when there is none. */
function lastUpTo(count: number, at: (index: number) => bigint, value: bigint): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (at(middle) <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** A set of addresses, as numbers. All operations take O(log n) of the number of gaps, whatever the size of the subnet. */
export class AddressSet {
  readonly #chunks: Chunk[] = [];
  #size = 0;

  /** How many addresses are in it. */
  get size(): number {
    return this.#size;
  }

  has(value: bigint): boolean {
    const [chunk, index] = this.#find(value);
    return chunk >= 0 && value <= this.#chunks[chunk]!.ends[index]!;
  }

  /** The lowest address that is not below `from` and not in the set. */
  firstFree(from: bigint): bigint {
    const [chunk, index] = this.#find(from);
    if (chunk < 0) return from;
    const end = this.#chunks[chunk]!.ends[index]!;
    return from <= end ? end + 1n : from;
  }

  /** @returns false when it was in the set already. */
  add(value: bigint): boolean {
    const [at, index] = this.#find(value);
    const before = this.#chunks[at];
    if (before !== undefined && value <= before.ends[index]!) return false;
    this.#size++;
    const touchesBefore = before !== undefined && before.ends[index] === value - 1n;
    const [nextAt, nextIndex] = this.#after(at, index);
    const next = this.#chunks[nextAt];
    const touchesNext = next !== undefined && next.starts[nextIndex] === value + 1n;
    if (touchesBefore && touchesNext) {
      before.ends[index] = next.ends[nextIndex]!;
      this.#remove(nextAt, nextIndex);
    } else if (touchesBefore) {
      before.ends[index] = value;
    } else if (touchesNext) {
      next.starts[nextIndex] = value;
    } else {
      this.#insert(at, index, value, value);
    }
    return true;
  }

  /** @returns false when it was not in the set. */
  delete(value: bigint): boolean {
    const [at, index] = this.#find(value);
    const chunk = this.#chunks[at];
    if (chunk === undefined || value > chunk.ends[index]!) return false;
    this.#size--;
    const start = chunk.starts[index]!;
    const end = chunk.ends[index]!;
    if (start === end) {
      this.#remove(at, index);
    } else if (value === start) {
      chunk.starts[index] = value + 1n;
    } else {
      chunk.ends[index] = value - 1n;
      if (value < end) this.#insert(at, index, value + 1n, end);
    }
    return true;
  }

  /** The intervals, first and last address of each, in order. */
  *intervals(): Generator<readonly [bigint, bigint]> {
    for (const { starts, ends } of this.#chunks) {
      for (const [index, start] of starts.entries()) yield [start, ends[index]!];
    }
  }

  /** Chunk and index of the last interval that does not begin above the value; -1 as the chunk when there is none. */
  #find(value: bigint): readonly [number, number] {
    const chunks = this.#chunks;
    const at = lastUpTo(chunks.length, (index) => chunks[index]!.starts[0]!, value);
    if (at < 0) return [-1, -1];
    const { starts } = chunks[at]!;
    return [at, lastUpTo(starts.length, (index) => starts[index]!, value)];
  }

  #after(at: number, index: number): readonly [number, number] {
    const chunk = this.#chunks[at];
    return chunk !== undefined && index + 1 < chunk.starts.length ? [at, index + 1] : [at + 1, 0];
  }

  #insert(at: number, index: number, start: bigint, end: bigint): void {
    const chunk = this.#chunks[Math.max(at, 0)];
    if (chunk === undefined) {
      this.#chunks.push({ starts: [start], ends: [end] });
      return;
    }
    chunk.starts.splice(index + 1, 0, start);
    chunk.ends.splice(index + 1, 0, end);
    if (chunk.starts.length <= CHUNK) return;
    const half = CHUNK / 2;
    this.#chunks.splice(Math.max(at, 0) + 1, 0, { starts: chunk.starts.splice(half), ends: chunk.ends.splice(half) });
  }

  #remove(at: number, index: number): void {
    const chunk = this.#chunks[at]!;
    chunk.starts.splice(index, 1);
    chunk.ends.splice(index, 1);
    if (chunk.starts.length === 0) this.#chunks.splice(at, 1);
  }
}
