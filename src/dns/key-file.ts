/** TSIG keys in the form of BIND's configuration, as `tsig-keygen` writes them. */

import { open } from 'node:fs/promises';
import { type DomainName, parseName } from './name.ts';

export const algorithms = { 'hmac-sha256': 'sha256', 'hmac-sha512': 'sha512' } as const;
export type Algorithm = keyof typeof algorithms;

export interface TsigKey {
  readonly name: DomainName;
  readonly algorithm: Algorithm;
  readonly secret: Uint8Array;
}

/**
 * The one key in a file such as `key "berth" { algorithm hmac-sha256; secret "…"; };`, comments allowed.
 *
 * @returns why it is not readable, in words that follow "the key file …"; never a part of what is in it.
 */
export function parseKeyFile(text: string): TsigKey | { readonly problem: string } {
  const plain = text.replaceAll(/"[^"]*"|\/\*[\s\S]*?\*\/|(?:\/\/|#)[^\n]*/g, (part) =>
    part.startsWith('"') ? part : ' ',
  );
  const keys = [...plain.matchAll(/\bkey\s+("[^"]*"|[^\s{";]+)\s*\{([^{}]*)\}/g)];
  if (keys.length !== 1) return { problem: keys.length === 0 ? 'has no key in it' : 'has more than one key in it' };
  const [, quoted, body] = keys[0] as unknown as [string, string, string];
  const name = parseName(quoted.replaceAll('"', ''));
  if (name === undefined) return { problem: 'names its key with what is no domain name' };
  const clause = (what: string): string | undefined =>
    new RegExp(`(?:^|[;\\s])${what}\\s+"?([^";\\s]+)"?\\s*(?:;|$)`).exec(body)?.[1];
  const algorithm = clause('algorithm')?.toLowerCase().replace(/\.$/, '');
  if (algorithm === undefined || !(algorithm in algorithms))
    return { problem: `has a key of another algorithm than ${Object.keys(algorithms).join(' and ')}` };
  const secret = clause('secret');
  if (secret === undefined || !/^[A-Za-z0-9+/]+={0,2}$/.test(secret)) return { problem: 'has a key without a secret' };
  return { name, algorithm: algorithm as Algorithm, secret: Buffer.from(secret, 'base64') };
}

/** Whoever can write to it could have Berth sign with a key of theirs; whoever can read it can change the zone. */
const FORBIDDEN_MODE = 0o027;
const LONGEST = 64 * 1024;

/**
 * Reads the key in a file that only its owner, and perhaps its group, may read.
 *
 * @returns why it cannot be used, in words that follow "the key file …".
 */
export async function readKeyFile(path: string): Promise<TsigKey | { readonly problem: string }> {
  try {
    await using file = await open(path, 'r');
    const about = await file.stat();
    if (!about.isFile()) return { problem: 'is no file' };
    if ((about.mode & FORBIDDEN_MODE) !== 0) {
      return { problem: `can be read or changed by others (mode ${(about.mode & 0o777).toString(8)}): chmod 600` };
    }
    if (about.size > LONGEST) return { problem: 'is too long for a key' };
    return parseKeyFile(await file.readFile('utf8'));
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException;
    return { problem: code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})` };
  }
}
