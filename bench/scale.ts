/** What grows with the number of leases and endpoints, and what must not. */

import { openBed } from '../test/e2e/bed/bed.ts';
import type { Host } from '../test/e2e/bed/host.ts';
import type { Benchmark, Context } from './benchmark.ts';
import { newId } from './calls.ts';
import { type Memory, memoryOf } from './machine.ts';
import { makeNetwork, type PluginClient, pluginClient } from './plugin-client.ts';
import type { Budget, Row } from './result.ts';
import { rounds, timed } from './rounds.ts';

const FEW = 10;
const MANY = 50_000;
const ENDPOINTS = 5000;
/** A Linux bridge has 1,023 ports at most (BR_PORT_BITS). */
const PER_NETWORK = 500;
/** The engine knows none of these endpoints: without this, the agent would free them. */
const KEEP = ['--gc-grace', '86400', '--log-level', 'warn'];

export const scale: Benchmark = {
  name: 'scale',
  about: `one endpoint operation with ${FEW} and ${MANY} leases; memory, start and audit with ${ENDPOINTS} endpoints`,
  run: async (context) => ({
    title: 'Scale',
    notes: [
      `endpoint operation: RequestAddress, CreateEndpoint, Join, Leave, DeleteEndpoint, ReleaseAddress on a network that has ${FEW} or ${MANY} leases`,
      `${ENDPOINTS} endpoints: as many veth pairs on ${ENDPOINTS / PER_NETWORK} networks, without containers`,
      'memory: resident is VmRSS, of which more than 50 MB are pages of the file of Node, shared and reclaimable; its own is RssAnon',
      'the peer of Join is `ip -batch`, one process that makes the same links and nothing else',
    ],
    rows: [...(await leases(context)), ...(await endpoints(context))],
  }),
};

async function leases(context: Context): Promise<Row[]> {
  await using bed = await openBed('bench');
  const host = await bed.host('a', { start: false });
  await host.startBerth(KEEP);
  const client = pluginClient(host.path('/run/docker/plugins/berth.sock'));
  try {
    const variants = [
      { name: `${FEW} leases`, count: FEW, network: await makeNetwork(client, newId(), '10.64.0.0/15') },
      { name: `${MANY} leases`, count: MANY, network: await makeNetwork(client, newId(), '10.66.0.0/15') },
    ];
    let fill = 0;
    for (const { network, count } of variants) fill = await timed(() => inParallel(count, () => network.lease()));
    context.say(`${MANY} leases after ${Math.round(fill / 1000)} s`);
    const results = await rounds(
      variants,
      async ({ network }) => {
        const endpoint = newId();
        let address = '';
        const before = await timed(async () => {
          address = await network.create(endpoint);
        });
        const rest = await timed(async () => {
          await network.join(endpoint);
          await network.leave(endpoint);
          await network.remove(endpoint, address);
        });
        return { 'endpoint operation': before + rest, 'RequestAddress + CreateEndpoint': before };
      },
      { rounds: context.runs ?? 100, warmUp: 10, pause: 40, say: context.say },
    );
    const [few, many] = variants;
    const rows = ['endpoint operation', 'RequestAddress + CreateEndpoint'].flatMap((what): Row[] => [
      { what, name: few!.name, unit: 'ms', samples: results.get(few!.name)!.get(what)! },
      {
        what,
        name: many!.name,
        unit: 'ms',
        samples: results.get(many!.name)!.get(what)!,
        peer: few!.name,
        budgets: [{ of: 'ratio', most: 1.3 }],
      },
    ]);
    const memory = memoryRows(`${MANY} leases`, memoryOf(host.agent().pid));
    return [
      ...rows,
      { what: 'fill, per lease', name: `${MANY} leases`, unit: 'ms', samples: [fill / MANY] },
      ...memory,
    ];
  } finally {
    client.close();
  }
}

