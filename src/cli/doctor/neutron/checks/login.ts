import { type Finding, fail, ok } from '../../check.ts';
import type { NeutronCheck } from '../checks.ts';

/** Keystone gives a token, for a project. */
export const login: NeutronCheck = {
  name: 'Keystone',
  look({ identity }): readonly Finding[] {
    if (identity === undefined) return [];
    if ('error' in identity) return [fail(identity.error, identity.next)];
    const { value } = identity;
    if (value === undefined) return [ok('there is none: kuryr.conf goes without')];
    const { userId, userName = userId, projectId, projectName = projectId, roles } = value;
    if (projectId === undefined)
      return [
        fail(`the token of ${userName} is for no project`, 'set project_name and project_domain_name in kuryr.conf'),
      ];
    return [ok(`${userName} in the project ${projectName}, with ${roles.join(', ') || 'no role'}`)];
  },
};
