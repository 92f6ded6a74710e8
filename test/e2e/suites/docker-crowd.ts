/** Fifty containers at once. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { docker, enter, inspectNetwork } from './containers.ts';
import type { DockerStage } from './docker-stage.ts';
import { nothingLeft } from './leftovers.ts';

const COUNT = 50;

export function crowd(stage: DockerStage): void {
  test(`${COUNT} containers started and removed at once`, async () => {
    const { host } = stage();
    const image = await host.image();
    const names = Array.from({ length: COUNT }, (_, index) => `c${index}`);
    await docker(host, 'network create -d berth --ipam-driver berth --subnet 10.77.1.0/24 n');
    await Promise.all(
      names.map((name) =>
        host.exec(['docker', 'run', '-d', '--name', name, '--network', 'n', image, 'sleep', '1000000'], {
          timeout: 120_000,
        }),
      ),
    );
    const { Containers } = await inspectNetwork(host, 'n');
    const addresses = Object.values(Containers).map(({ IPv4Address }) => IPv4Address.replace('/24', ''));
    // Fifty of them, none twice, and the lowest there are.
    const expected = Array.from({ length: COUNT }, (_, index) => `10.77.1.${index + 2}`);
    assert.deepEqual(addresses.toSorted(), expected.toSorted());
    await Promise.all(
      names.map(async (name, index) => {
        for (const to of ['10.77.1.1', expected[index]!]) {
          const { code, stdout } = await enter(host, name, 'busybox', 'ping', '-c', '3', '-i', '0.2', '-W', '2', to);
          assert.equal(code, 0, `${name} does not reach ${to}:\n${stdout}`);
          assert.match(stdout, / 0% packet loss/);
        }
      }),
    );
    await Promise.all(
      [0, 1, 2, 3, 4].map((part) =>
        host.exec(['docker', 'rm', '-f', ...names.filter((_, index) => index % 5 === part)], { timeout: 120_000 }),
      ),
    );
    await docker(host, 'network rm n');
    await nothingLeft(host);
  });
}
