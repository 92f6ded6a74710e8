/** Errors on standard error: first the line that netctl always wrote (programs look for it), then why, and what to do. */

import type { FailureKind, MasterFailure } from './failure.ts';

/** Contiv's: 1 for help and wrong use, 3 for what a master refused or could not be asked, 4 for files. */
export const netctlExit: Readonly<Record<FailureKind, number>> = {
  usage: 1,
  refused: 3,
  notFound: 3,
  denied: 3,
  unreachable: 3,
  io: 4,
};

/** @param now milliseconds since 1970. */
export function errorText({ message, because, next }: MasterFailure, now: number): string {
  const time = new Date(now).toISOString().replace(/\.[0-9]+Z$/, 'Z');
  return [
    `time="${time}" level=error msg="${message}"\n`,
    because === undefined ? '' : `  cause: ${because}\n`,
    next === undefined ? '' : `  next: ${next}\n`,
  ].join('');
}
