/** A netmaster on a file of its own, and netctl, each as a process. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { encodeLease } from '../../../src/ipam/codec.ts';
import { parseAddress } from '../../../src/model/address.ts';
import { keys } from '../../../src/model/keys.ts';
import { poolId } from '../../../src/model/pool.ts';
import { parsePrefix } from '../../../src/model/prefix.ts';
import { type ClusterEndpoint, encodeClusterEndpoint } from '../../../src/objects/codec.ts';
import { openSqliteStore } from '../../../src/store/sqlite/store.ts';
import { repository } from '../bed/machine.ts';

export interface Master {
  readonly url: string;
  /** With its store; also the home of who calls it. */
  readonly folder: string;
  stop(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** SIGSTOP: it keeps its connections and says nothing. */
  freeze(): void;
}

export interface MasterSettings {
  /** Flags of `berth master`, which then takes netmaster's place. */
  readonly flags?: readonly string[];
  /** Where the cluster is kept; in the folder when nothing is said. */
  readonly store?: readonly string[];
}

function storeFile(folder: string): string {
  return join(folder, 'cluster.db');
}

/**
 * As Contiv's were started.
 *
 * @param folder in which its store is, or will be.
 */
export async function startMaster(folder: string, { flags, store }: MasterSettings = {}): Promise<Master> {
  const [program, ...words] =
    flags === undefined
      ? ['netmaster', '--mode', 'docker', '--netmode', 'vxlan', '--fwdmode', 'bridge', '--listen-url', '127.0.0.1:0']
      : ['berth', 'master', '--forward-mode', 'bridge', '--listen', '127.0.0.1:0', ...flags];
  const where = store ?? ['--store', `sqlite:${storeFile(folder)}`];
  const child = spawn(join(repository, 'bin', program!), [...words, ...where], { stdio: ['ignore', 'ignore', 'pipe'] });
  const address = await new Promise<string>((resolve, reject) => {
    let log = '';
    child.stderr.on('data', (data: Buffer) => {
      log += data.toString();
      const ready = /"listen":\["([^"]+)"\]/.exec(log)?.[1];
      if (ready !== undefined) resolve(ready);
    });
    child.once('error', reject);
    child.once('exit', () => reject(new Error(log)));
  });
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  };
  return {
    url: `${flags?.includes('--tls-cert') === true ? 'https' : 'http'}://${address}`,
    folder,
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    freeze: () => child.kill('SIGSTOP'),
  };
}

export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly exit: number;
}

export async function netctl(
  { url, folder }: Pick<Master, 'url' | 'folder'>,
  words: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  const env = { PATH: process.env.PATH, HOME: folder, NETMASTER: url, ...environment };
  const child = spawn(join(repository, 'bin/netctl'), words, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  const [exit] = (await once(child, 'close')) as [number];
  return { stdout, stderr, exit };
}

const containers: readonly ClusterEndpoint[] = [
  {
    id: '75a2b6dd9329a10c9669588f9c0c96f08f549245b86880cc6e42e936c1ff6655',
    network: 'default:test-net',
    host: 'host1',
    addresses: ['10.103.1.1'],
    mac: '02:02:0a:67:01:01',
  },
  {
    id: '7282028f31a599ac52b9b25d6770100434ee0c2a3aa831006e56457c5ac3b57f',
    network: 'default:test-net',
    host: 'host2',
    addresses: ['10.103.1.2'],
    mac: '02:02:0a:67:01:02',
  },
];

/** Writes what agents write of the two containers of the recording. The master of that store must be stopped. */
export async function addContainers(folder: string): Promise<void> {
  const store = await openSqliteStore(storeFile(folder));
  try {
    for (const endpoint of containers) {
      const pool = poolId(endpoint.network, parsePrefix('10.103.1.0/24')!);
      const address = parseAddress(endpoint.addresses[0]!)!;
      const lease = { pool, address, holder: { kind: 'request' }, engine: endpoint.host, createdAt: 0 } as const;
      await store.transact({
        then: [
          { do: 'put', key: keys.lease(pool, address), value: encodeLease(lease) },
          {
            do: 'put',
            key: keys.clusterEndpoint(endpoint.network, endpoint.id),
            value: encodeClusterEndpoint(endpoint),
          },
        ],
      });
    }
  } finally {
    await store.close();
  }
}
