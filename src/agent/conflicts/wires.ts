/** Ports on the links that lead to the LAN. Closing one holds up the kernel thread for a grace period, so they are kept a while. */

import type { Kernel } from '../../kernel/kernel.ts';
import type { PacketPort } from '../../kernel/packets.ts';

export interface Wires {
  /**
   * Works with a port on a link, which is opened when there is none.
   *
   * @throws BerthError as `Kernel.packets`
   */
  use<Result>(link: string, work: (port: PacketPort) => Promise<Result>): Promise<Result>;
  close(): void;
}

interface Wire {
  readonly port: Promise<PacketPort>;
  users: number;
  idle?: NodeJS.Timeout;
}

/** @param kept how long a port outlives its last use. Milliseconds. */
export function createWires(kernel: Kernel, kept = 20_000): Wires {
  const wires = new Map<string, Wire>();

  function open(link: string): Wire {
    const port = kernel.packets({ link, hears: ['arp', 'neighbours'] });
    const wire: Wire = { port, users: 0 };
    const forget = (): void => {
      clearTimeout(wire.idle);
      if (wires.get(link) === wire) wires.delete(link);
    };
    wires.set(link, wire);
    port.then((opened) => opened.onEnded(forget), forget);
    return wire;
  }

  function release(link: string, wire: Wire): void {
    wire.users -= 1;
    if (wire.users > 0 || wires.get(link) !== wire) return;
    wire.idle = setTimeout(() => end(link, wire), kept);
    wire.idle.unref();
  }

  function end(link: string, wire: Wire): void {
    clearTimeout(wire.idle);
    wires.delete(link);
    wire.port.then(
      (port) => port.close(),
      () => undefined,
    );
  }

  return {
    async use(link, work) {
      const wire = wires.get(link) ?? open(link);
      clearTimeout(wire.idle);
      wire.users += 1;
      try {
        return await work(await wire.port);
      } finally {
        release(link, wire);
      }
    },
    close() {
      for (const [link, wire] of wires) end(link, wire);
    },
  };
}
