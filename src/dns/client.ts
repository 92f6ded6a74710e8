/** Asks one DNS server: by UDP, again when no answer comes, and by TCP when the answer does not fit. */

import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { type Address, formatAddress } from '../model/address.ts';
import type { TsigKey } from './key-file.ts';
import { decodeMessage, encodeMessage, flag, flagsOf, has, IN, type Message, opcode, rcodeOf } from './message.ts';
import { type DomainName, sameName } from './name.ts';
import { sign, tsigErrors, verify } from './tsig.ts';
import { type Update, updateMessage } from './update.ts';

export interface Server {
  readonly address: Address;
  readonly port: number;
  /** With which requests are signed; answers must then be signed, too. */
  readonly key?: TsigKey;
}

/** Why there is no answer that can be trusted, in a sentence; or the answer. */
export type Reply = { readonly answer: Message } | { readonly problem: string };

export interface ClientOptions {
  /** How long to wait for an answer, try by try, in milliseconds. */
  readonly waits?: readonly number[];
  /** Seconds since the epoch. */
  readonly now?: () => number;
  readonly signal?: AbortSignal;
}

const WAITS = [1000, 2000, 3000] as const;
/** More is sent by TCP at once: without EDNS a server need not take it (RFC 1035 §4.2.1). */
const LONGEST_DATAGRAM = 512;

export function query(server: Server, name: DomainName, type: number, options: ClientOptions = {}): Promise<Reply> {
  const question = { name, type, class: IN };
  const sections = { questions: [question], answers: [], authorities: [], additionals: [] };
  return ask(server, { id: randomInt(0x10000), flags: flagsOf(opcode.query), ...sections }, options);
}

export function update(server: Server, change: Update, options: ClientOptions = {}): Promise<Reply> {
  return ask(server, updateMessage(randomInt(0x10000), change), options);
}

/** Never rejects, and always ends: after the waits at the latest, and one more by TCP. */
async function ask(server: Server, message: Message, options: ClientOptions): Promise<Reply> {
  const now = options.now ?? (() => Math.floor(Date.now() / 1000));
  const plain = encodeMessage(message);
  const signed = server.key === undefined ? undefined : sign(plain, server.key, now());
  const bytes = signed?.bytes ?? plain;
  const read = (answer: Uint8Array): Reply | undefined => {
    const decoded = decodeMessage(answer);
    if (decoded === undefined || !answers(decoded, message)) return undefined;
    return judge(answer, decoded);
  };

  function judge(answer: Uint8Array, decoded: Message): Reply | undefined {
    if (server.key === undefined || signed === undefined) return { answer: decoded };
    const verdict = verify(answer, server.key, now(), signed.mac);
    switch (verdict.is) {
      case 'good':
        return { answer: decoded };
      case 'refused':
        return { problem: tsigErrors.get(verdict.error) ?? `it refuses the signature (error ${verdict.error})` };
      case 'unsigned':
        // A server that does not know what a signature is, or that refuses before it looks (RFC 8945 §5.2.1).
        if (rcodeOf(decoded) !== 0) return { answer: decoded };
        return { problem: 'its answer is not signed' };
      case 'bad':
        return { problem: `its answer cannot be trusted: ${verdict.why}` };
    }
  }

  if (bytes.length <= LONGEST_DATAGRAM) {
    const reply = await byUdp(server, bytes, read, options);
    if (reply === undefined || 'problem' in reply || !has(reply.answer, flag.truncated)) return reply ?? silent(server);
  }
  return (await byTcp(server, bytes, read, options)) ?? silent(server);
}

const silent = ({ address, port }: Server): Reply => ({
  problem: `the DNS server ${formatAddress(address)} port ${port} does not answer`,
});

/** Whether one is the answer to the other, and not something that somebody else has sent. */
function answers(answer: Message, { id, flags, questions }: Message): boolean {
  if (answer.id !== id || !has(answer, flag.response) || ((answer.flags ^ flags) & 0x7800) !== 0) return false;
  // Where something is refused the question may be missing.
  const [asked, repeated] = [questions[0], answer.questions[0]];
  if (asked === undefined || repeated === undefined) return true;
  return sameName(asked.name, repeated.name) && asked.type === repeated.type;
}

function byUdp(
  { address, port }: Server,
  bytes: Uint8Array,
  read: (answer: Uint8Array) => Reply | undefined,
  { waits = WAITS, signal }: ClientOptions,
): Promise<Reply | undefined> {
  const { promise, resolve } = Promise.withResolvers<Reply | undefined>();
  const socket = createSocket(address.family === 4 ? 'udp4' : 'udp6');
  let timer: NodeJS.Timeout | undefined;
  let refused: Reply | undefined;
  let ended = false;
  const done = (reply: Reply | undefined): void => {
    if (ended) return;
    ended = true;
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
    socket.close();
    resolve(reply);
  };
  const abort = (): void => done({ problem: 'Berth is stopping' });
  const attempt = (number: number): void => {
    const wait = waits[number];
    if (ended) return;
    if (wait === undefined) {
      done(refused);
      return;
    }
    // Connected: the kernel lets in nobody else, and tells when nobody listens there.
    socket.send(bytes);
    timer = setTimeout(() => attempt(number + 1), wait);
  };
  socket.on('error', (error) => {
    refused = { problem: `the DNS server ${formatAddress(address)} port ${port} cannot be reached: ${error.message}` };
  });
  socket.on('message', (answer) => {
    const reply = read(answer);
    if (reply !== undefined) done(reply);
  });
  if (signal?.aborted === true) {
    abort();
    return promise;
  }
  signal?.addEventListener('abort', abort, { once: true });
  socket.connect(port, formatAddress(address), ((error?: Error) => {
    if (error === undefined || error === null) attempt(0);
    else done({ problem: `the DNS server ${formatAddress(address)} port ${port} cannot be reached: ${error.message}` });
  }) as () => void);
  return promise;
}

/** RFC 1035 §4.2.2: the length goes first. */
function byTcp(
  { address, port }: Server,
  bytes: Uint8Array,
  read: (answer: Uint8Array) => Reply | undefined,
  { waits = WAITS, signal }: ClientOptions,
): Promise<Reply | undefined> {
  const { promise, resolve } = Promise.withResolvers<Reply | undefined>();
  const socket = connect({ host: formatAddress(address), port });
  const timer = setTimeout(() => done(undefined), waits.at(-1) ?? 0);
  let received = Buffer.alloc(0);
  function done(reply: Reply | undefined): void {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
    socket.destroy();
    resolve(reply);
  }
  function abort(): void {
    done({ problem: 'Berth is stopping' });
  }
  if (signal?.aborted === true) abort();
  signal?.addEventListener('abort', abort, { once: true });
  socket.on('error', ({ message }) =>
    done({ problem: `the DNS server ${formatAddress(address)} port ${port} cannot be reached: ${message}` }),
  );
  socket.on('close', () => done(undefined));
  socket.on('data', (chunk) => {
    received = Buffer.concat([received, chunk]);
    if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
    done(read(received.subarray(2, 2 + received.readUInt16BE(0))));
  });
  socket.write(Uint8Array.of(bytes.length >> 8, bytes.length & 255));
  socket.write(bytes);
  return promise;
}
