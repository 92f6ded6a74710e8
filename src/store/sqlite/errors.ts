/** SQLite's result codes (https://www.sqlite.org/rescode.html) as errors for users. */

import { asBerthError, BerthError } from '../../model/errors.ts';

const BUSY = 5;
const LOCKED = 6;
const CORRUPT = 11;
const FULL = 13;
const NOTADB = 26;

/**
 * Any error of `node:sqlite` or of the file system as a BerthError about the store file: STORE_FULL, STORE_CORRUPT and
 * STATE_LOCKED are certain to have changed nothing; everything else is STORE_UNAVAILABLE, of which nothing is certain. An
 * error of neither is a defect, INTERNAL.
 */
export function storeError(thrown: unknown, path: string): BerthError {
  if (thrown instanceof BerthError) return thrown;
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  const options = { cause: thrown };
  switch (resultCode(thrown)) {
    case FULL:
    case 'ENOSPC':
    case 'EDQUOT':
      return new BerthError('STORE_FULL', `no space is left on the disk of ${path}`, options);
    case CORRUPT:
    case NOTADB:
      return new BerthError('STORE_CORRUPT', `the state file ${path} is damaged: ${reason}`, options);
    case BUSY:
    case LOCKED:
      return new BerthError('STATE_LOCKED', `the state file ${path} is in use by another process`, options);
    case undefined:
      return asBerthError(thrown);
    default:
      return new BerthError('STORE_UNAVAILABLE', `the state file ${path} cannot be used: ${reason}`, options);
  }
}

/** SQLite's primary result code, the lowest byte of an extended one, or the name of an operating system error. */
function resultCode(thrown: unknown): number | string | undefined {
  if (!(thrown instanceof Error)) return undefined;
  if ('errcode' in thrown && typeof thrown.errcode === 'number') return thrown.errcode & 0xff;
  return 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined;
}
