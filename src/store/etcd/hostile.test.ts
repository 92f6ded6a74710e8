/** Servers that are no etcd, or one that has gone mad: each call ends in time, with a sentence that says who did what. */

import assert from 'node:assert/strict';
import { createServer as createHttp1Server } from 'node:http';
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { it } from 'node:test';
import { openEtcdStore } from './store.ts';

const DEADLINE = 700;

async function against(server: Server, wanted: { code: string; message: RegExp }): Promise<void> {
  const sockets = new Set<{ destroy(): void }>();
  server.on('connection', (socket) => sockets.add(socket));
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    await assert.rejects(openEtcdStore({ endpoints: [{ url }], deadline: DEADLINE }), wanted);
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

it('nobody listens', async () => {
  const message = /connection refused/;
  await assert.rejects(
    openEtcdStore({ endpoints: [{ url: 'http://127.0.0.1:1' }], deadline: 200 }),
    unavailable(message),
  );
});

it('the name is not known', async () => {
  const url = 'http://nobody.invalid:2379';
  await assert.rejects(openEtcdStore({ endpoints: [{ url }], deadline: 500 }), unavailable(/nobody\.invalid:2379/));
});

it('a server that accepts and says nothing', async () => {
  await against(createTcpServer(), unavailable(/did not answer/));
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
    unavailable(/did not answer/),
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
