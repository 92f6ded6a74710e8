/** Work that nobody waits for. */

import { asBerthError } from '../model/errors.ts';
import type { Events } from './events.ts';

export interface Background {
  /**
   * Starts it now; when it fails, that is told, and `repeatFailed` starts it again. It must be safe to repeat.
   *
   * @param what the sentence that begins the message, such as "cannot remove …"; also what it is known by.
   * @returns resolves when it has ended, well or not, for those who want to wait all the same.
   */
  later(what: string, work: () => Promise<void>): Promise<void>;
  repeatFailed(): void;
  /** Resolves when nothing is under way. */
  settled(): Promise<void>;
}

export function createBackground(events: Events): Background {
  const underWay = new Set<Promise<void>>();
  const failed = new Map<string, () => Promise<void>>();

  function later(what: string, work: () => Promise<void>): Promise<void> {
    const guarded = work().catch((error: unknown) => {
      failed.set(what, work);
      events.emit('background.failed', `${what}: ${asBerthError(error).message}; the next audit tries again`);
    });
    underWay.add(guarded);
    void guarded.then(() => underWay.delete(guarded));
    return guarded;
  }

  return {
    later,
    repeatFailed() {
      const again = [...failed];
      failed.clear();
      for (const [what, work] of again) void later(what, work);
    },
    async settled() {
      while (underWay.size > 0) await Promise.all(underWay);
    },
  };
}