async function endpoints(context: Context): Promise<Row[]> {
  await using bed = await openBed('bench');
  const host = await bed.host('a', { engine: context.engine });
  await host.startBerth(KEEP);
  // The collector's first look, and Node's lazy start.
  await new Promise((resolve) => setTimeout(resolve, 10_000));
  const idle = memoryOf(host.agent().pid);
  const byHand = await madeByHand(host);
  context.say(`ip -batch has made ${ENDPOINTS} links in ${Math.round(byHand)} ms`);

  const client = pluginClient(host.path('/run/docker/plugins/berth.sock'));
  const { create, join } = await makeEndpoints(client).finally(() => client.close());
  context.say(`${ENDPOINTS} endpoints: addresses ${Math.round(create)} ms, links ${Math.round(join)} ms`);
  const audits: number[] = [];
  for (let i = 0; i < 5; i++) audits.push(await timed(() => audit(host)));
  const full = memoryOf(host.agent().pid);

  const starts: number[] = [];
  for (let i = 0; i < 3; i++) {
    await host.stopBerth();
    starts.push(await timed(() => host.startBerth(KEEP, {}, { timeout: 120_000 })));
  }
  await audit(host);
  const restarted = memoryOf(host.agent().pid);
  const many = `${ENDPOINTS} endpoints`;
  return [
    ...memoryRows('idle', idle, [{ of: 'median', most: 80 }]),
    ...memoryRows(many, full),
    ...memoryRows(`${many}, restarted`, restarted),
    { what: 'make, per link', name: 'ip -batch', unit: 'ms', samples: [byHand / ENDPOINTS] },
    { what: 'make, per link', name: 'Join, 50 at once', unit: 'ms', samples: [join / ENDPOINTS], peer: 'ip -batch' },
    {
      what: 'RequestAddress + CreateEndpoint, 50 at once, each',
      name: many,
      unit: 'ms',
      samples: [create / ENDPOINTS],
    },
    { what: 'full audit', name: many, unit: 'ms', samples: audits },
    { what: 'start until ready', name: many, unit: 'ms', samples: starts },
  ];
}

function memoryRows(name: string, { resident, own }: Memory, budgets?: readonly Budget[]): Row[] {
  return [
    { what: 'memory, resident', name, unit: 'MB', samples: [resident], ...(budgets === undefined ? {} : { budgets }) },
    { what: 'memory, its own', name, unit: 'MB', samples: [own] },
  ];
}

/** @throws Error when the audit found something: then it was not these endpoints that were measured. */
async function audit(host: Host): Promise<void> {
  const { status, body } = await host.berthApi('/v1/audit', {
    method: 'POST',
    body: { repair: false },
    timeout: 120_000,
  });
  if (status !== 200 || body.trim() !== '[]') throw new Error(`the audit says ${status} ${body.slice(0, 2000)}`);
}

/** Milliseconds for addresses, and for links. */
async function makeEndpoints(client: PluginClient): Promise<{ create: number; join: number }> {
  let create = 0;
  let join = 0;
  for (let i = 0; i < ENDPOINTS / PER_NETWORK; i++) {
    const network = await makeNetwork(client, newId(), `10.${64 + i}.0.0/16`);
    const ids = Array.from({ length: PER_NETWORK }, newId);
    create += await timed(() => inParallel(ids.length, (index) => network.create(ids[index]!)));
    join += await timed(() => inParallel(ids.length, (index) => network.join(ids[index]!)));
  }
  return { create, join };
}

/** As many links by hand; they are removed again. */
async function madeByHand(host: Host): Promise<number> {
  const networks = Array.from({ length: ENDPOINTS / PER_NETWORK }, (_, i) => `hand${i}`);
  await host.ip(...networks.flatMap((bridge) => [`link add ${bridge} type bridge`, `link set ${bridge} up`]));
  const lines = networks.flatMap((bridge) =>
    Array.from(
      { length: PER_NETWORK },
      (_, i) =>
        `link add ${bridge}v${i} mtu 1500 master ${bridge} up group 77 type veth peer name ${bridge}c${i} group 77`,
    ),
  );
  const time = await timed(() => host.ip(...lines));
  await host.ip('link delete group 77', ...networks.map((bridge) => `link delete ${bridge}`));
  return time;
}

/** @param action is called with 0 to `count` - 1, at most 50 at once. */
async function inParallel(count: number, action: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) {
      const index = next;
      next += 1;
      await action(index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(50, count) }, worker));
}
