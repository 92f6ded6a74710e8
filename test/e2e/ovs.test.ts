/** The physical network by way of an Open vSwitch bridge (`-o mode=ovs`), on both of its datapaths. */

import { afterEach, describe } from 'node:test';
import { attachments } from './suites/ovs-attach.ts';
import { faults } from './suites/ovs-faults.ts';
import { noPortLeft, ovsStage } from './suites/ovs-stage.ts';
import { traffic } from './suites/ovs-traffic.ts';
import { inUml } from './suites/ovs-uml.ts';

describe('lan on an Open vSwitch bridge in a guest', () => inUml());

describe('lan on an Open vSwitch bridge', () => {
  const stage = ovsStage();
  afterEach(() => noPortLeft(stage));
  describe('traffic', () => traffic(stage));
  describe('attachments', () => attachments(stage));
  describe('faults', () => faults(stage));
});
