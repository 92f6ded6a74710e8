/** The store: what one operation costs on etcd and in SQLite, and what a container's start then costs. */

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { openEtcdStore } from '../src/store/etcd/store.ts';
import { startEtcd } from '../src/store/etcd/testing/etcd.ts';
import { openSqliteStore } from '../src/store/sqlite/store.ts';
import type { Store } from '../src/store/store.ts';
import { openBed } from '../test/e2e/bed/bed.ts';
import type { Host } from '../test/e2e/bed/host.ts';
import { waitFor } from '../test/e2e/bed/process.ts';
import { type Benchmark, type Context, onHost } from './benchmark.ts';
import { newId } from './calls.ts';
import { etcdGateway } from './peer/etcd-gateway.ts';
import { makeNetwork, pluginClient, type TestNetwork } from './plugin-client.ts';
import type { Budget, Row, Table } from './result.ts';
import { type Measured, rounds, timed } from './rounds.ts';

const LISTED = 1000;
const AT_ONCE = 64;
const VALUE = JSON.stringify({ version: 1, endpoint: 'x'.repeat(64), mac: '02:02:0a:67:01:05', createdAt: 1 });

interface Variant {
  readonly name: string;
  get(key: string): Promise<unknown>;
  create(key: string, other: string): Promise<unknown>;
  list(prefix: string): Promise<unknown>;
}

export const store: Benchmark = {
  name: 'store',
  about: 'operations of the store on etcd and in SQLite, and plugin calls on both',
  run: async (context) => {
    const operations = await measureOperations(context);
    const calls = await measureCalls(context);
    return {
      title: 'Store',
      notes: [
        'one member of etcd on this machine, its folder and the state file on the same disk; nothing else writes there',
        'the plain client speaks to etcd’s JSON gateway over one kept connection; it has no deadlines, no failover and no watches',
        '"create" makes a lease and an endpoint in one transaction, on the condition that the lease is absent',
        `"${AT_ONCE} at once": the time until all of them are done, for each`,
        'plugin calls: one at a time, back to back, on an agent each',
      ],
      rows: [...operations, ...calls],
    } satisfies Table;
  },
};

function onStore(name: string, opened: Store): Variant {
  return {
    name,
    get: (key) => opened.get(key),
    create: (key, other) =>
      opened.transact({
        if: [{ key, is: 'absent' }],
        then: [
          { do: 'put', key, value: VALUE },
          { do: 'put', key: other, value: VALUE },
        ],
      }),
    list: (prefix) => opened.list(prefix),
  };
}

async function measureOperations(context: Context): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'berth-bench-'));
  await using etcd = await startEtcd();
  const shared = await openEtcdStore({ endpoints: etcd.endpoints, prefix: '/b/' });
  const embedded = await openSqliteStore(join(folder, 'berth.db'));
  const gateway = etcdGateway(etcd.members[0]!.url);
  const plain: Variant = {
    name: 'plain client of etcd',
    get: (key) => gateway.get(`/g/${key}`),
    create: (key, other) => gateway.create(`/g/${key}`, `/g/${other}`, VALUE),
    list: (prefix) => gateway.list(`/g/${prefix}`),
  };
  const variants = [plain, onStore('berth on etcd', shared), onStore('berth in SQLite', embedded)];
  try {
    for (const variant of variants) {
      for (let n = 0; n < LISTED; n += 2) await variant.create(`list/${n}`, `list/${n + 1}`);
    }
    const one = async (variant: Variant): Promise<Measured> => {
      const id = newId();
      return {
        get: await timed(() => variant.get('list/500')),
        create: await timed(() => variant.create(`lease/${id}`, `endpoint/${id}`)),
      };
    };
    const single = await rounds(variants, one, { rounds: context.runs ?? 500, warmUp: 50, say: context.say });
    const many = async (variant: Variant): Promise<Measured> => {
      const ids = Array.from({ length: AT_ONCE }, newId);
      const all = await timed(() => Promise.all(ids.map((id) => variant.create(`lease/${id}`, `endpoint/${id}`))));
      return {
        [`create, ${AT_ONCE} at once`]: all / AT_ONCE,
        [`list of ${LISTED} keys`]: await timed(() => variant.list('list/')),
      };
    };
    const crowd = await rounds(variants, many, { rounds: Math.ceil((context.runs ?? 500) / 20), warmUp: 2 });
    const env = { ...process.env, ETCDCTL_API: '3' };
    const ctl: number[] = [];
    for (let run = 0; run < 20; run++) {
      const args = [`--endpoints=${etcd.members[0]!.url}`, 'get', '/b/list/500'];
      ctl.push(await timed(() => promisify(execFile)('etcdctl', args, { env })));
    }
    const rows = [single, crowd].flatMap((results) => rowsOf(results, plain.name, 'ms'));
    return [...rows, { what: 'get', name: 'etcdctl, started each time', unit: 'ms', samples: ctl }];
  } finally {
    gateway.close();
    await Promise.all([shared.close(), embedded.close()]);
    rmSync(folder, { recursive: true });
  }
}

