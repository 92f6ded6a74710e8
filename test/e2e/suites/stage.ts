/** Where a suite plays: a host with an engine and Berth, set up once for all of its tests. */

import { after, afterEach, before, beforeEach } from 'node:test';
import { type Bed, openBed } from '../bed/bed.ts';
import type { EngineVersion } from '../bed/engines.ts';
import type { Host } from '../bed/host.ts';
import { clear, nothingLeft, nothingListed } from './leftovers.ts';

export interface Stage {
  readonly bed: Bed;
  readonly host: Host;
}

/**
 * Sets the stage for the tests of the current `describe`. After each test all containers and networks are removed, and
 * nothing of Berth may be left; after the last the same is asked for the way a user does.
 *
 * @param build what the suite needs beyond an open bed; it starts the host, with Berth.
 * @returns the stage, once the tests run.
 */
export function setStage<Built extends { readonly host: Host }>(
  engine: EngineVersion,
  build: (bed: Bed, engine: EngineVersion) => Promise<Built>,
): () => Built & Stage {
  let stage: (Built & Stage) | undefined;
  const current = () => {
    if (stage === undefined) throw new Error('The stage is not set');
    return stage;
  };
  before(async () => {
    const bed = await openBed('suite');
    try {
      stage = { ...(await build(bed, engine)), bed };
      await stage.host.image();
    } catch (error) {
      await bed[Symbol.asyncDispose]();
      throw error;
    }
  });
  beforeEach((test) => {
    if ('after' in test) current().bed.watch(test);
  });
  afterEach(async () => {
    const { host } = current();
    await clear(host);
    await nothingLeft(host);
  });
  after(async () => {
    const { bed, host } = current();
    try {
      await nothingListed(host);
    } finally {
      await bed[Symbol.asyncDispose]();
    }
  });
  return current;
}
