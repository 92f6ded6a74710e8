/** Names where there is no IPv4: neither the containers, nor the host, nor who asks has any. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { startAvahi } from '../bed/avahi.ts';
import { startBind } from '../bed/bind.ts';
import { type Machine, repository } from '../bed/machine.ts';
import { waitFor } from '../bed/process.ts';
import { docker, start } from './containers.ts';
import { giveKey, KEY, told, ZONE } from './names-stage.ts';
import { setStage } from './stage.ts';

const REVERSE = '0.0.0.0.0.0.0.0.7.0.0.0.0.0.d.f.ip6.arpa';
const CREATE =
  'network create -d berth-lan --ipam-driver berth-lan --ipv4=false --ipv6 --subnet fd00:7::/64 --gateway fd00:7::2';

export function namesSix(): void {
  const stage = setStage('28.5', async (bed, version) => {
    const [lan, host] = await Promise.all([
      bed.lan({ subnet: '192.168.7.0/24', gateway: '192.168.7.2', subnet6: 'fd00:7::/64', gateway6: 'fd00:7::2' }),
      bed.host('host', { engine: version, underlay: false }),
    ]);
    const [other, server] = await Promise.all([
      lan.machine('other', 'fd00:7::10/64'),
      lan.machine('dns', 'fd00:7::3/64'),
    ]);
    await lan.plug(host, { bridge: 'br0', addresses: ['fd00:7::20/64'] });
    await lan.plug(host, { name: 'eth1', bridge: 'br1' });
    const [bind, avahi] = await Promise.all([
      startBind(server, [ZONE, REVERSE]),
      startAvahi(other, 'other', 'eth0', 6),
      host.startBerth(),
    ]);
    giveKey(host, bind.key);
    return { host, other, bind, avahi };
  });

  async function resolves(name: string, wanted: string | undefined): Promise<void> {
    let seen: string | undefined;
    await waitFor(
      () => `${name} to be ${wanted ?? 'nobody'}, not ${seen ?? 'nobody'}`,
      async () => {
        seen = await stage().avahi.resolve(name, 6);
        return seen === wanted;
      },
      30_000,
      100,
    );
  }

  async function plain(machine: Machine, name: string, type: string, link: string): Promise<string> {
    const program = join(repository, 'test/e2e/bed/plain-question.ts');
    return (await machine.exec(['node', program, name, type, link])).stdout.trim();
  }

  for (const bridge of ['br0', 'br1']) {
    test(`multicast DNS on ${bridge}: a name, the name of the address, a conflict, a goodbye`, async () => {
      const { host, other, avahi } = stage();
      await docker(host, `${CREATE} -o mdns=true -o bridge=${bridge} lan`);
      await start(host, 'web', '--net lan --ip6 fd00:7::140');
      await resolves('web.local', 'fd00:7::140');
      assert.equal(await avahi.nameOf('fd00:7::140'), 'web.local');
      assert.equal(await plain(other, 'web.local', 'AAAA', 'eth0'), 'fd00:7::140');
      await start(host, 'other', '--net lan --ip6 fd00:7::141');
      await resolves('other-2.local', 'fd00:7::141');
      // Programs of the host, where it has an address.
      if (bridge === 'br0') assert.equal(await plain(host, 'web.local', 'AAAA', 'br0'), 'fd00:7::140');
      await docker(host, 'rm -f web');
      await resolves('web.local', undefined);
    });
  }

  test('a DNS server that is reached over IPv6', async () => {
    const { host, bind } = stage();
    await docker(host, `${CREATE} -o dns_update=[fd00:7::3]:53 -o dns_zone=${ZONE} -o dns_key_file=${KEY} lan`);
    await start(host, 'web', '--net lan --ip6 fd00:7::140');
    await told(host, 'name.registered', /web\.home\.example/);
    assert.deepEqual(await bind.ask(`web.${ZONE}`, 'AAAA'), ['fd00:7::140']);
    assert.deepEqual(await bind.ask(`0.4.1.0.0.0.0.0.0.0.0.0.0.0.0.0.${REVERSE}`, 'PTR'), [`web.${ZONE}.`]);
    await docker(host, 'rm -f web');
    await waitFor('the name to be taken back', async () => (await bind.ask(`web.${ZONE}`, 'AAAA')).length === 0);
  });
}
