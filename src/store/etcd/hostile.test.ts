/** Servers that are no etcd, or one that has gone mad: each call ends in time, with a sentence that says who did what. */

import assert from 'node:assert/strict';
import { createServer as createHttp1Server } from 'node:http';
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { describe, it } from 'node:test';
import { methods } from './messages.ts';
import { bytesField, idField, intField, message, messageField } from './protobuf.ts';
import { type EtcdOptions, openEtcdStore } from './store.ts';

/** Most of these servers are asked until it is over: long enough for a busy machine, and several of them side by side. */
const DEADLINE = 5000;
/** Milliseconds for what ends by itself. */
const LONG = 60_000;
/** Of a store whose calls end with their deadline; nor must it have been opened in that time. */
const brief = { deadline: DEADLINE, unasked: true } as const;

/**
 * The call is refused as wanted. On a crowded machine an answer may come too late to be told of: then it is asked again, a few
 * times.
 */
async function refused(call: () => Promise<unknown>, wanted: { code: string; message: RegExp }): Promise<void> {
  for (let left = 5; ; left--) {
    try {
      await assert.rejects(call, wanted);
      return;
    } catch (error) {
      const { message } = (error as assert.AssertionError).actual as Error;
      if (left === 0 || !/(did|does) not answer|it is unknown/.test(message)) throw error;
    }
  }
}

async function against(server: Server, wanted: { code: string; message: RegExp }): Promise<void> {
  const sockets = new Set<{ destroy(): void }>();
  server.on('connection', (socket) => sockets.add(socket));
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    await refused(() => openEtcdStore({ endpoints: [{ url }], deadline: DEADLINE }), wanted);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}

const unavailable = (message: RegExp) => ({ code: 'STORE_UNAVAILABLE', message });

/** Speaks HTTP/2, and answers every request in the same way. */
function answering(answer: (stream: ServerHttp2Stream) => void): Server {
  const server = createHttp2Server();
  server.on('stream', (stream) => {
    stream.on('error', () => {});
    answer(stream);
  });
  server.on('sessionError', () => {});
  return server as unknown as Server;
}

const grpc = { ':status': 200, 'content-type': 'application/grpc' };
/** A message with its prefix, cut where told. */
const framed = (bytes: number[], length = bytes.length, compressed = 0) =>
  Buffer.from([compressed, 0, 0, length >> 8, length & 0xff, ...bytes]);
