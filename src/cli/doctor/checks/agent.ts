import { type Check, fail, orOk, warn } from '../check.ts';

/** The agent answers, is well, and is of the same version as this command. */
export const agent: Check = {
  name: 'agent',
  look({ agent: found, version, isRoot, unit }) {
    if ('error' in found) {
      return [
        fail(found.error, !isRoot ? 'sudo berth doctor' : unit === undefined ? 'berth agent' : 'systemctl start berth'),
      ];
    }
    const { status } = found;
    const findings = status.problems.map((problem) =>
      (status.healthy ? warn : fail)(problem, 'journalctl -u berth -n 50'),
    );
    if (status.version !== version) {
      findings.push(
        warn(`the agent is version ${status.version} and this command ${version}`, 'systemctl restart berth'),
      );
    }
    if (status.audit.drifts > status.audit.repaired) {
      const count = status.audit.drifts - status.audit.repaired;
      findings.push(warn(`${count} drifts of the kernel were not repaired`, 'berth audit --repair'));
    }
    return orOk(findings, `version ${status.version} answers, pid ${status.pid}`);
  },
};
