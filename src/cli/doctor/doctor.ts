/** `berth doctor`: looks at this host, and says for each fault the one command that mends it. */

import { type ExitCode, exitCode } from '../failure.ts';
import type { Work } from '../session.ts';
import type { Finding } from './check.ts';
import { checks } from './checks.ts';
import type { Facts } from './facts.ts';
import { type DoctorOptions, gatherFacts } from './gather.ts';

/** As `--json` prints them. */
export interface NamedFinding extends Finding {
  readonly check: string;
}

export const doctor: Work = async (session, _args, options) => {
  const facts = await session.progress(
    'looking at this host',
    gatherFacts(session, options as unknown as DoctorOptions),
  );
  const findings = examine(facts);
  session.show(findings, (all) => doctorText(all, options.all === true));
  return verdict(findings);
};

export function examine(facts: Facts): NamedFinding[] {
  return checks.flatMap(({ name, look }) => look(facts).map((finding) => ({ check: name, ...finding })));
}

export function verdict(findings: readonly NamedFinding[]): ExitCode {
  return findings.some(({ level }) => level === 'fail') ? exitCode.failed : exitCode.ok;
}

/** @param all also what is well. */
export function doctorText(findings: readonly NamedFinding[], all: boolean): string {
  const count = (level: Finding['level']): number => findings.filter((finding) => finding.level === level).length;
  const shown = findings.filter(({ level }) => all || level !== 'ok');
  const width = Math.max(...findings.map(({ check }) => check.length));
  const lines = shown.map(({ check, level, message, fix }) => {
    const line = `${level.padEnd(4)}  ${check.padEnd(width)}  ${message}\n`;
    return fix === undefined ? line : `${line}${' '.repeat(width + 8)}fix: ${fix}\n`;
  });
  return `${lines.join('')}${count('ok')} ok, ${count('warn')} warnings, ${count('fail')} failures\n`;
}
