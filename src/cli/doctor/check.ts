/** One thing to look after. Each has a file of its own in `checks/`, and a line in `checks.ts`. */

import type { Facts } from './facts.ts';

export interface Finding {
  /** `ok`: nothing to do. `warn`: something will or may go wrong. `fail`: something does not work now. */
  readonly level: 'ok' | 'warn' | 'fail';
  /** One sentence, without a full stop. */
  readonly message: string;
  /** The one command that mends it; always there unless all is well. */
  readonly fix?: string;
}

export interface Check<Of = Facts> {
  /** As it stands in the output, and in `--json`. */
  readonly name: string;
  /** What was found; pure. Nothing at all when there is nothing to look at on this host. */
  readonly look: (facts: Of) => readonly Finding[];
}

export function ok(message: string): Finding {
  return { level: 'ok', message };
}

export function warn(message: string, fix: string): Finding {
  return { level: 'warn', message, fix };
}

export function fail(message: string, fix: string): Finding {
  return { level: 'fail', message, fix };
}

/** What was found, or that all is well. */
export function orOk(findings: readonly Finding[], message: string): readonly Finding[] {
  return findings.length > 0 ? findings : [ok(message)];
}
