import { type Check, type Finding, fail, orOk, warn } from '../check.ts';

/** This code did not exist before; a clock that says so has lost its battery. */
const earliest = Date.parse('2026-01-01T00:00:00Z');
/** Clocks that differ by less do no harm. */
const tolerance = 60_000;

/** Certificates, logs and ages are wrong when the clock is; leases and journals do not depend on it. */
export const clock: Check = {
  name: 'clock',
  look({ now, clockSynchronised, agent }) {
    const findings: Finding[] = [];
    if (now < earliest) {
      findings.push(fail(`the clock says ${new Date(now).toISOString()}`, 'timedatectl set-ntp true'));
    } else if (clockSynchronised === false) {
      findings.push(warn('the clock is not synchronised', 'timedatectl set-ntp true'));
    }
    const newest = 'networks' in agent ? Math.max(...agent.networks.map(({ createdAt }) => Date.parse(createdAt))) : 0;
    if (newest > now + tolerance) {
      findings.push(
        warn(
          `the clock went back: a network was made at ${new Date(newest).toISOString()}, which is still to come`,
          'timedatectl set-ntp true',
        ),
      );
    }
    return orOk(findings, `it is ${new Date(now).toISOString()}`);
  },
};
