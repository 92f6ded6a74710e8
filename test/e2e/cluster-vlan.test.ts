/**
 * Contiv's system tests in their VLAN variant (test/systemtests, `…VLAN`), on three hosts in one User-Mode Linux guest: this machine's
 * kernel may have no VLANs. What the guest's kernel lacks itself is nftables but for bridges, so nothing is filtered there.
 */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { build } from 'esbuild';
import { repository } from './bed/machine.ts';
import { runInUml } from './bed/uml.ts';

/** The kernel thread as it is in `dist/`, but for its drivers of packet filters. */
async function withoutFilter(file: string): Promise<void> {
  await build({
    entryPoints: [join(repository, 'src/kernel/worker.ts')],
    outfile: file,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    external: ['koffi'],
    logLevel: 'warning',
    plugins: [
      {
        name: 'no filter',
        setup: ({ onResolve }) =>
          onResolve({ filter: /(nftables\/driver|\/forward-accept)\.ts$/ }, () => ({
            path: join(import.meta.dirname, 'suites/no-filter.ts'),
          })),
      },
    ],
    banner: {
      js: "import { createRequire as createRequireOfBundle } from 'node:module'; const require = createRequireOfBundle(import.meta.url);",
    },
  });
}

const NAMES = [
  'TestBasicStartRemoveContainerVLAN',
  'TestBasicStartStopContainerVLAN',
  'TestInfraNetworkAddDeleteVLAN',
  'TestNetworkAddDeleteVLAN',
  'TestNetworkAddDeleteNoGatewayVLAN',
  'TestNetworkAddDeleteTenantVLAN',
  'TestNetworkAddDeleteTenantArpModeChangeVLAN',
  'TestTriggerNetpluginUplinkUpgrade',
];

test('on VLANs', { timeout: 580_000 }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'berth-vlan-'));
  try {
    const worker = join(folder, 'worker.mjs');
    await withoutFilter(worker);
    const { code, output } = await runInUml(
      `cp ${worker} $BERTH_REPOSITORY/dist/kernel-worker.mjs
      cd $BERTH_REPOSITORY
      node --test --test-reporter=tap test/e2e/suites/vlan-guest.ts || { tail -n 40 /run/lab/*.log; exit 1; }`,
      { memory: 2048, timeout: 560_000 },
    );
    for (const name of NAMES) {
      await t.test(name, () => {
        const [, verdict, details] =
          new RegExp(`^ *(ok|not ok) \\d+ - ${name}$([\\s\\S]*?)^ *\\.\\.\\.$`, 'm').exec(output) ?? [];
        assert.equal(verdict, 'ok', details ?? output);
      });
    }
    if (code !== 0) t.diagnostic(output.slice(output.indexOf('# duration_ms')));
    assert.equal(code, 0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
