/** A host with the LAN's bridge `br0` and containers on any network, and how tests call `berth attach` there. */

import assert from 'node:assert/strict';
import type { AttachmentView } from '../../../src/agent/api.ts';
import type { EngineVersion } from '../bed/engines.ts';
import type { Host } from '../bed/host.ts';
import { waitFor } from '../bed/process.ts';
import { interfaces } from './containers.ts';
import { GATEWAY, HOST, HOST6, OTHER, OTHER6 } from './lan-stage.ts';
import { setStage } from './stage.ts';

/** Short, so that what is tried again is tried again soon, and nothing lingers. */
export const FLAGS = ['--gc-grace', '1', '--audit-interval', '2', '--linger', '0'];

export function attachStage(engine: EngineVersion) {
  return setStage(engine, async (bed, version) => {
    const [lan, host] = await Promise.all([
      bed.lan({
        subnet: '192.168.159.0/24',
        gateway: GATEWAY,
        subnet6: 'fd00:159::/64',
        gateway6: 'fd00:159::2',
        nat: false,
      }),
      bed.host('host', { engine: version, underlay: false }),
    ]);
    const other = await lan.machine('other', `${OTHER}/24`, `${OTHER6}/64`);
    await lan.plug(host, { bridge: 'br0', addresses: [`${HOST}/24`, `${HOST6}/64`], gateway: true });
    await host.startBerth(FLAGS);
    return { host, lan, other };
  });
}

/** `berth` with its arguments as one line; what it prints with `--json`. */
export async function berth<Answer>(host: Host, line: string): Promise<Answer> {
  const { code, stdout, stderr } = await host.berth('--json', ...line.trim().split(/\s+/));
  assert.equal(code, 0, `berth ${line}: ${stderr}`);
  return JSON.parse(stdout) as Answer;
}

export const attach = (host: Host, line: string): Promise<AttachmentView> => berth(host, `attach ${line}`);

/** Fails unless the command fails; what it wrote. */
export async function berthFails(host: Host, line: string): Promise<string> {
  const { code, stdout, stderr } = await host.berth(...line.trim().split(/\s+/));
  assert.notEqual(code, 0, `berth ${line} succeeded: ${stdout}`);
  return stderr;
}

/** Waits until a container has an interface with exactly these addresses. */
export async function hasAddresses(host: Host, container: string, name: string, addresses: readonly string[]) {
  let seen = '';
  await waitFor(
    () => `${container} to have ${name} with ${addresses.join(', ')}, not ${seen}`,
    async () => {
      const found = (await interfaces(host, container)).find((link) => link.name === name);
      seen = JSON.stringify(found);
      return found !== undefined && found.addresses.join() === addresses.join();
    },
    30_000,
    50,
  );
}
