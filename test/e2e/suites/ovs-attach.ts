/** `berth attach` to a bridge of Open vSwitch, as pipework does it. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attach, berth, hasAddresses } from './attach-stage.ts';
import { cannotReach, docker, interfaces, reaches, start } from './containers.ts';
import { OFFICE, type OvsStage, portsOf } from './ovs-stage.ts';

export function attachments(stage: OvsStage): void {
  test('a container on a VLAN of the switch, over restarts, and its port goes with it', async () => {
    const { host, ovs, inOffice, inLab } = stage();
    await start(host, 'web', '--network none');
    await attach(host, 'web --mode ovs --bridge ovsbr0 --vlan 120 --address 192.168.120.140/24');
    const plugged = async () => {
      await hasAddresses(host, 'web', 'eth1', ['192.168.120.140/24']);
      await reaches(inOffice, '192.168.120.140');
      const ports = await portsOf(stage);
      assert.equal(ports.length, 1, ports.join());
      assert.equal(await ovs.vsctl('get', 'port', ports[0]!, 'tag'), '120');
    };
    await plugged();
    await reaches([host, 'web'], OFFICE);
    await cannotReach(inLab, '192.168.120.140');
    await docker(host, 'restart -t 0 web');
    await plugged();
    await docker(host, 'stop -t 0 web');
    await docker(host, 'start web');
    await plugged();
    await berth(host, 'detach web');
    assert.deepEqual(await interfaces(host, 'web'), []);
    assert.deepEqual(await portsOf(stage), []);
  });
}
