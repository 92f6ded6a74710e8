import { type Finding, fail, ok, warn } from '../../check.ts';
import type { NeutronCheck } from '../checks.ts';

const KINDS = ['port', 'network', 'subnet'] as const;
/** Of the limit; from here on it is told. */
const NEARLY = 0.9;

/** How much more the project may have. */
export const quota: NeutronCheck = {
  name: 'quota',
  look({ quota: told }): readonly Finding[] {
    if (told === undefined) return [];
    if ('error' in told) return [warn(told.error, told.next)];
    const { value } = told;
    const known = KINDS.flatMap((kind) => (value[kind] === undefined ? [] : [{ kind, ...value[kind] }]));
    const findings = known.flatMap(({ kind, limit, used, reserved }): Finding[] => {
      const taken = used + reserved;
      if (limit < 0 || taken < limit * NEARLY) return [];
      const fix = `openstack quota set --${kind}s ${Math.max(10, limit * 2)} PROJECT`;
      const sentence = `${taken} of ${limit} ${kind}s of the project are used`;
      return [taken >= limit ? fail(sentence, fix) : warn(sentence, fix)];
    });
    if (findings.length > 0) return findings;
    const all = known.map(({ kind, limit, used }) => `${used} of ${limit < 0 ? 'any number of' : limit} ${kind}s`);
    return [ok(all.join(', '))];
  },
};
