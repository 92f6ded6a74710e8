/** The host as of now, kept current by kernel events, so that a plugin call need not ask the kernel. */

import type { HostView, Kernel } from '../kernel/kernel.ts';

export interface HostFacts {
  current(): HostView;
  /** Reads the kernel again now. */
  refresh(): Promise<HostView>;
  onChange(listener: (view: HostView) => void): void;
}

/** @throws BerthError KERNEL_BUSY when the kernel cannot be read at all. */
export async function watchHost(kernel: Kernel): Promise<HostFacts> {
  let view = await kernel.view();
  const listeners: ((view: HostView) => void)[] = [];
  let reading: Promise<HostView> | undefined;
  const refresh = (): Promise<HostView> => {
    reading ??= kernel
      .view()
      .then((fresh) => {
        view = fresh;
        for (const listener of listeners) listener(fresh);
        return fresh;
      })
      .finally(() => {
        reading = undefined;
      });
    return reading;
  };
  kernel.onChange(() => {
    // A failed read leaves the last view; the next change or full pass reads again.
    refresh().catch(() => undefined);
  });
  return { current: () => view, refresh, onChange: (listener) => listeners.push(listener) };
}
