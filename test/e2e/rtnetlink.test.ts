import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runInUml } from './bed/uml.ts';

test('User-Mode Linux: vlan, ipvlan, dummy, VLAN-aware bridges and fq_codel, which this kernel may lack', async () => {
  const { code, output } = await runInUml(`
    cd $BERTH_REPOSITORY
    node -e '
      import("./src/kernel/rtnetlink/uml.test-cases.ts").then((cases) => {
        cases.exerciseLackingKinds();
        console.log("all exercised");
      });'`);
  assert.equal(code, 0, output);
  assert.match(output, /^all exercised$/m);
});
