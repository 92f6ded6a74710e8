/** What could not be done yet, why, and when it is tried again: for as long as it is wanted. */

export interface Retries {
  /** Whether it is to be tried now. */
  due(key: string): boolean;
  /** @returns whether that had not been said of it before. */
  failed(key: string, sentence: string): boolean;
  done(key: string): void;
  /** Forgets all but these. */
  keep(keys: ReadonlySet<string>): void;
  /** All of it is tried at the next opportunity: what was in the way may be gone. */
  hurry(): void;
  /** Milliseconds until the next is due; undefined when nothing waits. */
  wait(): number | undefined;
  /** A sentence for each. */
  sentences(): readonly string[];
}

const FIRST = 1000;
const MOST = 60_000;

/** @param now milliseconds of a clock that nobody sets. */
export function createRetries(now: () => number): Retries {
  const waiting = new Map<string, { sentence: string; wait: number; due: number }>();
  return {
    due: (key) => (waiting.get(key)?.due ?? 0) <= now(),
    failed(key, sentence) {
      const before = waiting.get(key);
      const wait = before === undefined ? FIRST : Math.min(before.wait * 2, MOST);
      waiting.set(key, { sentence, wait, due: now() + wait });
      return before?.sentence !== sentence;
    },
    done: (key) => void waiting.delete(key),
    keep(keys) {
      for (const key of waiting.keys()) if (!keys.has(key)) waiting.delete(key);
    },
    hurry() {
      for (const [key, one] of waiting) waiting.set(key, { ...one, due: 0 });
    },
    wait() {
      if (waiting.size === 0) return undefined;
      return Math.max(0, Math.min(...[...waiting.values()].map(({ due }) => due)) - now());
    },
    sentences: () => [...waiting.values()].map(({ sentence }) => sentence),
  };
}
