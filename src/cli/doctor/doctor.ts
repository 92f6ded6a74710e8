/** `berth doctor`: looks at this host, and says for each fault the one command that mends it. */

import { type ExitCode, exitCode } from '../failure.ts';
import type { Session, Work } from '../session.ts';
import type { Check, Finding } from './check.ts';
import { checks } from './checks.ts';
import type { Facts } from './facts.ts';
import { type DoctorOptions, gatherFacts } from './gather.ts';
import { neutronChecks } from './neutron/checks.ts';
import type { NeutronFacts } from './neutron/facts.ts';
import { gatherNeutron, type NeutronDoctorOptions } from './neutron/gather.ts';

/** As `--json` prints them. */
export interface NamedFinding extends Finding {
  readonly check: string;
}

export const doctor: Work = async (session, [what], options) => {
  const findings =
    what === 'neutron'
      ? look(neutronChecks, await session.progress('asking OpenStack', aboutNeutron(session, options)))
      : examine(await session.progress('looking at this host', aboutHost(session, options)));
  session.show(findings, (all) => doctorText(all, options.all === true));
  return verdict(findings);
};

const aboutHost = (session: Session, options: unknown): Promise<Facts> =>
  gatherFacts(session, options as DoctorOptions);

const aboutNeutron = (session: Session, options: unknown): Promise<NeutronFacts> =>
  gatherNeutron(session, options as NeutronDoctorOptions, process.env);

export const examine = (facts: Facts): NamedFinding[] => look(checks, facts);

export function look<Of>(all: readonly Check<Of>[], facts: Of): NamedFinding[] {
  return all.flatMap(({ name, look: at }) => at(facts).map((finding) => ({ check: name, ...finding })));
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
