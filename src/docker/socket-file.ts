/** A unix socket that exists exactly as long as somebody listens on it, and that only its owner may use. */

import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  unlinkSync,
} from 'node:fs';
import { connect, type Server } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { BerthError } from '../model/errors.ts';
import { shown } from './text.ts';

/** `sun_path` of unix(7), without its final zero byte. */
const MAX_PATH = 107;

/**
 * Listens on a socket at `path` with mode 0600. It is bound in a private directory beside its place and linked there when
 * it listens: no client ever finds it before. (Not under another name in the same directory: Docker takes every socket
 * there for a plugin, whatever it is called.) A socket file that a dead process left behind is replaced.
 *
 * @returns a function that removes the file, if it is still the one made here; the server goes on.
 * @throws BerthError SOCKET_IN_USE when somebody listens there or it is not a socket; BAD_CONFIG.
 */
export async function listenAtSocket(server: Server, path: string): Promise<() => void> {
  const directory = dirname(path);
  const prefix = `.${basename(path)}.`;
  const inside = 's';
  const privateLength = Buffer.byteLength(join(directory, `${prefix}XXXXXX`, inside));
  if (Math.max(Buffer.byteLength(path), privateLength) > MAX_PATH)
    throw new BerthError(
      'BAD_CONFIG',
      `the path of the socket ${shown(path)} is too long: ${privateLength} of ${MAX_PATH} bytes`,
    );
  try {
    mkdirSync(directory, { recursive: true });
    removeAbandoned(directory, prefix);
    const room = mkdtempSync(join(directory, prefix));
    try {
      const bound = join(room, inside);
      await listening(server, bound);
      chmodSync(bound, 0o600);
      const { ino, dev } = statSync(bound);
      await putInPlace(bound, path);
      return () => {
        const now = lstatSync(path, { throwIfNoEntry: false });
        if (now?.ino === ino && now.dev === dev) unlinkSync(path);
      };
    } finally {
      rmSync(room, { recursive: true });
    }
  } catch (error) {
    server.close();
    if (error instanceof BerthError) throw error;
    throw new BerthError('BAD_CONFIG', `cannot listen on ${shown(path)}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function listening(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** `link` fails where something exists, so two processes that start at once cannot both believe that they have the name. */
async function putInPlace(bound: string, path: string): Promise<void> {
  for (let attempt = 0; attempt < 5; attempt++) {
    try {
      return linkSync(bound, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const there = lstatSync(path, { throwIfNoEntry: false });
    if (there === undefined) continue;
    if (!there.isSocket()) throw new BerthError('SOCKET_IN_USE', `${shown(path)} exists and is not a socket`);
    if (await answers({ path })) throw new BerthError('SOCKET_IN_USE', `another process listens on ${shown(path)}`);
    if (lstatSync(path, { throwIfNoEntry: false })?.ino === there.ino) unlinkSync(path);
  }
  throw new BerthError('SOCKET_IN_USE', `another process is taking ${shown(path)}`);
}

/** Whether somebody listens at an address. What is refused or missing is dead; what is slow or forbidden is not. */
export function answers(at: { path: string } | { host: string; port: number }): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(at);
    const settle = (alive: boolean) => {
      socket.destroy();
      resolve(alive);
    };
    socket.setTimeout(1000, () => settle(true));
    socket.once('connect', () => settle(true));
    socket.once('error', (error: NodeJS.ErrnoException) =>
      settle(
        // EINVAL: the path is too long for a socket.
        ![
          'ECONNREFUSED',
          'ENOENT',
          'ENOTDIR',
          'ENOTSOCK',
          'ENOTFOUND',
          'EHOSTUNREACH',
          'ENETUNREACH',
          'EINVAL',
        ].includes(error.code ?? ''),
      ),
    );
  });
}

/** Private directories of processes that were killed between making and removing one, which takes milliseconds. */
function removeAbandoned(directory: string, prefix: string): void {
  for (const entry of readdirSync(directory)) {
    if (!entry.startsWith(prefix) || entry.length !== prefix.length + 6) continue;
    const path = join(directory, entry);
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found?.isDirectory() === true && Date.now() - found.mtimeMs > 60_000)
      rmSync(path, { recursive: true, force: true });
  }
}
