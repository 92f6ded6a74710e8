/** One thing at a time for each name. */

export interface Locks {
  /** Runs the work once all earlier work under any of these names is done, and no sooner. */
  run<T>(names: readonly string[], work: () => Promise<T>): Promise<T>;
}

export function createLocks(): Locks {
  const tails = new Map<string, Promise<void>>();
  return {
    async run(names, work) {
      const { promise, resolve } = Promise.withResolvers<void>();
      // All places in all queues are taken in one go, so no two can wait for each other.
      const before = names.flatMap((name) => tails.get(name) ?? []);
      for (const name of names) tails.set(name, promise);
      try {
        await Promise.all(before);
        return await work();
      } finally {
        resolve();
        for (const name of names) if (tails.get(name) === promise) tails.delete(name);
      }
    },
  };
}
