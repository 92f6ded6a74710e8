/** The physical network, the drivers `berth-lan` and `local`. */

import { describe } from 'node:test';
import type { EngineVersion } from '../bed/engines.ts';
import { compose } from './lan-compose.ts';
import { macvlan } from './lan-macvlan.ts';
import { nic } from './lan-nic.ts';
import { ownBridge } from './lan-own-bridge.ts';
import { lanStage } from './lan-stage.ts';
import { transcript } from './lan-transcript.ts';
import { uplink } from './lan-uplink.ts';

export function lanSuite(engine: EngineVersion): void {
  describe(`lan on ${engine}`, () => {
    const stage = lanStage(engine);
    describe('transcript', () => transcript(stage));
    describe('a bridge of our own', () => ownBridge(stage));
    describe('macvlan', () => macvlan(stage));
    describe('nic', () => nic(stage));
    describe('compose', () => compose(stage));
    describe('uplink', () => uplink(stage));
  });
}
