/** For tests of what is around it: a LAN on which nobody has any address. */

import type { Conflicts } from '../conflicts/conflicts.ts';

export const noConflicts: Conflicts = {
  refuseOwn() {},
  begin() {},
  settle: () => Promise.resolve(),
  resume() {},
  left() {},
  avoids: () => false,
  screens: () => false,
  claimOn: () => Promise.resolve(undefined),
  of: () => [],
  all: () => new Map(),
  close() {},
};
