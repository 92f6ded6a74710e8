import { type Finding, fail, ok, warn } from '../../check.ts';
import type { NeutronCheck } from '../checks.ts';

/** The ports of this host are bound. */
export const ports: NeutronCheck = {
  name: 'ports',
  look({ ports: told, host, agent }): readonly Finding[] {
    if (told === undefined) return [];
    if ('error' in told) return [warn(told.error, told.next)];
    const failed = told.value.filter(({ vif }) => vif === 'binding_failed');
    const findings: Finding[] = failed.map(({ id }) =>
      fail(`Neutron could not bind the port ${id} to ${host}`, `openstack network agent list --host ${host}`),
    );
    const waiting = 'status' in agent ? agent.status?.waiting : undefined;
    if (waiting?.problem !== undefined)
      findings.push(warn(`${waiting.count} of this host wait to be removed: ${waiting.problem}`, 'berth status'));
    return findings.length > 0 ? findings : [ok(`${told.value.length} of ${host}`)];
  },
};
