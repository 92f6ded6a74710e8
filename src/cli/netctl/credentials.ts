/**
 * Tokens, and where they are kept: `~/.netctl/config.json`, as netctl always had it.
 */

import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { MasterFailure } from './failure.ts';

export function credentialsFile(environment: NodeJS.ProcessEnv): string {
  return join(environment.HOME || homedir(), '.netctl', 'config.json');
}

/** @throws MasterFailure when the file is there and not what we wrote. */
export async function readToken(file: string): Promise<string | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw broken(file, (error as Error).message);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw broken(file, 'it is not JSON');
  }
  const token = (value as { token?: unknown } | null)?.token;
  if (token === undefined || token === '') return undefined;
  if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token)) throw broken(file, 'its token is no token');
  return token;
}

function broken(file: string, why: string): MasterFailure {
  return new MasterFailure('io', `error processing netctl config: ${why}`, {
    cause: `the file is ${file}`,
    next: 'Remove it, and log in again: netctl login',
  });
}

/** Readable for this user only; never half written. */
export async function keepToken(file: string, token: string): Promise<void> {
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    const fresh = `${file}.${process.pid}`;
    await writeFile(fresh, `${JSON.stringify({ token })}\n`, { mode: 0o600 });
    await rename(fresh, file);
  } catch (error) {
    throw new MasterFailure('io', `cannot keep the token in ${file}: ${(error as Error).message}`, {
      next: 'Make the folder writable for you, or give the token with --token each time.',
    });
  }
}
