import { type Finding, fail, ok } from '../../check.ts';
import type { NeutronCheck } from '../checks.ts';

/** The catalogue has Neutron in this region, by this interface, and it answers there. */
export const endpoint: NeutronCheck = {
  name: 'Neutron',
  look({ endpoint: found, extensions }): readonly Finding[] {
    if (found === undefined) return [];
    if ('error' in found) return [fail(found.error, found.next)];
    if (extensions === undefined) return [];
    return 'error' in extensions ? [fail(extensions.error, extensions.next)] : [ok(`answers at ${found.value}`)];
  },
};
