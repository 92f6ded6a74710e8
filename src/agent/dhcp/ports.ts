/** Ports for DHCP: one per link, whoever has an exchange there, and kept a moment for the next. */

import type { Port } from '../../dhcp/dialogue.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { Hearing, PacketPort } from '../../kernel/packets.ts';

export interface LinkPort extends Port {
  /** Resolves when what was sent before has left this process: a crash cannot take it back. */
  flushed(): Promise<void>;
}

export interface Where {
  readonly link: string;
  /** Absent: our own. */
  readonly netns?: string;
  /** Absent: `dhcp4`. With `dhcp6` come neighbour solicitations: servers ask whom they are to answer. */
  readonly hears?: Extract<Hearing, 'dhcp4' | 'dhcp6' | 'router-advertisements'>;
}

export interface Ports {
  /**
   * Opens a port for as long as the work takes.
   *
   * @throws BerthError as `Kernel.packets`, and what the work throws.
   */
  use<Result>(where: Where, work: (port: LinkPort) => Promise<Result>): Promise<Result>;
  close(): void;
}

interface Shared {
  readonly opened: Promise<PacketPort>;
  readonly listeners: Set<(frame: Uint8Array) => void>;
  users: number;
  timer?: NodeJS.Timeout;
}

/** Containers come in bursts. Milliseconds. */
const LINGER = 3000;

export function createPorts(kernel: Pick<Kernel, 'packets'>): Ports {
  const ports = new Map<string, Shared>();

  function open({ link, netns, hears = 'dhcp4' }: Where, key: string): Shared {
    const listeners = new Set<(frame: Uint8Array) => void>();
    // Servers that do not heed the broadcast flag answer to the MAC of a container that is not there yet.
    const promiscuous = netns === undefined;
    const opened = kernel
      .packets({
        link,
        ...(netns === undefined ? {} : { netns }),
        hears: hears === 'dhcp6' ? [hears, 'neighbours'] : [hears],
        promiscuous,
      })
      .then((port) => {
        port.onFrame((frame) => {
          for (const listener of listeners) listener(frame);
        });
        port.onEnded(() => {
          if (ports.get(key) === shared) ports.delete(key);
        });
        return port;
      });
    const shared: Shared = { opened, listeners, users: 0 };
    opened.catch(() => {
      if (ports.get(key) === shared) ports.delete(key);
    });
    ports.set(key, shared);
    return shared;
  }

  function shut(key: string, shared: Shared): void {
    if (ports.get(key) === shared) ports.delete(key);
    shared.opened.then(
      (port) => port.close(),
      () => undefined,
    );
  }

  return {
    async use(where, work) {
      const key = `${where.netns ?? ''} ${where.link} ${where.hears ?? ''}`;
      const shared = ports.get(key) ?? open(where, key);
      clearTimeout(shared.timer);
      shared.users += 1;
      try {
        const opened = await shared.opened;
        return await work({
          send: (frame) => opened.send(frame),
          flushed: () => opened.flushed(),
          onFrame(listener) {
            shared.listeners.add(listener);
            return () => shared.listeners.delete(listener);
          },
        });
      } finally {
        shared.users -= 1;
        if (shared.users === 0) {
          // One in a container would keep its namespace alive.
          if (where.netns !== undefined) shut(key, shared);
          else {
            shared.timer = setTimeout(() => shut(key, shared), LINGER);
            shared.timer.unref();
          }
        }
      }
    },

    close() {
      for (const [key, shared] of ports) {
        clearTimeout(shared.timer);
        shut(key, shared);
      }
    },
  };
}
