/** Networks of the cluster that are VLANs, in a User-Mode Linux guest: this machine's kernel may have none. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runInUml } from './bed/uml.ts';

test('networks on VLANs', async () => {
  const { code, output } = await runInUml(`cd $BERTH_REPOSITORY && node -e '
      import("./src/fabric/cluster/vlan.test-cases.ts").then((cases) => cases.exerciseVlans()).then(() => {
        console.log("all of it works");
        process.exit(0);
      }).catch((error) => {
        console.error(error);
        process.exit(1);
      });'`);
  assert.equal(code, 0, output);
  assert.match(output, /all of it works/);
});
