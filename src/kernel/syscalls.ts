/**
 * The few system calls that Node does not offer, as a port: rtnetlink is written against the interface, koffi is one way
 * to provide it. All of them are synchronous and answer for the calling thread only, so that a thread may step into
 * another network namespace and back without another one noticing.
 */

import koffi from 'koffi';

/** Each call returns what the C function returns, or the negative errno. */
export interface Syscalls {
  socket(family: number, type: number, protocol: number): number;
  bind(fd: number, address: Uint8Array): number;
  connect(fd: number, address: Uint8Array): number;
  listen(fd: number, backlog: number): number;
  /** What the socket is bound to, into as many bytes as there are. */
  getsockname(fd: number, into: Uint8Array): number;
  setsockopt(fd: number, level: number, option: number, value: Uint8Array): number;
  /** SO_ATTACH_FILTER: only what this classic BPF program (an array of `struct sock_filter`) lets pass is received. */
  attachFilter(fd: number, program: Uint8Array): number;
  send(fd: number, data: Uint8Array, length: number, flags: number): number;
  recv(fd: number, into: Uint8Array, flags: number): number;
  /** recvmsg(2): `control` gets what the kernel says beside the data (cmsg(3)); where it says nothing, it is all zeros. */
  recvWithControl(fd: number, into: Uint8Array, control: Uint8Array, flags: number): number;
  /** SIOCETHTOOL with a struct ethtool_value, about a link of the socket's namespace. */
  ethtool(fd: number, link: string, command: number, value: number): number;
  /** The index of a link in the thread's namespace (if_nametoindex(3)); negative where there is none. */
  linkIndex(name: string): number;
  open(path: string, flags: number): number;
  close(fd: number): number;
  /**
   * Closes a packet socket from another thread: the kernel holds up whoever does it for a grace period (packet_release), 12 ms
   * in which this thread could make a container's link.
   */
  closeElsewhere(fd: number): void;
  /** Moves the calling thread, and only it, to the namespace that the descriptor stands for (setns(2)). */
  setns(fd: number, type: number): number;
  /**
   * Calls back from the thread's own event loop whenever the descriptor can be read; no thread waits and nothing is
   * polled by a timer. It does not keep the thread alive. An error that waits in the socket counts: the callback has to read
   * it, or is called again at once.
   *
   * @returns what ends it; to be called before the descriptor is closed.
   */
  whenReadable(fd: number, callback: () => void): () => void;
}

export const O_RDONLY = 0;
export const O_CLOEXEC = 0o2000000;
/** linux/sockios.h */
const SIOCETHTOOL = 0x8946;
export const CLONE_NEWNET = 0x40000000;
// asm-generic/socket.h
const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;

/** The system calls through koffi. To be made once in each thread that uses them: 1 ms. */
export function openSyscalls(): Syscalls {
  // null: the symbols of the running program, which has a C library loaded whatever that one's file is called.
  const libc = koffi.load(null);
  const socket = libc.func('int socket(int, int, int)');
  const bind = libc.func('int bind(int, const void *, uint32_t)');
  const connect = libc.func('int connect(int, const void *, uint32_t)');
  const listen = libc.func('int listen(int, int)');
  const getsockname = libc.func('int getsockname(int, void *, void *)');
  const setsockopt = libc.func('int setsockopt(int, int, int, const void *, uint32_t)');
  const program = koffi.struct({ length: 'uint16_t', instructions: 'const void *' });
  const attachFilter = libc.func('setsockopt', 'int', ['int', 'int', 'int', koffi.pointer(program), 'uint32_t']);
  const send = libc.func('intptr_t send(int, const void *, uintptr_t, int)');
  const recv = libc.func('intptr_t recv(int, void *, uintptr_t, int)');
  const vector = koffi.struct({ base: 'void *', length: 'uintptr_t' });
  // struct msghdr as the C library has it (bits/socket.h).
  const header = koffi.struct({
    name: 'void *',
    nameLength: 'uint32_t',
    vectors: koffi.pointer(vector),
    count: 'uintptr_t',
    control: 'void *',
    controlLength: 'uintptr_t',
    flags: 'int',
  });
  const recvmsg = libc.func('recvmsg', 'intptr_t', ['int', koffi.pointer(header), 'int']);
  const value = koffi.struct({ cmd: 'uint32_t', data: 'uint32_t' });
  // struct ifreq (linux/if.h): a name, and a union of 24 bytes.
  const ifreq = koffi.struct({
    name: koffi.array('char', 16),
    data: koffi.pointer(value),
    rest: koffi.array('uint8_t', 16),
  });
  const ioctl = libc.func('ioctl', 'int', ['int', 'unsigned long', koffi.pointer(ifreq)]);
  const nameToIndex = libc.func('uint32_t if_nametoindex(const char *)');
  const open = libc.func('int open(const char *, int)');
  const close = libc.func('int close(int)');
  const setns = libc.func('int setns(int, int)');

  const result = (value: unknown): number => (value === -1 ? -koffi.errno() : (value as number));

  return {
    socket: (family, type, protocol) => result(socket(family, type, protocol)),
    bind: (fd, address) => result(bind(fd, address, address.length)),
    connect: (fd, address) => result(connect(fd, address, address.length)),
    listen: (fd, backlog) => result(listen(fd, backlog)),
    getsockname: (fd, into) => result(getsockname(fd, into, new Uint8Array(Uint32Array.of(into.length).buffer))),
    setsockopt: (fd, level, option, value) => result(setsockopt(fd, level, option, value, value.length)),
    attachFilter: (fd, instructions) =>
      result(
        attachFilter(fd, SOL_SOCKET, SO_ATTACH_FILTER, { length: instructions.length / 8, instructions }, program.size),
      ),
    send: (fd, data, length, flags) => result(send(fd, data, length, flags)),
    recv: (fd, into, flags) => result(recv(fd, into, into.length, flags)),
    recvWithControl(fd, into, control, flags) {
      control.fill(0);
      const vectors = { base: into, length: into.length };
      const controlLength = control.length;
      return result(
        recvmsg(fd, { name: null, nameLength: 0, vectors, count: 1, control, controlLength, flags: 0 }, flags),
      );
    },
    ethtool: (fd, link, cmd, data) =>
      result(ioctl(fd, SIOCETHTOOL, { name: link, data: { cmd, data }, rest: new Uint8Array(16) })),
    linkIndex: (name) => (nameToIndex(name) as number) || -koffi.errno(),
    open: (path, flags) => result(open(path, flags)),
    close: (fd) => result(close(fd)),
    closeElsewhere(fd) {
      try {
        close.async(fd, () => undefined);
      } catch {
        // As many as koffi does at once are under way.
        close(fd);
      }
    },
    setns: (fd, type) => result(setns(fd, type)),
    whenReadable(fd, callback) {
      // libuv stops watching a descriptor with an error (uv__poll_io), such as that a netlink socket has overflowed or that
      // a packet socket's link went down; both go on after that. koffi's types leave the status out.
      const ready = (status: unknown): void => {
        callback();
        if (status !== 0 && watched.has(handle)) handle.start({ readable: true }, ready);
      };
      const handle = koffi.node.poll(fd, { readable: true }, ready);
      handle.unref();
      // koffi closes a handle that has been garbage-collected, and nothing else refers to this one.
      watched.add(handle);
      return () => {
        if (watched.delete(handle)) handle.close();
      };
    },
  };
}

const watched = new Set<ReturnType<typeof koffi.node.poll>>();
