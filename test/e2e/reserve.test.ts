/** `berth reserve`: an address that is kept for somebody, on a real engine and with attachments. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { LeaseView, ReservationView } from '../../src/agent/api.ts';
import { attach, attachStage, berth, berthFails, FLAGS } from './suites/attach-stage.ts';
import { addressOf, docker, start } from './suites/containers.ts';
import { GATEWAY } from './suites/lan-stage.ts';

describe('berth reserve', () => {
  const stage = attachStage('20.10');

  test('kept from everybody but who is meant, over restarts and new networks, and then free again', async () => {
    const { host } = stage();
    const create = `network create -d berth-lan --ipam-driver berth-lan --subnet 192.168.159.0/24 --gateway ${GATEWAY}
      --ip-range 192.168.159.128/28 lan`;
    await docker(host, create);
    assert.equal(
      (await host.berth('reserve', '192.168.159.128', '--for', 'web')).stdout,
      '192.168.159.128 is reserved for web\n',
    );
    await berth(host, 'reserve 192.168.159.129 --network lan --mac 0a:00:00:00:00:05');
    await start(host, 'first', '--network lan');
    assert.equal(await addressOf(host, 'first'), '192.168.159.130');

    const leases = await berth<readonly LeaseView[]>(host, 'lease ls');
    assert.deepEqual(
      leases.filter(({ kind }) => kind === 'reserved').map(({ address, container, mac }) => [address, container, mac]),
      [
        ['192.168.159.128', 'web', undefined],
        ['192.168.159.129', undefined, '0a:00:00:00:00:05'],
      ],
    );

    // What is attached has a name; another one is told whose it is.
    await start(host, 'web', '--network none');
    await start(host, 'shop', '--network none');
    assert.match(
      await berthFails(host, 'attach shop --network lan --address 192.168.159.128'),
      /192\.168\.159\.128 is reserved for the container web/,
    );
    assert.deepEqual((await attach(host, 'web --network lan')).addresses, ['192.168.159.128/24']);
    await berth(host, 'detach web');

    await host.killBerth();
    await host.startBerth(FLAGS);
    await docker(host, 'rm -f first');
    await docker(host, 'network rm lan');
    await docker(host, create);
    await start(host, 'second', '--network lan');
    assert.equal(await addressOf(host, 'second'), '192.168.159.130');
    // Docker does not say who asks: who names the address gets it.
    await start(host, 'third', '--network lan --ip 192.168.159.129');
    const [, held] = await berth<readonly ReservationView[]>(host, 'reservation ls');
    assert.deepEqual([held?.address, held?.heldBy], ['192.168.159.129', 'third']);

    await berth(host, 'unreserve 192.168.159.128');
    await start(host, 'fourth', '--network lan');
    assert.equal(await addressOf(host, 'fourth'), '192.168.159.128');
    await berth(host, 'unreserve 192.168.159.129');
    assert.deepEqual(await berth(host, 'reservation ls'), []);
  });

  test('what cannot be is refused', async () => {
    const { host } = stage();
    assert.match(await berthFails(host, 'reserve 192.168.159.20'), /is not within any pool/);
    await docker(host, `network create -d berth-lan --subnet 192.168.159.0/24 --gateway ${GATEWAY} lan`);
    assert.match(await berthFails(host, 'reserve 192.168.159.20 --network lan'), /given out by Docker itself/);
    await docker(host, 'network create -d berth --ipam-driver berth --subnet 10.66.0.0/24 net');
    for (const [line, words] of [
      ['reserve 10.66.0.0', /is not for hosts/],
      ['reserve 10.67.0.1', /is not within .*10\.66\.0\.0\/24/],
      ['reserve nonsense', /'nonsense' is not an address/],
      ['reserve 10.66.0.9 --mac x', /'x' is not the MAC address/],
      ['reserve 10.66.0.9 --network nowhere', /there is no network 'nowhere'/],
      ['unreserve 10.66.0.9', /10\.66\.0\.9 is not reserved/],
    ] as const)
      assert.match(await berthFails(host, line), words);
  });
});
