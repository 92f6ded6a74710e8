/** `berth audit`: where the kernel is not what Berth declares. */

import type { DriftView } from '../agent/api.ts';
import { exitCode } from './failure.ts';
import type { Work } from './session.ts';

/** A pass over ten thousand objects takes seconds; repairing all of them, minutes. */
const timeout = 300_000;

export const audit: Work = async (session, _args, options) => {
  const repair = options.repair === true;
  const drifts = await session.progress(
    repair ? 'comparing and repairing' : 'comparing',
    session.client.post<readonly DriftView[]>('/v1/audit', { repair }, { timeout }),
  );
  session.show(drifts, auditText);
  return drifts.every(({ repaired }) => repaired) ? exitCode.ok : exitCode.failed;
};

/** Each difference with its fields, and a sum. */
export function auditText(drifts: readonly DriftView[]): string {
  if (drifts.length === 0) return 'no drift: the kernel is as declared\n';
  const remaining = drifts.filter(({ repaired }) => !repaired).length;
  const sum =
    remaining === 0 ? `${drifts.length} repaired` : `${remaining} remain, ${drifts.length - remaining} repaired`;
  return `${drifts.map(driftText).join('')}${sum}\n`;
}

function driftText({ key, owners, what, fields, repaired, error }: DriftView): string {
  const state = repaired ? 'repaired' : error === undefined ? 'drifted' : `not repaired: ${error}`;
  const details = fields.map(({ name, declared, found }) => `    ${name}: declared ${declared}, found ${found}\n`);
  return `${key} is ${what} (${state})\n    wanted by ${owners.join(', ')}\n${details.join('')}`;
}
