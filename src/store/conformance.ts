/**
 * What every store must do, as tests: the executable form of `store.ts`. An implementation calls `describeStore` from its own
 * test file; the layers above rely on nothing that is not checked here.
 */

import { describe, it } from 'node:test';
import { keys } from './conformance/keys.ts';
import { leases } from './conformance/leases.ts';
import type { Scenario, StoreUnderTest } from './conformance/scenario.ts';
import { watching } from './conformance/watching.ts';

const scenarios: Record<string, Scenario> = { ...keys, ...watching, ...leases };

/** Runs the suite on an implementation; `open` gives a new, empty store for each test. */
export function describeStore(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`the store ${name}`, () => {
    for (const [title, scenario] of Object.entries(scenarios)) {
      it(title, { timeout: 30_000 }, async () => {
        const under = await open();
        try {
          await scenario(under.store, under.reopen);
        } finally {
          await under.close();
        }
      });
    }
  });
}

/** For the tests of what one store alone must do. */
export { committed, put, take, write } from './conformance/scenario.ts';