async function measureCalls(context: Context): Promise<Row[]> {
  await using bed = await openBed('bench');
  const [embedded, shared] = await Promise.all([bed.host('a', { start: false }), bed.host('b', { start: false })]);
  const flags = ['--gc-grace', '86400', '--log-level', 'warn'];
  await embedded.startBerth(flags);
  await startServer(shared);
  await shared.startBerth([...flags, '--store', 'etcd://127.0.0.1:2379']);
  const client = (host: Host) => pluginClient(host.path('/run/docker/plugins/berth.sock'));
  const clients = [client(embedded), client(shared)];
  try {
    const variants = [
      { name: 'berth in SQLite', network: await makeNetwork(clients[0]!, newId(), '10.64.0.0/16') },
      { name: 'berth on etcd', network: await makeNetwork(clients[1]!, newId(), '10.64.0.0/16') },
    ];
    const run = ({ network }: { readonly network: TestNetwork }) => startAndEnd(network);
    const results = await onHost(shared, () =>
      rounds(variants, run, { rounds: context.runs ?? 300, warmUp: 100, say: context.say }),
    );
    const budgets: readonly Budget[] = [
      { of: 'median', most: 5 },
      { of: 'p99', most: 20 },
    ];
    return rowsOf(results, 'berth in SQLite', 'ms').map((row) =>
      row.name === 'berth on etcd' && row.what.startsWith('RequestAddress') ? { ...row, budgets } : row,
    );
  } finally {
    for (const each of clients) each.close();
  }
}

async function startServer(host: Host): Promise<void> {
  await host.spawn(['etcd', '--data-dir', '/var/lib/etcd-bench', '--logger', 'zap', '--log-level', 'warn'], {
    name: 'etcd',
  });
  await waitFor('etcd to serve', async () => {
    const { code } = await host.exec(['etcdctl', 'get', 'x'], { env: { ETCDCTL_API: '3' }, check: false });
    return code === 0;
  });
}

async function startAndEnd(network: TestNetwork): Promise<Measured> {
  const endpoint = newId();
  let address = '';
  const start = await timed(async () => {
    address = await network.create(endpoint);
  });
  const end = await timed(() => network.remove(endpoint, address));
  return { 'RequestAddress + CreateEndpoint': start, 'DeleteEndpoint + ReleaseAddress': end };
}

/** One row for each operation and variant, compared with that of the peer. */
function rowsOf(
  results: ReadonlyMap<string, ReadonlyMap<string, readonly number[]>>,
  peer: string,
  unit: string,
): Row[] {
  return [...results.get(peer)!.keys()].flatMap((what) =>
    [...results].map(([name, of]): Row => {
      const row = { what, name, unit, samples: of.get(what)! };
      return name === peer ? row : { ...row, peer };
    }),
  );
}
