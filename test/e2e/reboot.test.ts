/**
 * After a reboot the kernel has nothing of Berth, and the host's network configuration knows nothing of it either: it puts the
 * addresses on the NIC. What was declared is there again all the same.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openBed } from './bed/bed.ts';
import type { Host } from './bed/host.ts';
import { waitFor } from './bed/process.ts';
import { addressOf, inspect, machineAddresses, reaches, start } from './suites/containers.ts';
import { clear, nothingLeft } from './suites/leftovers.ts';

test('a bridge that is on trial when the machine goes down is not made again', async (context) => {
  await using bed = await openBed('reboot-trial');
  bed.watch(context);
  const lan = await bed.lan({ subnet: '192.168.159.0/24', gateway: '192.168.159.2' });
  const machine = await lan.machine('ws', '192.168.159.10/24');
  const host = await bed.host('h1', { underlay: false });
  await lan.plug(host, { name: 'eth1', addresses: ['192.168.159.5/24'], gateway: true });
  await host.image();
  await host.startBerth();
  const where =
    '--subnet 192.168.159.0/24 --gateway 192.168.159.2 -o parent=eth1 -o confirm=manual -o confirm_timeout=600';
  await host.docker('network', 'create', '-d', 'berth-lan', '--ipam-driver', 'berth-lan', ...where.split(' '), 'lan');
  assert.deepEqual(await machineAddresses(host, 'br-eth1'), ['192.168.159.5/24']);

  await host.powerOff();
  await host.powerOn();
  await host.startBerth();
  await host.startEngine();
  await waitFor('the trial to be over', async () => (await uplinkState(host)) === 'returned');
  assert.deepEqual(await machineAddresses(host, 'eth1'), ['192.168.159.5/24']);
  assert.notEqual((await host.net(['ip', 'link', 'show', 'br-eth1'], { check: false })).code, 0);
  await reaches(machine, '192.168.159.5');
  const late = await host.berth('network', 'confirm', 'lan');
  assert.match(late.stderr, /too late: eth1 has been given back/);
  assert.notEqual((await host.net(['ip', 'link', 'show', 'br-eth1'], { check: false })).code, 0);
  await clear(host);
  await nothingLeft(host);
});

async function uplinkState(host: Host): Promise<string> {
  const { stdout } = await host.berth('uplink', 'ls', '--json');
  return (JSON.parse(stdout) as { state: string }[])[0]!.state;
}

test('a bridge made from a NIC is made again, and given back afterwards', async (context) => {
  await using bed = await openBed('reboot');
  bed.watch(context);
  const lan = await bed.lan({ subnet: '192.168.159.0/24', gateway: '192.168.159.2' });
  const machine = await lan.machine('ws', '192.168.159.10/24');
  const host = await bed.host('h1', { underlay: false });
  await lan.plug(host, { name: 'eth1', addresses: ['192.168.159.5/24'], gateway: true });
  await host.image();
  await host.startBerth();
  const where = '--subnet 192.168.159.0/24 --gateway 192.168.159.2 -o parent=eth1';
  await host.docker('network', 'create', '-d', 'berth-lan', '--ipam-driver', 'berth-lan', ...where.split(' '), 'lan');
  await start(host, 'web', '--init --restart always --network lan --ip 192.168.159.140');
  await reaches(machine, '192.168.159.140');

  await host.powerOff();
  await host.powerOn();
  assert.deepEqual(await machineAddresses(host, 'eth1'), ['192.168.159.5/24']);
  await host.startBerth();
  await host.startEngine();

  await waitFor(
    () => 'the container to run again',
    async () => (await inspect(host, 'web')).State.Running,
    30_000,
  );
  assert.deepEqual(await machineAddresses(host, 'br-eth1'), ['192.168.159.5/24']);
  assert.deepEqual(await machineAddresses(host, 'eth1'), []);
  assert.equal(await addressOf(host, 'web'), '192.168.159.140');
  await reaches(machine, '192.168.159.140');
  await reaches(machine, '192.168.159.5');

  await clear(host);
  await nothingLeft(host);
  assert.deepEqual(await machineAddresses(host, 'eth1'), ['192.168.159.5/24']);
  await reaches(machine, '192.168.159.5');
});
