/** Where a plugin listens, and how Docker finds it there. */

import { readFileSync } from 'node:fs';
import type { AddressInfo, Server } from 'node:net';
import { isAbsolute } from 'node:path';
import type { TlsOptions } from 'node:tls';
import { BerthError } from '../model/errors.ts';
import { onExit } from './on-exit.ts';
import { listenAtSocket } from './socket-file.ts';
import { type ClientCertificate, publishSpec } from './spec-file.ts';
import { shown } from './text.ts';

export interface UnixAddress {
  readonly kind: 'unix';
  /** Absolute. Docker finds `/run/docker/plugins/NAME.sock` by itself. */
  readonly path: string;
  /** Directory for a `NAME.spec`, for a socket elsewhere. */
  readonly specDir?: string;
}

/** TCP with TLS where both sides show a certificate of the same authority: who may call may rewire the host. */
export interface TlsAddress {
  readonly kind: 'tls';
  /** A name or address that the server's certificate is for. */
  readonly host: string;
  /** 0 chooses one. */
  readonly port: number;
  /** Paths of PEM files. */
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
  /** Directory for a `NAME.json`, and the certificate that Docker shall present. */
  readonly spec?: { readonly directory: string; readonly client: ClientCertificate };
}

export type ListenAt = UnixAddress | TlsAddress;

export interface Listening {
  /** As a URL: `unix:///…` or `https://…`. */
  readonly address: string;
  /** Removes what engines find the plugin by. The server goes on listening. Repeatable. */
  withdraw(): void;
}

/**
 * Starts a server. When this resolves, engines find the plugin; when it rejects, nothing is left behind.
 *
 * @throws BerthError BAD_CONFIG, SOCKET_IN_USE
 */
export async function listen(server: Server, at: ListenAt, name: string): Promise<Listening> {
  const undo: (() => void)[] = [];
  const withdraw = () => {
    keepUntilExit();
    for (const action of undo.splice(0).reverse()) action();
  };
  const keepUntilExit = onExit(() => withdraw());
  try {
    if (at.kind === 'unix') {
      if (!isAbsolute(at.path)) throw new BerthError('BAD_CONFIG', `${shown(at.path)} is not an absolute path`);
      undo.push(await listenAtSocket(server, at.path));
      if (at.specDir !== undefined) undo.push(await publishSpec(at.specDir, name, `unix://${at.path}`));
      return { address: `unix://${at.path}`, withdraw };
    }
    const address = await listenAtPort(server, at.host, at.port);
    if (at.spec !== undefined) undo.push(await publishSpec(at.spec.directory, name, address, at.spec.client));
    return { address, withdraw };
  } catch (error) {
    withdraw();
    server.close();
    throw error;
  }
}

/**
 * What a TLS server needs. TLS 1.2 is the least that Go's client offers in every engine.
 *
 * @throws BerthError BAD_CONFIG when a file cannot be read.
 */
export function tlsOptions(at: TlsAddress): TlsOptions {
  const read = (path: string) => {
    try {
      return readFileSync(path);
    } catch (error) {
      throw new BerthError('BAD_CONFIG', `cannot read ${shown(path)}: ${(error as Error).message}`, { cause: error });
    }
  };
  return {
    ca: read(at.ca),
    cert: read(at.certificate),
    key: read(at.key),
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
    handshakeTimeout: 10_000,
  };
}

function listenAtPort(server: Server, host: string, port: number): Promise<string> {
  const text = host.includes(':') ? `[${host}]` : host;
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException) => {
      const code = error.code === 'EADDRINUSE' ? 'SOCKET_IN_USE' : 'BAD_CONFIG';
      reject(new BerthError(code, `cannot listen on ${text}:${port}: ${error.message}`, { cause: error }));
    };
    server.once('error', fail);
    server.listen({ host, port }, () => {
      server.off('error', fail);
      resolve(`https://${text}:${(server.address() as AddressInfo).port}`);
    });
  });
}
