/**
 * Promise 2 and 5 without a plan: the agent is killed again and again, at random moments, while containers start and end in
 * parallel. At no time do two of them have one address, and in the end nothing is left. (`crash.test.ts` has the plan.)
 */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Host } from './bed/host.ts';
import { addressOf, docker, inspectNetwork, reaches, start } from './suites/containers.ts';
import { nothingLeft } from './suites/leftovers.ts';
import { setStage } from './suites/stage.ts';

const KILLS = 25;
const WORKERS = 6;
const FLAGS = ['--gc-grace', '1', '--audit-interval', '1', '--linger', '0'];

interface Listed {
  readonly Names: readonly string[];
  readonly NetworkSettings: { readonly Networks: Readonly<Record<string, { readonly IPAddress: string }>> };
}

describe('random kills', () => {
  const stage = setStage('20.10', async (bed, engine) => {
    const host = await bed.host('h1', { engine });
    await host.startBerth(FLAGS);
    return { host };
  });

  /** Addresses of the containers that run now. @throws when two have the same. */
  async function look(host: Host): Promise<void> {
    const holders = new Map<string, string>();
    const { body } = await host.api('/containers/json');
    for (const { Names, NetworkSettings } of JSON.parse(body) as Listed[]) {
      const address = NetworkSettings.Networks.net?.IPAddress;
      if (!address) continue;
      assert.equal(holders.get(address), undefined, `${address} is held by ${holders.get(address)} and ${Names[0]}`);
      holders.set(address, Names[0]!);
    }
  }

  /** Starts and removes containers until told to stop, whatever the commands say. @returns how many came to run. */
  async function work(host: Host, worker: number, image: string, until: AbortSignal): Promise<number> {
    let ran = 0;
    for (let round = 0; !until.aborted; round++) {
      const name = `w${worker}-${round}`;
      const run = ['docker', 'run', '-d', '--name', name, '--network', 'net', image, 'sleep', '1000'];
      const { code } = await host.exec(run, { check: false, timeout: 120_000 });
      if (code === 0) ran += 1;
      await host.exec(['docker', 'rm', '-f', name], { check: false, timeout: 120_000 });
    }
    return ran;
  }

  test(`the agent is killed ${KILLS} times while ${WORKERS} workers run containers`, async () => {
    const { host } = stage();
    const image = await host.image();
    await docker(host, 'network create -d berth --ipam-driver berth --subnet 10.88.0.0/24 net');
    await start(host, 'witness', '--network net --ip 10.88.0.100');
    const done = new AbortController();
    const working = Promise.all(Array.from({ length: WORKERS }, (_, worker) => work(host, worker, image, done.signal)));
    const looking = (async () => {
      for (; !done.signal.aborted; await delay(100)) await look(host);
    })();

    const moments: string[] = [];
    for (let kill = 0; kill < KILLS; kill++) {
      // Two times of three it gets as far as serving, one time for a while: Docker asks again only after 1, 2, 4 … seconds.
      const served = kill % 3 !== 2;
      const wait = Math.round(Math.random() * (kill % 3 === 0 ? 2000 : 400));
      moments.push(`${wait} ms after ${served ? 'it was ready' : 'its start'}`);
      await delay(wait);
      await host.killBerth();
      await host.startBerth(FLAGS, {}, { wait: (kill + 1) % 3 !== 2 });
    }
    await host.killBerth();
    await host.startBerth(FLAGS);
    done.abort();
    try {
      await looking;
      const ran = await working;
      assert.ok(ran.reduce((sum, count) => sum + count) >= 3, `only ${ran.join('+')} containers ran`);
      await look(host);

      // What a user does about commands that failed in the middle.
      const { Containers } = await inspectNetwork(host, 'net');
      const stale = Object.values(Containers).filter(({ Name }) => Name !== 'witness');
      for (const { Name } of stale) await docker(host, `network disconnect -f net ${Name}`);
      await start(host, 'last', '--network net');
      assert.equal(await addressOf(host, 'witness'), '10.88.0.100');
      await reaches([host, 'last'], '10.88.0.100');
      await reaches([host, 'last'], '10.8.65.1');
      assert.deepEqual(JSON.parse((await host.berth('audit', '--json')).stdout), []);
      await docker(host, 'rm -f witness last');
      await docker(host, 'network rm net');
      await nothingLeft(host);
    } catch (error) {
      throw new Error(`It was killed ${moments.join(', ')}`, { cause: error });
    }
  });
});
