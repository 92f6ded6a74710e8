import { type Check, fail, orOk, warn } from '../check.ts';
import { keeper } from '../keeper.ts';

/** The agent answers, is well, and is of the same version as this command. */
export const agent: Check = {
  name: 'agent',
  look(facts) {
    const { agent: found, version, isRoot } = facts;
    const { start, restart, log } = keeper(facts);
    if ('error' in found) return [fail(found.error, isRoot ? start : 'sudo berth doctor')];
    const { status } = found;
    const findings = status.problems.map((problem) => (status.healthy ? warn : fail)(problem, log));
    if (status.version !== version) {
      findings.push(warn(`the agent is version ${status.version} and this command ${version}`, restart));
    }
    if (status.audit.drifts > status.audit.repaired) {
      const count = status.audit.drifts - status.audit.repaired;
      findings.push(warn(`${count} drifts of the kernel were not repaired`, 'berth audit --repair'));
    }
    return orOk(findings, `version ${status.version} answers, pid ${status.pid}`);
  },
};
