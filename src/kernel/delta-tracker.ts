/**
 * What is wanted, what is there, and the difference between the two, kept up to date with every change to either side.
 *
 *            wanted                        there
 *        ┌─────────────────────┬──────────────────────┬───────────────────────┐
 *        │  pending updates:   │   wanted and there,  │  pending deletions:   │
 *        │  absent, or not as  │   as it should be:   │  was wanted, and may  │
 *        │  it should be       │   nothing to do      │  still be there       │
 *        └─────────────────────┴──────────────────────┴───────────────────────┘
 *
 * Pure bookkeeping, without I/O: whoever owns one looks at what is pending, does it, and says what came of it. The model is
 * Felix's `deltatracker` (projectcalico/calico), with owners added: a key stays wanted while any owner wants it.
 */

interface Entry<Owner, Value> {
  readonly owner: Owner;
  readonly value: Value;
}

/** Something that was wanted: what it was, and the last owner who wanted it. */
export interface Deletion<Owner, Value> extends Entry<Owner, Value> {}

export class DeltaTracker<Key, Value, Owner = string> {
  readonly #satisfies: (wanted: Value, found: Value) => boolean;
  /** Who wants each key, in the order in which they came to want it as it is now: the last one decides. */
  readonly #wanted = new Map<Key, Entry<Owner, Value>[]>();
  readonly #byOwner = new Map<Owner, Map<Key, Value>>();
  /** What is known to be there. A key that is not in it is absent or unknown: both mean that it must be made. */
  readonly #found = new Map<Key, Value>();
  readonly #updates = new Map<Key, Value>();
  readonly #deletions = new Map<Key, Deletion<Owner, Value>>();

  /** @param satisfies whether what was found is as it was wanted; what is not wanted is not compared. */
  constructor(satisfies: (wanted: Value, found: Value) => boolean) {
    this.#satisfies = satisfies;
  }

  /** Wanted, and absent or different. */
  get pendingUpdates(): ReadonlyMap<Key, Value> {
    return this.#updates;
  }

  /** Not wanted any more, and perhaps still there. */
  get pendingDeletions(): ReadonlyMap<Key, Deletion<Owner, Value>> {
    return this.#deletions;
  }

  /** Replaces what an owner wants. Nothing at all forgets the owner. */
  declare(owner: Owner, values: ReadonlyMap<Key, Value>): void {
    const before = this.#byOwner.get(owner) ?? new Map<Key, Value>();
    if (values.size === 0) this.#byOwner.delete(owner);
    else this.#byOwner.set(owner, new Map(values));
    for (const [key, value] of before) if (!values.has(key)) this.#withdraw(owner, key, value);
    for (const [key, value] of values) this.#want(owner, key, value, before.get(key));
  }

  declaredBy(owner: Owner): ReadonlyMap<Key, Value> {
    return this.#byOwner.get(owner) ?? new Map<Key, Value>();
  }

  owners(key: Key): readonly Owner[] {
    return (this.#wanted.get(key) ?? []).map((entry) => entry.owner);
  }

  /** As the last owner to change its mind wants it. */
  wanted(key: Key): Value | undefined {
    return this.#wanted.get(key)?.at(-1)?.value;
  }

  wantedKeys(): IterableIterator<Key> {
    return this.#wanted.keys();
  }

  found(key: Key): Value | undefined {
    return this.#found.get(key);
  }

  /** Something that an owner may have left behind, in an earlier life. Does nothing while anyone wants it. */
  condemn(owner: Owner, key: Key, value: Value): void {
    if (!this.#wanted.has(key)) this.#deletions.set(key, { owner, value });
  }

  /** It has been made, or seen, to be so. */
  made(key: Key, value: Value): void {
    this.#found.set(key, value);
    this.#settle(key);
  }

  /** It has been deleted, or seen not to be there. */
  gone(key: Key): void {
    this.#found.delete(key);
    this.#deletions.delete(key);
    this.#settle(key);
  }

  /** Nobody knows any more: an operation on it failed half way. It counts as absent until it is made or seen. */
  doubt(key: Key): void {
    this.#found.delete(key);
    this.#settle(key);
  }

  /** Takes over a dump: of all the keys that were looked for, exactly those in `found` are there. */
  resync(looked: Iterable<Key>, found: ReadonlyMap<Key, Value>): void {
    for (const key of looked) {
      const value = found.get(key);
      if (value === undefined) this.gone(key);
      else this.made(key, value);
    }
  }

  #want(owner: Owner, key: Key, value: Value, before: Value | undefined): void {
    const entries = this.#wanted.get(key);
    if (entries === undefined) {
      this.#wanted.set(key, [{ owner, value }]);
    } else if (before === undefined || !this.#same(before, value)) {
      // Only a change of mind moves an owner to the end: two owners who repeat themselves must not take turns.
      this.#drop(entries, owner);
      entries.push({ owner, value });
    }
    this.#settle(key);
  }

  #withdraw(owner: Owner, key: Key, value: Value): void {
    const entries = this.#wanted.get(key)!;
    this.#drop(entries, owner);
    if (entries.length === 0) {
      this.#wanted.delete(key);
      this.#deletions.set(key, { owner, value });
    }
    this.#settle(key);
  }

  #drop(entries: Entry<Owner, Value>[], owner: Owner): void {
    const at = entries.findIndex((entry) => entry.owner === owner);
    if (at >= 0) entries.splice(at, 1);
  }

  #same(a: Value, b: Value): boolean {
    return a === b || (this.#satisfies(a, b) && this.#satisfies(b, a));
  }

  #settle(key: Key): void {
    const wanted = this.wanted(key);
    if (wanted === undefined) {
      this.#updates.delete(key);
      // What nobody wants and nobody has to delete is none of our business, and must not be remembered for ever.
      if (!this.#deletions.has(key)) this.#found.delete(key);
      return;
    }
    this.#deletions.delete(key);
    const found = this.#found.get(key);
    if (found !== undefined && this.#satisfies(wanted, found)) this.#updates.delete(key);
    else this.#updates.set(key, wanted);
  }
}
