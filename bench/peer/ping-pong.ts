/**
 * One byte there and back over TCP, as fast as system calls go: the calls block, and nothing of Node's event loop is between
 * them, so both ends cost a microsecond or two each. Both sides of every comparison are this program.
 *
 *   node bench/peer/ping-pong.ts server PORT
 *   node bench/peer/ping-pong.ts client ADDRESS PORT SECONDS    prints a JSON list: microseconds of each round trip
 */

import { isIPv4 } from 'node:net';
import koffi from 'koffi';

const libc = koffi.load('libc.so.6');
const socket = libc.func('int socket(int domain, int type, int protocol)');
const bind = libc.func('int bind(int fd, const uint8_t *address, uint32_t length)');
const listen = libc.func('int listen(int fd, int backlog)');
const accept = libc.func('int accept(int fd, void *address, void *length)');
const connect = libc.func('int connect(int fd, const uint8_t *address, uint32_t length)');
const setsockopt = libc.func('int setsockopt(int fd, int level, int name, const uint8_t *value, uint32_t length)');
const send = libc.func('long send(int fd, const uint8_t *data, long length, int flags)');
const recv = libc.func('long recv(int fd, uint8_t *data, long length, int flags)');

const AF_INET = 2;
const SOCK_STREAM = 1;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;

/** struct sockaddr_in, ip(7). */
function address(ip: string, port: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(AF_INET, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(ip.split('.').map(Number), 4);
  return bytes;
}

function checked(result: number, what: string): number {
  if (result < 0) throw new Error(`${what} failed: errno ${koffi.errno()}`);
  return result;
}

function tcpSocket(): number {
  const fd = checked(socket(AF_INET, SOCK_STREAM, 0) as number, 'socket');
  const on = Buffer.from([1, 0, 0, 0]);
  checked(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, on, 4) as number, 'setsockopt');
  checked(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, on, 4) as number, 'setsockopt');
  return fd;
}

const byte = Buffer.alloc(1);
const sendByte = (fd: number) => (send(fd, byte, 1, 0) as number) === 1;
const receiveByte = (fd: number) => (recv(fd, byte, 1, 0) as number) === 1;

function serve(port: number): never {
  const fd = tcpSocket();
  checked(bind(fd, address('0.0.0.0', port), 16) as number, 'bind');
  checked(listen(fd, 1) as number, 'listen');
  console.log('ready');
  for (;;) {
    const peer = checked(accept(fd, null, null) as number, 'accept');
    const on = Buffer.from([1, 0, 0, 0]);
    setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, on, 4);
    while (receiveByte(peer) && sendByte(peer));
  }
}

function ask(ip: string, port: number, seconds: number): void {
  const fd = tcpSocket();
  checked(connect(fd, address(ip, port), 16) as number, 'connect');
  const times: number[] = [];
  // The first ones pay for the compiler.
  const warm = performance.now() + seconds * 200;
  const end = warm + seconds * 1000;
  for (let before = performance.now(); before < end; ) {
    if (!sendByte(fd) || !receiveByte(fd)) throw new Error(`the connection ended: errno ${koffi.errno()}`);
    const after = performance.now();
    if (before >= warm) times.push(Math.round((after - before) * 1e6) / 1000);
    before = after;
  }
  console.log(JSON.stringify(times));
}

const [mode, ...rest] = process.argv.slice(2);
if (mode === 'server') serve(Number(rest[0]));
else if (mode === 'client' && isIPv4(rest[0]!)) ask(rest[0]!, Number(rest[1]), Number(rest[2]));
else throw new Error('usage: ping-pong.ts server PORT | client ADDRESS PORT SECONDS');
