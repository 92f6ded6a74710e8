import { type Finding, fail, ok, warn } from '../../check.ts';
import type { NeutronCheck } from '../checks.ts';

/** kuryr.conf is read as the agent reads it, with every mistake in it. */
export const conf: NeutronCheck = {
  name: 'kuryr.conf',
  look({ conf: found }): readonly Finding[] {
    if ('error' in found) return [fail(found.error, 'berth doctor neutron --kuryr-conf FILE')];
    const { files, problems, remarks } = found;
    const [last = '/etc/kuryr/kuryr.conf'] = files.slice(-1);
    const edit = `editor ${last}`;
    const findings = [
      ...problems.map((problem) => fail(problem, edit)),
      ...remarks.map((remark) => warn(remark, /chmod \S+ \S+$/.exec(remark)?.[0] ?? edit)),
    ];
    return findings.length > 0 ? findings : [ok(files.join(', ') || 'all is in the environment')];
  },
};