/** An etcd of one member that answers what is asked at opening, and after that as told; it counts what it is asked. */
async function withFake(
  answers: Partial<Record<keyof typeof methods, (stream: ServerHttp2Stream) => void>>,
  options: Partial<EtcdOptions>,
  work: (
    store: Awaited<ReturnType<typeof openEtcdStore>>,
    asked: (method: keyof typeof methods) => number,
  ) => Promise<void>,
): Promise<void> {
  const counts = new Map<string, number>();
  const header = messageField(1, message(idField(1, 7n), intField(3, 1)));
  const usual: typeof answers = {
    status: (stream) => reply(stream, message(header, idField(4, 1n))),
    authenticate: (stream) => reply(stream, message(header, bytesField(2, 'token'))),
    txn: (stream) => reply(stream, message(header, intField(2, true))),
  };
  const names = new Map(Object.entries(methods).map(([name, path]) => [path as string, name as keyof typeof methods]));
  let opened = false;
  const server = createHttp2Server();
  const sockets = new Set<{ destroy(): void }>();
  server.on('connection', (socket) => sockets.add(socket));
  server.on('sessionError', () => {});
  server.on('stream', (stream, headers) => {
    const name = names.get(headers[':path']!)!;
    if (opened) counts.set(name, (counts.get(name) ?? 0) + 1);
    stream.on('error', () => {});
    (opened ? (answers[name] ?? usual[name]) : usual[name])?.(stream);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  // The last to go is the server: what is left open keeps a test that has failed from ending.
  try {
    const store = await openEtcdStore({ endpoints: [{ url }], deadline: LONG, ...options });
    opened = true;
    try {
      await work(store, (method) => counts.get(method) ?? 0);
    } finally {
      await store.close();
    }
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}

function reply(stream: ServerHttp2Stream, body: Buffer): void {
  stream.respond(grpc, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.end(framed([...body]));
}

const refuse = (status: string, text: string) => (stream: ServerHttp2Stream) =>
  stream.respond({ ...grpc, 'grpc-status': status, 'grpc-message': text }, { endStream: true });
const put = { then: [{ do: 'put', key: 'a', value: '' }] } as const;

describe('servers that are no etcd', { concurrency: 6 }, () => {
  it('nobody listens', async () => {
    const message = /connection refused/;
    await assert.rejects(
      openEtcdStore({ endpoints: [{ url: 'http://127.0.0.1:1' }], deadline: DEADLINE }),
      unavailable(message),
    );
  });

  it('the name is not known', async () => {
    const url = 'http://nobody.invalid:2379';
    await assert.rejects(
      openEtcdStore({ endpoints: [{ url }], deadline: DEADLINE }),
      unavailable(/nobody\.invalid:2379/),
    );
  });

  it('a server that accepts and says nothing', async () => {
    await against(createTcpServer(), unavailable(/(did|does) not answer/));
  });

  it('a server that closes at once', async () => {
    await against(
      createTcpServer((socket) => socket.destroy()),
      unavailable(/http:\/\/127\.0\.0\.1:\d+/),
    );
  });

  it('a server that speaks HTTP/1', async () => {
    await against(
      createHttp1Server((_, response) => response.end('hello')),
      unavailable(/http:\/\/127\.0\.0\.1:\d+/),
    );
  });

  it('a server that sends noise', async () => {
    await against(
      createTcpServer((socket) => void socket.write(Buffer.alloc(4096, 0xa5))),
      unavailable(/:\d+/),
    );
  });

  it('a server without gRPC', async () => {
    await against(
      answering((stream) => {
        stream.respond({ ':status': 404 });
        stream.end('no such page');
      }),
      unavailable(/HTTP status 404: no gRPC is spoken there/),
    );
  });

  it('a gRPC server of something else', async () => {
    await against(
      answering((stream) => {
        const headers = { ...grpc, 'grpc-status': '12', 'grpc-message': 'unknown service etcdserverpb.Maintenance' };
        stream.respond(headers, { endStream: true });
      }),
      unavailable(/unknown service/),
    );
  });

  for (const [what, bytes, words] of [
    ['a message that is cut', framed([1, 2], 900), /an answer without a message/],
    ['a message that is compressed', framed([1, 2], 2, 1), /compressed/],
    ['a message that is none', framed([0x0a, 0xff, 0xff]), /a message ends in the middle|no end/],
  ] as const) {
    it(what, async () => {
      await against(
        answering((stream) => {
          stream.respond(grpc, { waitForTrailers: true });
          stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
          stream.end(bytes);
        }),
        unavailable(words),
      );
    });
  }

  it('an answer without an end', async () => {
    await against(
      answering((stream) => {
        stream.respond(grpc);
        stream.write(framed([8, 1]));
      }),
      unavailable(/(did|does) not answer/),
    );
  });

  it('an answer whose stream is reset', async () => {
    await against(
      answering((stream) => {
        stream.respond(grpc);
        stream.close(2);
      }),
      unavailable(/http:\/\/127\.0\.0\.1:\d+/),
    );
  });

  it('a write whose answer is lost is sent again with a look at what it would have written, as long as nobody answers', async () => {
    const lose = (stream: ServerHttp2Stream) => stream.close(2);
    await withFake({ txn: lose, range: lose }, brief, async (store, asked) => {
      await assert.rejects(store.transact(put), unavailable(/unknown whether it was done/));
      assert.ok(asked('txn') > 1, `${asked('txn')} attempts`);
      await assert.rejects(store.get('a'), unavailable(/^((?!unknown).)*$/));
      assert.ok(asked('range') > 1, `${asked('range')} attempts`);
    });
  });

  it('of a write whose answer was lost it stays unknown what became of it, whatever is said to the next attempt', async () => {
    let attempts = 0;
    const loseThenRefuse = (stream: ServerHttp2Stream) =>
      attempts++ === 0 ? stream.close(2) : refuse('7', 'etcdserver: permission denied')(stream);
    await withFake({ txn: loseThenRefuse }, {}, async (store) => {
      await assert.rejects(store.transact(put), unavailable(/permission denied; it is unknown whether it was done/));
      assert.equal(attempts, 2);
    });
  });

  it('a write that was refused before it was begun is sent again', async () => {
    for (const [status, text] of [
      ['14', 'etcdserver: no leader'],
      ['8', 'etcdserver: too many requests'],
    ] as const) {
      await withFake({ txn: refuse(status, text) }, brief, async (store, asked) => {
        await refused(() => store.transact(put), unavailable(/^((?!unknown).)*$/));
        assert.ok(asked('txn') > 1, `${asked('txn')} attempts`);
      });
    }
  });

  it('a server that is awake and answers nothing holds nobody for longer than the deadline', async () => {
    await withFake({ txn: () => {}, range: () => {} }, brief, async (store) => {
      await Promise.all([
        assert.rejects(store.get('a'), unavailable(/(did|does) not answer/)),
        assert.rejects(store.transact(put), unavailable(/unknown/)),
      ]);
    });
  });

  it('a user who is refused is not tried again for a while, nor is a token that is never taken', async () => {
    const user = { name: 'berth', password: 'x' };
    const expired = refuse('16', 'etcdserver: invalid auth token');
    const wrong = refuse('3', 'etcdserver: authentication failed, invalid user ID or password');
    await withFake({ range: expired, authenticate: wrong }, { user }, async (store, asked) => {
      for (let n = 0; n < 5; n++) await assert.rejects(store.get('a'), { code: 'STORE_DENIED', message: /'berth'/ });
      assert.equal(asked('authenticate'), 1);
    });
    await withFake({ range: expired }, { user }, async (store, asked) => {
      await assert.rejects(store.get('a'), { code: 'STORE_DENIED', message: /invalid auth token/ });
      assert.ok(asked('range') <= 3);
    });
  });

  it('an answer that cannot be read is told as such, and a write of which nothing is known', async () => {
    const garble = (stream: ServerHttp2Stream) => reply(stream, Buffer.from([0x0a, 0xff, 0xff]));
    await withFake({ txn: garble, range: garble }, {}, async (store) => {
      await assert.rejects(store.get('a'), unavailable(/no message of its API/));
      await assert.rejects(store.transact(put), unavailable(/no message of its API/));
    });
  });
});
