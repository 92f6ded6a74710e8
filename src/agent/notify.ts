/** Tells systemd how the agent is: ready, alive, stopping (sd_notify(3)). Without systemd every call does nothing. */

export interface ServiceManager {
  ready(): void;
  stopping(): void;
  /** Shown by `systemctl status`. */
  status(sentence: string): void;
  close(): void;
}

const AF_UNIX = 1;
/** SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK: a service manager that does not read must not stop us. */
const SOCKET_TYPE = 2 | 0o2000000 | 0o4000;

/**
 * With WATCHDOG_USEC the agent proves twice per interval that its event loop turns; systemd ends and restarts a process that
 * does not. That is what keeps a frozen agent from holding up the engine, which waits for a plugin without limit.
 */
export async function serviceManager(environment: NodeJS.ProcessEnv): Promise<ServiceManager> {
  const address = environment.NOTIFY_SOCKET;
  if (address === undefined || !/^[/@]/.test(address)) return { ready() {}, stopping() {}, status() {}, close() {} };
  const send = await datagrams(address);
  const watchdog = Number(environment.WATCHDOG_USEC ?? 0) / 1000;
  const timer = watchdog > 0 ? setInterval(() => send('WATCHDOG=1'), watchdog / 2) : undefined;
  timer?.unref();
  return {
    ready: () => send('READY=1'),
    stopping: () => send('STOPPING=1'),
    status: (sentence) => send(`STATUS=${sentence}`),
    close: () => clearInterval(timer),
  };
}

/** Node has no unix datagram sockets. koffi is loaded only here: without systemd the main thread has no use for it. */
async function datagrams(address: string): Promise<(message: string) => void> {
  const { default: koffi } = await import('koffi');
  const libc = koffi.load(null);
  const socket = libc.func('int socket(int, int, int)');
  const sendto = libc.func('intptr_t sendto(int, const void *, uintptr_t, int, const void *, uint32_t)');
  const fd = socket(AF_UNIX, SOCKET_TYPE, 0) as number;
  // struct sockaddr_un: the family, then the path; a leading zero byte stands for the abstract name space.
  const path = Buffer.from(address);
  if (path[0] === 0x40) path[0] = 0;
  const family = Buffer.alloc(2);
  family.writeUInt16LE(AF_UNIX);
  const to = Buffer.concat([family, path]);
  return (message) => {
    const data = Buffer.from(message);
    sendto(fd, data, data.length, 0, to, to.length);
  };
}
