/** Containers start while the leader of etcd is killed or frozen: none fails, and no address is given twice or lost. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cluster } from './bed/cluster.ts';
import type { EtcdMember } from './bed/control.ts';
import { waitFor } from './bed/process.ts';
import { allReach, createNetwork, ipv4, type Placed, removeAll } from './suites/cluster.ts';
import { setClusterStage } from './suites/cluster-stage.ts';
import { start } from './suites/containers.ts';

const stage = setClusterStage('leader', { engines: ['28.5', '20.10', '28.5'], members: 3, masters: 2 });

/** Containers that each host starts at least after the misfortune. */
const MORE = 3;

/** The member that leads, once there is one and all are in touch with it. */
function leader({ members }: Cluster): Promise<EtcdMember> {
  return waitFor('a leader', async () => {
    const led = await Promise.all(
      members.map(async (member) => {
        const { code, stdout } = await member.ctl(['endpoint', 'status', '-w', 'json'], { check: false });
        if (code !== 0) return undefined;
        // Ids of members are too long for numbers of JavaScript, so it is their text that is compared.
        const id = (field: string) => new RegExp(`"${field}":(\\d+)`).exec(stdout)?.[1];
        return { member, id: id('member_id'), leader: id('leader') };
      }),
    );
    if (led.includes(undefined) || new Set(led.map((one) => one!.leader)).size !== 1) return undefined;
    return led.find((one) => one!.id === one!.leader)?.member;
  });
}

/** Each host starts one container after the other; when all are at it, something happens. */
async function startWhile(cluster: Cluster, prefix: string, happens: () => Promise<void>): Promise<Placed[]> {
  const begun = cluster.hosts.map(() => Promise.withResolvers<void>());
  let happened = false;
  const [placed] = await Promise.all([
    Promise.all(
      cluster.hosts.map(async (host, n) => {
        const started: Placed[] = [];
        for (let more = 0; more < MORE; more += happened ? 1 : 0) {
          const name = `${prefix}-${n}-${started.length}`;
          await start(host, name, '--network net');
          started.push([host, name]);
          begun[n]!.resolve();
        }
        return started;
      }),
    ),
    (async () => {
      await Promise.all(begun.map(({ promise }) => promise));
      await happens();
      happened = true;
    })(),
  ]);
  return placed.flat();
}

for (const [what, fails, mends] of [
  ['killed', (member: EtcdMember) => member.kill(), (member: EtcdMember) => member.start()],
  ['frozen', (member: EtcdMember) => member.freeze(), async (member: EtcdMember) => member.thaw()],
] as const) {
  test(`the leader is ${what} while containers start on all hosts: each of them starts`, {
    timeout: 300_000,
  }, async () => {
    const cluster = stage();
    await createNetwork(cluster, '-s 10.1.0.0/16 -g 10.1.255.254 net');
    const all: Placed[] = [];
    for (let round = 0; round < 3; round++) {
      const led = await leader(cluster);
      const placed = await startWhile(cluster, `c${round}`, () => fails(led));
      await mends(led);
      await cluster.ready(60_000);
      const addresses = await ipv4([...all, ...placed]);
      assert.equal(new Set(addresses).size, addresses.length, 'each has an address of its own');
      await allReach([...all.slice(0, 1), ...placed.slice(-2)]);
      all.push(...placed);
    }
    await removeAll(all);
  });
}
