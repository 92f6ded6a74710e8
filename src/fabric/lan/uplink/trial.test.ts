import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { afterEach, mock, test } from 'node:test';
import type { Found, HostLink, HostView, KernelStep } from '../../../kernel/kernel.ts';
import type { Mac } from '../../../model/mac.ts';
import type { Json } from '../../../model/network.ts';
import type { FabricContext } from '../../fabric.ts';
import type { UplinkNote } from './note.ts';
import { maintainUplinks } from './trial.ts';

const mac = '02:00:00:00:00:01' as Mac;
const link = (name: string, rest: Partial<HostLink> = {}): HostLink => ({
  index: 2,
  name,
  mac,
  mtu: 1500,
  up: true,
  running: true,
  loopback: false,
  ...rest,
});
const address: Found = { what: 'address', message: '', index: 2, text: '192.168.1.2/24' };
const nobodys = '00000000-0000-0000-0000-000000000000';

const trial = (name: string, rest: Partial<UplinkNote> = {}): UplinkNote => ({
  parent: name,
  bridge: `br-${name}`,
  mac,
  mtu: 1500,
  running: true,
  up: true,
  state: 'trial',
  belongings: [address],
  of: name,
  at: Date.now(),
  settings: {},
  deadline: Date.now() + 5000,
  ...rest,
});

/** A host in memory with a NIC on trial. */
function stage(note: UplinkNote, links: readonly HostLink[]) {
  const notes = new Map<string, Json>([[`uplink/${note.parent}`, note as unknown as Json]]);
  const steps: KernelStep[] = [];
  const host: { links: readonly HostLink[] } = { links };
  const context = {
    networks: [],
    notes: {
      get: (name: string) => Promise.resolve(notes.get(name)),
      list: () => Promise.resolve(notes),
      put: (name: string, value: Json) => Promise.resolve(void notes.set(name, value)),
    },
    kernel: {
      view: () => Promise.resolve({ links: host.links, addresses: [], routes: [] } as HostView),
      belongings: () => Promise.resolve([]),
      execute: (some: readonly KernelStep[]) => Promise.resolve(void steps.push(...some)),
    },
  } as unknown as FabricContext;
  return {
    host,
    steps,
    maintain: () => maintainUplinks(context, () => Promise.resolve()),
    note: () => notes.get(`uplink/${note.parent}`) as unknown as UplinkNote,
  };
}

const both = (name: string) => [link(name, { master: `br-${name}` }), link(`br-${name}`, { index: 3, type: 'bridge' })];

afterEach(() => mock.timers.reset());

test('a clock that is set makes a trial neither longer nor shorter', async () => {
  for (const hours of [-5, 5]) {
    const name = `eth${hours + 5}`;
    mock.timers.enable({ apis: ['Date'], now: Date.parse('2026-01-01') });
    const { maintain, note } = stage(trial(name), both(name));
    assert.ok((await maintain())! <= 5000);
    mock.timers.setTime(Date.now() + hours * 3600_000);
    const left = await maintain();
    assert.ok(left! > 0 && left! <= 5000, `${left} ms`);
    assert.equal(note().state, 'trial');
    mock.timers.reset();
  }
});

test('a clock that was set back while nobody looked makes it an hour at most', async () => {
  const { maintain } = stage(trial('eth2', { deadline: Date.now() + 24 * 3600_000 }), both('eth2'));
  assert.ok((await maintain())! <= 3600_000);
});

test('a bridge that somebody removes while it is on trial ends it, and the NIC gets back what it had', async () => {
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const { maintain, note, steps } = stage(trial('eth3', { boot }), [link('eth3')]);
  await maintain();
  assert.equal(note().state, 'returned');
  assert.match(note().why!, /the bridge br-eth3 was lost/);
  assert.ok(steps.some((step) => 'make' in step && step.make.kind === 'belonging' && step.make.link === 'eth3'));
});

test('after a reboot the NIC is left to whoever configures it', async () => {
  const { maintain, note, steps } = stage(trial('eth4', { boot: nobodys }), [link('eth4')]);
  await maintain();
  assert.equal(note().state, 'returned');
  assert.deepEqual(steps, []);
});
