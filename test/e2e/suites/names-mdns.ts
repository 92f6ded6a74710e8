/** Containers in multicast DNS: what another machine's own stack finds, and what a plain DNS client is told. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Machine, repository } from '../bed/machine.ts';
import { waitFor } from '../bed/process.ts';
import { docker, inspect, start } from './containers.ts';
import { type NamesStage, told } from './names-stage.ts';

const create = (options: string, name = 'lan'): string =>
  `network create -d berth-lan --ipam-driver berth-lan --subnet 192.168.7.0/24 --gateway 192.168.7.2 -o mdns=true ${options} ${name}`;

/** What a program is told that knows nothing of multicast DNS. */
async function plain(machine: Machine, name: string, type: string): Promise<string> {
  const program = join(repository, 'test/e2e/bed/plain-question.ts');
  return (await machine.exec(['node', program, name, type])).stdout.trim();
}

export function namesMdns(stage: NamesStage): void {
  /** Waits until the other machine finds this address under a name, or nothing. */
  async function resolves(name: string, wanted: string | undefined, family: 4 | 6 = 4): Promise<void> {
    let seen: string | undefined;
    await waitFor(
      () => `${name} to be ${wanted ?? 'nobody'}, not ${seen ?? 'nobody'}`,
      async () => {
        seen = await stage().avahi.resolve(name, family);
        return seen === wanted;
      },
      30_000,
      100,
    );
  }

  for (const [where, options] of [
    ['a bridge with an address of the host', ''],
    ['a bridge on which the host has none', '-o bridge=br1'],
    ['a macvlan on a card without addresses', '-o mode=macvlan -o parent=eth2'],
  ] as const) {
    test(`${where}: a name, both families, the name of the address, and a goodbye`, async () => {
      const { host, other, avahi } = stage();
      await docker(host, create(`${options} --ipv6 --subnet fd00:7::/64 --gateway fd00:7::2`));
      await start(host, 'web', '--net lan --ip 192.168.7.140 --ip6 fd00:7::140');
      await resolves('web.local', '192.168.7.140');
      await resolves('web.local', 'fd00:7::140', 6);
      assert.equal(await avahi.nameOf('192.168.7.140'), 'web.local');
      assert.equal(await plain(other, 'web.local', 'A'), '192.168.7.140');
      assert.equal(await plain(other, 'web.local', 'AAAA'), 'fd00:7::140');
      assert.equal(await plain(other, '140.7.168.192.in-addr.arpa', 'PTR'), 'web.local');
      const [view] = JSON.parse((await host.berth('endpoint', 'inspect', 'web', '--json')).stdout) as [
        { names: unknown },
      ];
      const link = /(?:bridge|parent)=(\w+)/.exec(options)?.[1] ?? 'br0';
      assert.deepEqual(view.names, [{ via: 'mdns', name: 'web.local', state: 'registered', where: link }]);
      await docker(host, 'rm -f web');
      await resolves('web.local', undefined);
    });
  }

  test('the programs of the host itself are told too', async () => {
    const { host } = stage();
    await docker(host, create(''));
    await start(host, 'web', '--net lan --ip 192.168.7.140');
    await told(host, 'name.registered', /web\.local is the name of the container web on br0/);
    assert.equal(await plain(host, 'web.local', 'A'), '192.168.7.140');
  });

  test('a name that another machine has is left to it, and one of ours is kept', async () => {
    const { host, avahi } = stage();
    await docker(host, create(''));
    await start(host, 'other', '--net lan --ip 192.168.7.140');
    assert.match(
      await told(host, 'name.conflict', /other/),
      /another machine on br0 has that name; now other-2\.local/,
    );
    await resolves('other-2.local', '192.168.7.140');
    await resolves('other.local', '192.168.7.10');

    await start(host, 'ours', '--net lan --ip 192.168.7.141');
    await resolves('ours.local', '192.168.7.141');
    await assert.rejects(avahi.publish('ours.local', '192.168.7.99'), /collision/i);
    await resolves('ours.local', '192.168.7.141');

    const shop = await avahi.publish('shop.local', '192.168.7.99');
    await start(host, 'shop', '--net lan --ip 192.168.7.142');
    await resolves('shop-2.local', '192.168.7.142');
    await shop.stop();
    // Its own name is not fought for while it runs under the other; started again it gets it.
    await docker(host, 'restart -t 0 shop');
    await resolves('shop.local', '192.168.7.142');
  });

  test('two containers that want one name, on one link and on two', async () => {
    const { host } = stage();
    await docker(host, create(''));
    await docker(host, create('-o bridge=br1', 'second').replaceAll('192.168.7.', '10.77.0.'));
    await start(host, 'x1', '--net lan --ip 192.168.7.140 --hostname shop');
    await resolves('shop.local', '192.168.7.140');
    await start(host, 'x2', '--net lan --ip 192.168.7.141 --hostname shop');
    await resolves('shop-2.local', '192.168.7.141');
    // The two bridges are on one LAN.
    await start(host, 'x3', '--net second --ip 10.77.0.5 --hostname shop');
    await resolves('shop-3.local', '10.77.0.5');
    await docker(host, 'rm -f x1');
    await resolves('shop.local', undefined);
    await resolves('shop-2.local', '192.168.7.141');
    await docker(host, 'rename x2 x4');
    await resolves('shop-2.local', '192.168.7.141');
  });

  test('Berth killed: what stays is answered for again, what went meanwhile is said goodbye to', async () => {
    const { host } = stage();
    await docker(host, create(''));
    await start(host, 'stays', '--net lan --ip 192.168.7.140');
    await start(host, 'goes', '--net lan --ip 192.168.7.141');
    await resolves('stays.local', '192.168.7.140');
    await resolves('goes.local', '192.168.7.141');
    await host.killBerth();
    await host.exec(['kill', '-KILL', `${(await inspect(host, 'goes')).State.Pid}`]);
    await host.startBerth(['--gc-grace', '1']);
    await resolves('goes.local', undefined);
    await told(host, 'name.registered', /stays\.local/);
    assert.equal(await plain(stage().other, 'stays.local', 'A'), '192.168.7.140');
    // Another name, another address.
    await docker(host, 'rename stays moved');
    await resolves('moved.local', '192.168.7.140');
    await resolves('stays.local', undefined);
  });

  test('services by a label', async () => {
    const { host, avahi } = stage();
    await docker(host, create(''));
    const label = ['--label', 'berth.service=_http._tcp:80;path=/start,_ipp._tcp:631,ftp:21'];
    await start(host, 'web', ['--net', 'lan', '--ip', '192.168.7.140', ...label]);
    await waitFor(
      'the service to be found',
      async () => (await avahi.services('_http._tcp')).join() === 'web web.local 192.168.7.140 80',
      30_000,
      100,
    );
    await told(host, 'name.failed', /'ftp:21' in the label berth\.service of the container web is no service/);
    assert.deepEqual(await avahi.services('_ipp._tcp'), ['web web.local 192.168.7.140 631']);
    await docker(host, 'rm -f web');
    await waitFor('the service to be gone', async () => (await avahi.services('_http._tcp')).length === 0, 30_000, 100);
  });
}
