/** A real Docker Compose with networks of the driver `local`, up and down. */

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { defaultRoute, docker, interfaces, reaches } from './containers.ts';
import { GATEWAY, type LanStage } from './lan-stage.ts';
import { nothingLeft } from './leftovers.ts';
import { WGET } from './observer.ts';

const ROUNDS = 10;

export function compose(stage: LanStage): void {
  test(`up and down ${ROUNDS} times`, async () => {
    const { host, other, elsewhere } = stage();
    const image = await host.image();
    const file = join(host.dir, 'compose.yaml');
    writeFileSync(
      file,
      `
services:
  web:
    image: ${image}
    command: [httpd, -f, -p, "80", -h, /etc]
    networks:
      lan: { ipv4_address: 192.168.159.140, aliases: [front] }
  worker:
    image: ${image}
    command: [sleep, "1000000"]
    networks: { lan: {}, far: {} }
networks:
  lan:
    driver: local
    ipam:
      driver: local
      config: [{ subnet: 192.168.159.0/24, gateway: ${GATEWAY}, ip_range: 192.168.159.192/26 }]
  far:
    driver: berth-lan
    driver_opts: { bridge: br1, mtu: "1400" }
    ipam:
      config: [{ subnet: 192.168.160.0/24, gateway: 192.168.160.2, ip_range: 192.168.160.64/26 }]
`,
    );
    const project = ['-f', file, '-p', 'demo'];
    for (let round = 1; round <= ROUNDS; round += 1) {
      await host.compose(...project, 'up', '-d');
      await reaches(other, '192.168.159.140');
      await reaches(elsewhere, '192.168.160.64');
      if (round === 1) {
        await reaches(other, '192.168.159.192');
        await docker(host, 'exec demo-worker-1 ping -c 1 -W 2 front');
        assert.equal(await defaultRoute(host, 'demo-web-1'), `${GATEWAY} eth0`);
        assert.deepEqual((await interfaces(host, 'demo-worker-1')).map(({ mtu }) => `${mtu}`).toSorted(), [
          '1400',
          '1500',
        ]);
      }
      await host.compose(...project, 'down', '--timeout', '2');
      await nothingLeft(host);
    }
  });

  test('a network that is there already', async () => {
    const { host, other } = stage();
    const file = join(host.dir, 'external.yaml');
    writeFileSync(
      file,
      `
services:
  web:
    image: ${await host.image()}
    command: [httpd, -f, -p, "80", -h, /etc]
    networks: { lan: { ipv4_address: 192.168.159.140 } }
networks:
  lan: { external: true }
`,
    );
    await docker(host, `network create --driver=local --gateway=${GATEWAY} --subnet=192.168.159.0/24 lan`);
    const project = ['-f', file, '-p', 'demo'];
    for (const flags of [[], ['--force-recreate']]) {
      await host.compose(...project, 'up', '-d', ...flags);
      await reaches(other, '192.168.159.140');
      const { stdout } = await other.net([...WGET, 'http://192.168.159.140/passwd']);
      assert.match(stdout, /^root:/);
    }
    await host.compose(...project, 'down', '--timeout', '2');
    assert.equal(await docker(host, 'network ls -f driver=local --format {{.Name}}'), 'lan');
    await host.compose(...project, 'up', '-d');
    await reaches(other, '192.168.159.140');
    await host.compose(...project, 'down', '--timeout', '2');
  });
}
