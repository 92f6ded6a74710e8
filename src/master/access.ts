/** Who may do what: tokens from a file, each with a name, a role and perhaps an end. */

import { createHash, timingSafeEqual } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { BerthError } from '../model/errors.ts';
import type { ApiRequest } from './http.ts';

export interface Access {
  /**
   * @returns who asks; undefined when nobody needs a token.
   * @throws BerthError TOKEN_MISSING, TOKEN_REFUSED, BAD_TOKEN_FILE
   */
  identify(request: Pick<ApiRequest, 'header'>): Promise<Identity | undefined>;
}

export interface Identity {
  readonly name: string;
  readonly role: 'admin' | 'read';
}

/** @throws BerthError TOKEN_READ_ONLY */
export function authorize(identity: Identity | undefined, method: string): void {
  if (identity === undefined || identity.role === 'admin' || method === 'GET' || method === 'HEAD') return;
  throw new BerthError('TOKEN_READ_ONLY', `the token of ${identity.name} is for reading only`);
}

interface Token extends Identity {
  readonly digest: Buffer;
  /** Milliseconds since the epoch. */
  readonly expires: number | undefined;
}

export const openAccess: Access = { identify: () => Promise.resolve(undefined) };

/**
 * Tokens of a file, which is read again when it has changed: a token that is taken out of it is refused from then on.
 * One token per line: `NAME admin|read TOKEN [EXPIRY]`, where TOKEN is the text itself or `sha256:` and its digest, and EXPIRY a
 * time such as 2027-01-31T00:00:00Z.
 *
 * @param now wall clock in milliseconds.
 * @throws BerthError BAD_TOKEN_FILE when the file cannot be read or is not of that form.
 */
export async function tokenAccess(path: string, now: () => number = Date.now): Promise<Access> {
  let read = { changed: -1, tokens: [] as readonly Token[] };
  const tokens = async (): Promise<readonly Token[]> => {
    try {
      const { mtimeMs } = await stat(path);
      if (mtimeMs !== read.changed) read = { changed: mtimeMs, tokens: parseTokens(await readFile(path, 'utf8')) };
      return read.tokens;
    } catch (error) {
      if (error instanceof BerthError) throw error;
      const why = error instanceof Error ? error.message : String(error);
      throw new BerthError('BAD_TOKEN_FILE', `the token file cannot be read: ${why}`, { cause: error });
    }
  };
  await tokens();
  return {
    async identify({ header }) {
      const given = /^Bearer +(\S+)$/i.exec(header('authorization') ?? '')?.[1] ?? header('x-auth-token');
      if (given === undefined || given === '') throw new BerthError('TOKEN_MISSING', 'a token is needed');
      const digest = digestOf(given);
      const token = (await tokens()).find((known) => timingSafeEqual(known.digest, digest));
      if (token === undefined) throw new BerthError('TOKEN_REFUSED', 'the token is not known');
      if (token.expires !== undefined && now() >= token.expires) {
        throw new BerthError('TOKEN_REFUSED', `the token of ${token.name} has expired`);
      }
      return token;
    },
  };
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

/** @throws BerthError BAD_TOKEN_FILE naming the line; never its content. */
export function parseTokens(text: string): Token[] {
  const tokens: Token[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (/^\s*(#.*)?$/.test(line)) continue;
    const bad = (why: string) => new BerthError('BAD_TOKEN_FILE', `line ${index + 1} of the token file: ${why}`);
    const [name, role, token, expiry, ...more] = line.trim().split(/\s+/);
    if (name === undefined || token === undefined || more.length > 0) throw bad('NAME ROLE TOKEN [EXPIRY] is wanted');
    if (role !== 'admin' && role !== 'read') throw bad('the role must be admin or read');
    const expires = expiry === undefined ? undefined : Date.parse(expiry);
    if (expires !== undefined && Number.isNaN(expires)) throw bad('the expiry is not a time');
    const hex = /^sha256:([0-9a-f]{64})$/.exec(token)?.[1];
    if (token.startsWith('sha256:') && hex === undefined) throw bad('the digest is not 64 hexadecimal digits');
    if (hex === undefined && token.length < 16) throw bad('the token has fewer than 16 characters');
    tokens.push({ name, role, digest: hex === undefined ? digestOf(token) : Buffer.from(hex, 'hex'), expires });
  }
  return tokens;
}
