/** A way to an etcd server that breaks at a chosen point of one call: before etcd hears of it, or before its answer is heard. */

import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface BreakableWay extends AsyncDisposable {
  readonly url: string;
  /**
   * Breaks all connections at the next question, of which etcd learns nothing, or at the next answer, which nobody learns of.
   *
   * @param meanwhile is done before connections are taken again.
   * @param after so many others.
   */
  breakAtNext(what: 'question' | 'answer', meanwhile?: () => Promise<void>, after?: number): void;
  /** How often it broke. */
  readonly breaks: () => number;
}

/** A type of HTTP/2 frames, RFC 9113, section 6: the beginning of a question or an answer, and the status at an answer's end. */
const HEADERS = 1;
const END_STREAM = 1;
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

/** @param target host:port */
export async function startBreakableWay(target: string): Promise<BreakableWay> {
  const [host, port] = target.split(':') as [string, string];
  const sockets = new Set<Socket>();
  let armed:
    | { readonly what: 'question' | 'answer'; readonly meanwhile: () => Promise<void>; after: number }
    | undefined;
  let mending: Promise<void> = Promise.resolve();
  let breaks = 0;

  const breakAll = () => {
    breaks += 1;
    mending = armed!.meanwhile();
    armed = undefined;
    for (const socket of sockets) socket.destroy();
  };

  /** Passes on what comes, as far as the frame that begins a question or an answer and is not to arrive. */
  const pass = (from: Socket, to: Socket, what: 'question' | 'answer') => {
    let pending = Buffer.alloc(0);
    let skip = what === 'question' ? PREFACE.length : 0;
    from.on('data', (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      for (;;) {
        const length = skip > 0 ? skip : 9 + (pending.length < 9 ? 0 : pending.readUIntBE(0, 3));
        if (pending.length < Math.max(length, skip > 0 ? 0 : 9)) return;
        const begins = skip === 0 && pending[3] === HEADERS && (pending[4]! & END_STREAM) === 0;
        if (begins && armed?.what === what && armed.after-- === 0) return breakAll();
        to.write(pending.subarray(0, length));
        pending = pending.subarray(length);
        skip = 0;
      }
    });
  };

  const server = createServer((client) => {
    const upstream = connect(Number(port), host);
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
    void mending.then(() => {
      pass(client, upstream, 'question');
      pass(upstream, client, 'answer');
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    breakAtNext(what, meanwhile = () => Promise.resolve(), after = 0) {
      armed = { what, meanwhile, after };
    },
    breaks: () => breaks,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((done) => server.close(done));
    },
  };
}
