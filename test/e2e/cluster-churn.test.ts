/**
 * Promises 2 and 5 across hosts, without a plan: containers come and go on three hosts while masters, agents, engines and members of
 * etcd are killed and frozen, and hosts cut off, by chance. No address is ever two containers', in the end nothing is left, and
 * all reach all.
 *
 *     BERTH_CHURN_SECONDS=300 BERTH_CHURN_CONTAINERS=30 BERTH_CHURN_SEED=1 make churn
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openCluster } from './bed/cluster.ts';
import { heldTwice, historyOf } from './bed/history.ts';
import { after, chance, churn, misfortunes, overlapping, situation } from './suites/churn.ts';
import { allReach, networksAppear, spread } from './suites/cluster.ts';
import { clearCluster, nothingLeftOf } from './suites/cluster-stage.ts';
import { disconnectStale } from './suites/containers.ts';

const setting = (name: string, normally: number) => Number(process.env[`BERTH_CHURN_${name}`] ?? normally);
const SECONDS = setting('SECONDS', 30);
const CONTAINERS = setting('CONTAINERS', 3);
const SEED = setting('SEED', Date.now() % 1_000_000);

const FLAGS = ['--gc-grace', '1', '--audit-interval', '5', '--linger', '0'];
const NETWORKS = ['alpha', 'beta', 'pool'] as const;

test(`${CONTAINERS} containers on each of three hosts come and go for ${SECONDS} s, seed ${SEED}`, async (t) => {
  await using cluster = await openCluster('churn', {
    engines: ['28.5', '26.1', '28.5'],
    members: 3,
    masters: 2,
    agentFlags: FLAGS,
  });
  cluster.watch(t);
  const random = chance(SEED);
  await cluster.netctl('network create -s 10.1.0.0/16 -g 10.1.255.254 alpha');
  await cluster.netctl('network create -s 10.2.0.0/24 beta');
  await cluster.netctl('group create -r 10.2.0.100-10.2.0.199 beta pool');
  await networksAppear(cluster.hosts, ...NETWORKS);

  const containers = churn(cluster.hosts, CONTAINERS, NETWORKS, random);
  const chaos = misfortunes(cluster, random, containers.doubt);
  const { ran, done } = await after(SECONDS, containers, chaos);
  t.diagnostic(`${ran} containers ran, ${done.length} misfortunes, seed ${SEED}`);
  try {
    assert.ok(ran >= CONTAINERS * 3, `only ${ran} containers came to run`);
    assert.deepEqual(overlapping(containers.holds), []);
    await cluster.ready(60_000);

    // Every pair that should reach each other does.
    for (const network of NETWORKS)
      await allReach(await spread(cluster.hosts, names(network), network), undefined, 30_000);
    for (const host of cluster.hosts) await disconnectStale(host, NETWORKS);
    await clearCluster(cluster);
    await nothingLeftOf(cluster);

    const history = await historyOf(cluster.members[0]!, '/berth/');
    const leases = history.filter(({ key, value }) => key.startsWith('/berth/lease/') && value !== undefined);
    assert.ok(leases.length >= ran, `${leases.length} leases for ${ran} containers`);
    assert.deepEqual(heldTwice(history), []);
  } catch (error) {
    t.diagnostic(await situation(cluster));
    throw new Error(`After ${done.join('; ')}`, { cause: error });
  }
});

const names = (network: string) => ['a', 'b', 'c'].map((one) => `${network}-${one}`);
