/** Docker's own repertoire on virtual networks, the driver `berth`. */

import { describe } from 'node:test';
import type { EngineVersion } from '../bed/engines.ts';
import { addressing } from './docker-addressing.ts';
import { attaching } from './docker-attaching.ts';
import { crowd } from './docker-crowd.ts';
import { dockerStage } from './docker-stage.ts';
import { traffic } from './docker-traffic.ts';

export function dockerSuite(engine: EngineVersion): void {
  describe(`docker on ${engine}`, () => {
    const stage = dockerStage(engine);
    describe('addresses', () => addressing(stage));
    describe('attaching', () => attaching(stage));
    describe('traffic', () => traffic(stage));
    describe('a crowd', () => crowd(stage));
  });
}
