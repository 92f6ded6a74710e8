/** What systemd does for the agent, with Type=notify, WatchdogSec= and Restart=on-failure: the same messages, the same end. */

import { openSyscalls } from '../../../src/kernel/syscalls.ts';
import type { Host } from '../bed/host.ts';
import { waitFor } from '../bed/process.ts';

export interface Watchdog {
  /** How often it ended an agent that gave no sign of life. */
  kills(): number;
  stop(): void;
}

const AF_UNIX = 1;
const SOCK_DGRAM_NONBLOCK = 2 | 0o4000;

/** Starts the agent under supervision, and waits until it says READY=1. @param milliseconds as WatchdogSec. */
export async function watchdog(host: Host, flags: readonly string[], milliseconds: number): Promise<Watchdog> {
  const inside = '/run/notify.sock';
  const syscalls = openSyscalls();
  const fd = syscalls.socket(AF_UNIX, SOCK_DGRAM_NONBLOCK, 0);
  const path = Buffer.from(host.path(inside));
  const bound = syscalls.bind(fd, Buffer.concat([Buffer.from([AF_UNIX, 0]), path, Buffer.alloc(1)]));
  if (bound < 0) throw new Error(`the notify socket ${path.toString()} cannot be made: errno ${-bound}`);
  const environment = { NOTIFY_SOCKET: inside, WATCHDOG_USEC: String(milliseconds * 1000) };

  let alive = performance.now();
  let ready = false;
  let kills = 0;
  let restarting = false;
  const buffer = Buffer.alloc(4096);
  const unwatch = syscalls.whenReadable(fd, () => {
    for (;;) {
      const length = syscalls.recv(fd, buffer, 0);
      if (length <= 0) return;
      alive = performance.now();
      if (buffer.toString('utf8', 0, length).includes('READY=1')) ready = true;
    }
  });
  const timer = setInterval(() => {
    if (!ready || restarting || performance.now() - alive < milliseconds) return;
    restarting = true;
    kills += 1;
    void host
      .killBerth()
      .then(() => host.startBerth(flags, environment))
      .finally(() => {
        alive = performance.now();
        restarting = false;
      });
  }, 50);
  await host.startBerth(flags, environment);
  await waitFor(
    () => 'the agent to say that it is ready',
    () => Promise.resolve(ready),
    30_000,
  );
  return {
    kills: () => kills,
    stop() {
      clearInterval(timer);
      unwatch();
      syscalls.close(fd);
    },
  };
}
