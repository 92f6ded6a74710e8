import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

const isolateUrl = JSON.stringify(new URL('./isolate.ts', import.meta.url).href);
const linuxUrl = JSON.stringify(new URL('./linux.ts', import.meta.url).href);

/** A process that ends without closing the kernel, in the midst of events. */
const program = (end: string) => `
  const { isolate } = await import(${isolateUrl});
  const { openKernel } = await import(${linuxUrl});
  isolate();
  const kernel = await openKernel();
  await kernel.apply('n', [{ kind: 'link', type: 'bridge', name: 'br1', up: true }]);
  for (let i = 0; i < 500; i++) {
    const link = { kind: 'link', type: 'veth', name: 'bt' + i, up: true, master: 'br1', peer: { name: 'bp' + i } };
    kernel.apply('e' + i, [link]).catch(() => {});
  }
  setTimeout(() => { ${end} }, 150);`;

for (const [how, end, status] of [
  ['an exit', 'process.exit(7)', 7],
  ['an uncaught error', 'throw new Error("defect")', 1],
] as const) {
  test(`${how} in the midst of kernel events is just that, not a crash of the thread`, () => {
    // Three times: without care it crashes more often than not.
    for (let round = 0; round < 3; round++) {
      const child = spawnSync(process.execPath, ['-e', program(end)], {
        encoding: 'utf8',
        timeout: 20_000,
      });
      assert.deepEqual([child.status, child.signal], [status, null], child.stderr);
    }
  });
}
