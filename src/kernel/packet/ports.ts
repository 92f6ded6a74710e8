/** The main thread's end of packet ports: which are open, who listens, and that a new kernel thread opens them again. */

import { asBerthError, type BerthError } from '../../model/errors.ts';
import type { Mac } from '../../model/mac.ts';
import type { PacketPort, PacketRequest } from '../packets.ts';
import type { PortNotice } from '../protocol.ts';

export interface Ports {
  /** See `Kernel.packets`. */
  add(request: PacketRequest): Promise<PacketPort>;
  /** What the thread has reported. */
  hear(number: number, frames: readonly Uint8Array[]): void;
  flushed(number: number): void;
  end(number: number, why: BerthError): void;
  endAll(why: BerthError): void;
  /** The thread is a new one. */
  reopen(): void;
}

export interface PortsParts {
  /** @param index absent: whichever link has the name now. */
  open(
    number: number,
    request: PacketRequest,
    index: number | undefined,
  ): Promise<{ readonly mac: Mac; readonly index: number }>;
  post(notice: PortNotice): void;
}

interface Port {
  readonly request: PacketRequest;
  /** Absent until it has been opened for the first time. */
  index?: number;
  readonly frameListeners: Set<(frame: Uint8Array) => void>;
  readonly endListeners: Set<(why: BerthError) => void>;
  /** Those who wait for what they have sent to go out, in order. */
  waiting: (() => void)[];
}

export function createPorts({ open, post }: PortsParts): Ports {
  const ports = new Map<number, Port>();
  let lastNumber = 0;

  /** Nobody answers them any more. */
  function release(port: Port): void {
    for (const resolve of port.waiting.splice(0)) resolve();
  }

  function end(number: number, why: BerthError): void {
    const port = ports.get(number);
    ports.delete(number);
    if (port !== undefined) release(port);
    for (const listener of port?.endListeners ?? []) listener(why);
  }

  return {
    async add(request) {
      lastNumber += 1;
      const number = lastNumber;
      const port: Port = { request, frameListeners: new Set(), endListeners: new Set(), waiting: [] };
      ports.set(number, port);
      const { mac, index } = await open(number, request, undefined).catch((error: unknown) => {
        ports.delete(number);
        throw error;
      });
      port.index = index;
      return {
        mac,
        index,
        send(frame) {
          if (ports.has(number)) post({ type: 'send-frame', port: number, frame });
        },
        flushed() {
          if (!ports.has(number)) return Promise.resolve();
          const { promise, resolve } = Promise.withResolvers<void>();
          port.waiting.push(resolve);
          post({ type: 'flush-port', port: number });
          return promise;
        },
        onFrame(listener) {
          port.frameListeners.add(listener);
          return () => void port.frameListeners.delete(listener);
        },
        onEnded: (listener) => void port.endListeners.add(listener),
        close() {
          if (!ports.delete(number)) return;
          release(port);
          post({ type: 'close-port', port: number });
        },
      };
    },

    hear(number, frames) {
      const port = ports.get(number);
      if (port === undefined) return;
      try {
        for (const frame of frames) {
          // A listener may close the port at any frame.
          if (ports.has(number)) for (const listener of port.frameListeners) listener(frame);
        }
      } finally {
        post({ type: 'frames-taken', port: number });
      }
    },

    flushed: (number) => ports.get(number)?.waiting.shift()?.(),

    end,

    endAll(why) {
      for (const number of ports.keys()) end(number, why);
    },

    reopen() {
      for (const [number, port] of ports) {
        const { request, index } = port;
        release(port);
        // The request that is to open it waits for the new thread as any other does.
        if (index === undefined) continue;
        open(number, request, index).then(
          () => {
            if (!ports.has(number)) post({ type: 'close-port', port: number });
          },
          (error) => end(number, asBerthError(error)),
        );
      }
    },
  };
}
