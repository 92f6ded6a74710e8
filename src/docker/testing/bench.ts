/** A server with recording drivers on a socket of its own, for tests. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { createPluginServer, type PluginServerOptions } from '../plugin-server.ts';
import { call } from './client.ts';
import { type FakeDrivers, fakeDrivers } from './fake-drivers.ts';
import { create, pool } from './hostile-requests.ts';

export interface Bench {
  readonly path: string;
  readonly directory: string;
  readonly drivers: FakeDrivers;
  close(): Promise<void>;
}

export async function startBench(
  options: Partial<PluginServerOptions> = {},
  changes: Parameters<typeof fakeDrivers>[0] = {},
): Promise<Bench> {
  const directory = mkdtempSync(join(tmpdir(), 'plugin-'));
  const path = join(directory, 'berth.sock');
  const drivers = fakeDrivers(changes);
  const { network, ipam } = drivers;
  const server = createPluginServer({ name: 'berth', network, ipam, logger: pino({ level: 'silent' }), ...options });
  await server.listen({ kind: 'unix', path });
  return {
    path,
    directory,
    drivers,
    close: async () => {
      await server.close();
      rmSync(directory, { recursive: true });
    },
  };
}

/** What every error must look like. */
export function assertOneLine(json: Readonly<Record<string, unknown>> | undefined, error: RegExp): void {
  assert.ok(json !== undefined);
  assert.deepEqual(Object.keys(json), ['Err', 'Error']);
  assert.equal(json.Err, json.Error);
  const message = json.Err as string;
  assert.match(message, error);
  assert.doesNotMatch(message, /[\p{Cc}\p{Cf}\p{Cs}]/u);
  assert.ok(message.length <= 400, `${message.length} characters`);
}

export async function assertGoodRequestWorks({ path, drivers }: Bench): Promise<void> {
  const before = drivers.calls.length;
  const good = await call(path, create, pool('10.1.0.0/24', { Gateway: '10.1.0.1/24' }));
  assert.deepEqual([good.status, good.json], [200, {}]);
  assert.equal(drivers.calls.length, before + 1);
}
