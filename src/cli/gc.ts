/** `berth gc`: what nothing needs any more. */

import type { GarbageView } from '../agent/api.ts';
import { exitCode } from './failure.ts';
import type { Work } from './session.ts';
import { shortId, table } from './table.ts';

const timeout = 300_000;

export const gc: Work = async (session, _args, options) => {
  const apply = options.apply === true;
  const garbage = await session.progress(
    apply ? 'removing' : 'looking',
    session.client.post<readonly GarbageView[]>('/v1/gc', { apply }, { timeout }),
  );
  session.show(garbage, (items) => gcText(items, apply));
  return apply && garbage.some(({ removed }) => !removed) ? exitCode.failed : exitCode.ok;
};

export function gcText(garbage: readonly GarbageView[], apply: boolean): string {
  if (garbage.length === 0) return 'nothing to remove\n';
  const rows = table(garbage, [
    { title: 'KIND', text: ({ kind }) => kind },
    { title: 'ID', text: ({ id }) => shortId(id) },
    { title: 'REMOVED', text: ({ removed }) => (removed ? 'yes' : 'no') },
    { title: 'WHY', text: ({ reason }) => reason },
  ]);
  return apply ? rows : `${rows}\nNothing was removed. To remove them: berth gc --apply\n`;
}
