/** The host as of now, kept current by kernel events, so that a plugin call need not ask the kernel. */

import type { HostView, Kernel } from '../kernel/kernel.ts';

export interface HostFacts {
  current(): HostView;
  /** Reads the kernel again now. */
  refresh(): Promise<HostView>;
  onChange(listener: (view: HostView) => void): void;
}

/**
 * Of the time at most one part in this many is spent on reading a host that keeps changing. Reading one with 10,000 links takes
 * 100 ms, in which no container can start; with a few links it takes less than one, and the changes are followed at once.
 */
const SHARE = 20;

/** @throws BerthError KERNEL_BUSY when the kernel cannot be read at all. */
export async function watchHost(kernel: Kernel): Promise<HostFacts> {
  let view = await kernel.view();
  let rested = 0;
  let soon: NodeJS.Timeout | undefined;
  const listeners: ((view: HostView) => void)[] = [];
  let reading: Promise<HostView> | undefined;
  const refresh = (): Promise<HostView> => {
    if (reading !== undefined) return reading;
    const began = performance.now();
    reading = kernel
      .view()
      .then((fresh) => {
        view = fresh;
        for (const listener of listeners) listener(fresh);
        return fresh;
      })
      .finally(() => {
        reading = undefined;
        const now = performance.now();
        rested = now + (now - began) * (SHARE - 1);
      });
    return reading;
  };
  kernel.onChange(() => {
    soon ??= setTimeout(
      () => {
        soon = undefined;
        // A failed read leaves the last view; the next change or full pass reads again.
        refresh().catch(() => undefined);
      },
      Math.max(0, rested - performance.now()),
    );
    soon.unref();
  });
  return { current: () => view, refresh, onChange: (listener) => listeners.push(listener) };
}
