/** `-o create=true`: a bridge that nobody had to make, as pipework made one. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../bed/process.ts';
import { docker, reaches, start } from './containers.ts';
import { HOST, type LanStage } from './lan-stage.ts';

const create = 'network create -d berth-lan --ipam-driver=berth-lan --subnet=192.168.170.0/24';

export function ownBridge(stage: LanStage): void {
  /** The MAC address of a link of the host. */
  const macOf = async (name: string) => {
    const { stdout } = await stage().host.net(['ip', '-j', 'link']);
    return (JSON.parse(stdout) as { ifname: string; address: string }[]).find(({ ifname }) => ifname === name)?.address;
  };

  test('made for the first network, made again when it is deleted, gone with the last network', async () => {
    const { host } = stage();
    await docker(host, `${create} -o bridge=own0 -o create=true --ip-range=192.168.170.0/26 low`);
    const mac = await macOf('own0');
    assert.ok(mac !== undefined, 'it stands before there is a container');
    await docker(host, `${create} -o bridge=own0 -o create=true --ip-range=192.168.170.64/26 high`);
    await start(host, 'box-a', '--network low --ip 192.168.170.2');
    await start(host, 'box-b', '--network high --ip 192.168.170.65');
    await reaches([host, 'box-a'], '192.168.170.65');
    assert.equal(await macOf('own0'), mac, 'ports do not change it');

    // What the user sets on it is the user's.
    await host.net(['ip', 'address', 'add', '192.168.170.126/25', 'dev', 'own0']);
    await reaches([host, 'box-a'], '192.168.170.126');

    await host.net(['ip', 'link', 'delete', 'own0']);
    await waitFor('the bridge to be back', async () => (await macOf('own0')) === mac);
    await reaches([host, 'box-a'], '192.168.170.65');
    await host.killBerth();
    await host.net(['ip', 'link', 'delete', 'own0']);
    await host.startBerth();
    await waitFor('the bridge to be back', async () => (await macOf('own0')) === mac);
    await reaches([host, 'box-b'], '192.168.170.2');

    await docker(host, 'rm -f box-a box-b');
    await docker(host, 'network rm low');
    assert.equal(await macOf('own0'), mac, 'the other network stands on it');
    await start(host, 'box-c', '--network high');
    await docker(host, 'rm -f box-c');
    await docker(host, 'network rm high');
    assert.equal(await macOf('own0'), undefined);
  });

  test('one that is there already is used, and stays', async () => {
    const { host } = stage();
    const mac = await macOf('br0');
    await docker(host, `network create -d local -o create=true --subnet=192.168.159.0/24 --gateway=192.168.159.2 lan`);
    await start(host, 'box-a', '--network lan --ip 192.168.159.140');
    await reaches([host, 'box-a'], HOST);
    await docker(host, 'rm -f box-a');
    await docker(host, 'network rm lan');
    assert.equal(await macOf('br0'), mac);
  });

  test('for berth attach, as long as one is attached', async () => {
    const { host } = stage();
    await start(host, 'box-a', '--network none');
    await start(host, 'box-b', '--network none');
    for (const [name, address] of [
      ['box-a', '192.168.170.1/24'],
      ['box-b', '192.168.170.2/24'],
    ] as const) {
      const { code, stderr } = await host.berth(
        ...`attach ${name} --bridge own1 -o create=true --address ${address}`.split(' '),
      );
      assert.equal(code, 0, stderr);
    }
    await reaches([host, 'box-a'], '192.168.170.2');
    assert.equal((await host.berth('detach', 'box-a')).code, 0);
    assert.ok((await macOf('own1')) !== undefined, 'box-b is on it');
    assert.equal((await host.berth('detach', 'box-b')).code, 0);
    assert.equal(await macOf('own1'), undefined);
  });
}
