/** What is written down around the programs that wire ports, and what becomes of their failures. */

import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { HeldPort } from '../../fabric/neutron/port-state.ts';
import type { Fastened } from '../../fabric/neutron/records.ts';
import { BerthError } from '../../model/errors.ts';
import type { EndpointId, NetworkId } from '../../model/ids.ts';
import { parseMac } from '../../model/mac.ts';
import { within } from '../../openstack/bounds.ts';
import { createPlugging } from './plugging.ts';

const endpoint = 'e'.repeat(64) as EndpointId;
let bindir: string;
beforeEach(() => (bindir = mkdtempSync(join(tmpdir(), 'berth-plugging-'))));
afterEach(() => rmSync(bindir, { recursive: true }));

function plugging(type: string, active?: () => Promise<void>) {
  const told: string[] = [];
  const written: (Fastened | undefined)[] = [];
  let port: HeldPort = {
    key: 'k',
    phase: 'held',
    origin: 'created',
    network: 'a'.repeat(64) as NetworkId,
    port: 'p1',
    mac: parseMac('02:00:00:00:00:07')!,
    addresses: [],
    endpoint,
    binding: { type, details: {}, nic: 'normal' },
    createdAt: 0,
  };
  const ports = {
    of: () => port,
    fasten(_key: string, fastened: Fastened | undefined) {
      const { fastened: _before, ...rest } = port;
      port = { ...rest, ...(fastened && { fastened }) };
      written.push(fastened);
      return Promise.resolve();
    },
  };
  const failed = (_endpoint: EndpointId, sentence: string) => void told.push(sentence);
  return { ...createPlugging({ ports, bindir, active, failed }), told, written };
}

function program(name: string, text: string): void {
  writeFileSync(join(bindir, name), `#!/bin/sh\necho "$1" >>${bindir}/calls\n${text}\n`);
  chmodSync(join(bindir, name), 0o755);
}
const calls = () => (existsSync(join(bindir, 'calls')) ? readFileSync(join(bindir, 'calls'), 'utf8').trim() : '');

describe('a port that a program wires', () => {
  it('is written down before the program runs, and forgotten after it has undone that', async () => {
    program('odd', '');
    const { plugged, unplugging, written } = plugging('odd');
    await plugged(endpoint, 'n1', within(9000));
    assert.deepEqual(written, [{ by: 'executable', file: join(bindir, 'odd'), network: 'n1', endpoint }]);
    await unplugging(endpoint, within(9000));
    await unplugging(endpoint, within(9000));
    assert.equal(calls(), 'bind\nunbind');
    assert.deepEqual(written.slice(1), [undefined]);
  });

  it('is undone though the program failed, and a failure of that is told and holds up nobody', async () => {
    program('odd', 'exit 7');
    const { plugged, unplugging, told, written } = plugging('odd');
    await assert.rejects(plugged(endpoint, 'n1', within(9000)), { code: 'PORT_PROGRAM_FAILED' });
    await unplugging(endpoint, within(9000));
    assert.equal(calls(), 'bind\nunbind');
    assert.match(told.join(), /odd unbind of the port p1 failed with status 7/);
    assert.equal(written.at(-1), undefined);
  });

  it('is waited for after the program', async () => {
    program('odd', '');
    const late = new BerthError('PORT_INACTIVE', 'late');
    const seen: string[] = [];
    const { plugged } = plugging('odd', () => {
      seen.push(calls());
      return Promise.reject(late);
    });
    await assert.rejects(plugged(endpoint, 'n1', within(9000)), late);
    assert.deepEqual(seen, ['bind']);
  });
});

describe('a port that we wire ourselves', () => {
  for (const type of ['bridge', 'ovs', 'tap'])
    it(`needs no program, though there is one: ${type}`, async () => {
      program(type, '');
      const { plugged, unplugging, written } = plugging(type);
      await plugged(endpoint, 'n1', within(9000));
      await unplugging(endpoint, within(9000));
      assert.equal(calls(), '');
      assert.deepEqual(written, []);
    });
});
