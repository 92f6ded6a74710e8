/** A Compose project on each host, on one network of the cluster; engines of three generations, of which none has a cluster store. */

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { allReach, createNetwork, type Placed, reachesName } from './suites/cluster.ts';
import { setClusterStage } from './suites/cluster-stage.ts';

describe('Compose across hosts', () => {
  const stage = setClusterStage('compose', { engines: ['20.10', '26.1', '28.5'] });

  test('a project per host on one shared network: up, down and up again', async () => {
    const { hosts } = stage();
    await createNetwork(stage(), '-s 10.1.1.0/24 -g 10.1.1.254 shared');
    const projects = hosts.map((host, n) => {
      const file = join(host.dir, 'compose.yaml');
      writeFileSync(
        file,
        `
services:
  web:
    image: bed-busybox
    command: [httpd, -f, -p, "80", -h, /etc]
    networks: { shared: { aliases: [web${n + 1}] } }
  worker:
    image: bed-busybox
    command: [sleep, "1000000"]
    networks: [shared]
networks:
  shared: { external: true }
`,
      );
      return { host, words: ['-f', file, '-p', `p${n + 1}`] };
    });
    const workers = hosts.map((host, n): Placed => [host, `p${n + 1}-worker-1`]);
    const webs = hosts.map((host, n): Placed => [host, `p${n + 1}-web-1`]);
    for (let round = 0; round < 2; round++) {
      await Promise.all(projects.map(({ host, words }) => host.compose(...words, 'up', '-d')));
      await allReach([...workers, ...webs]);
      for (const worker of workers) {
        for (const [n, [, name]] of webs.entries()) {
          await reachesName(worker, name);
          await reachesName(worker, `web${n + 1}`);
          const [host, container] = worker;
          const page = await host.docker('exec', container, 'wget', '-q', '-O', '-', `http://web${n + 1}/group`);
          assert.equal(page, 'root:x:0:');
        }
      }
      await Promise.all(projects.map(({ host, words }) => host.compose(...words, 'down', '--timeout', '2')));
    }
  });
});
