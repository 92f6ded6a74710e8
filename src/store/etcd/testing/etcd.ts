/** Real etcd servers for tests, each with a folder of its own and ports on the loopback interface. */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

export interface EtcdServer {
  /** host:port that clients use. */
  readonly address: string;
  readonly peerPort: number;
  readonly url: string;
  start(): Promise<void>;
  /** SIGKILL, as when the power fails but for what the kernel had taken already. */
  kill(): Promise<void>;
  /** SIGSTOP: it keeps its connections and says nothing. */
  freeze(): void;
  thaw(): void;
  /** Runs etcdctl against it. */
  ctl(...args: string[]): Promise<string>;
}

export interface EtcdCluster extends AsyncDisposable {
  readonly members: readonly EtcdServer[];
  readonly directory: string;
  readonly endpoints: readonly { readonly url: string }[];
  /** The number of the member that leads. */
  leader(): Promise<number>;
  moveLeader(to: number): Promise<void>;
}

export interface EtcdSettings {
  readonly members?: number;
  /** Flags for every member. */
  readonly flags?: readonly string[];
  readonly scheme?: 'http' | 'https';
  /** Each member runs as a user of its own, from this number on, so that a packet filter can tell them apart. */
  readonly firstUser?: number;
  /** Flags of etcdctl. */
  readonly ctlFlags?: readonly string[];
}

/** Starts a new cluster and waits until it serves. It is gone, with its data, when it is disposed of. */
export async function startEtcd(settings: EtcdSettings = {}): Promise<EtcdCluster> {
  const { members: count = 1, flags = [], scheme = 'http', ctlFlags = [], firstUser } = settings;
  const directory = await mkdtemp(join(tmpdir(), 'berth-etcd-'));
  if (firstUser !== undefined) await chmod(directory, 0o777);
  const ports = await freePorts(count * 2);
  const names = Array.from({ length: count }, (_, n) => `m${n}`);
  const peerUrl = (n: number) => `http://127.0.0.1:${ports[n * 2 + 1]}`;
  const initial = names.map((name, n) => `${name}=${peerUrl(n)}`).join(',');

  const members = names.map((name, n): EtcdServer => {
    const address = `127.0.0.1:${ports[n * 2]}`;
    const url = `${scheme}://${address}`;
    let child: ChildProcess | undefined;
    const ctl = async (...args: string[]) => {
      const all = [`--endpoints=${url}`, ...ctlFlags, ...args];
      const env = { ...process.env, ETCDCTL_API: '3' };
      return (await promisify(execFile)('etcdctl', all, { env, timeout: 10_000 })).stdout;
    };
    const user = firstUser === undefined ? {} : { uid: firstUser + n };
    return {
      address,
      peerPort: ports[n * 2 + 1]!,
      url,
      ctl,
      async start() {
        const args = [
          `--name=${name}`,
          `--data-dir=${join(directory, name)}`,
          `--listen-client-urls=${url}`,
          `--advertise-client-urls=${url}`,
          `--listen-peer-urls=${peerUrl(n)}`,
          `--initial-advertise-peer-urls=${peerUrl(n)}`,
          `--initial-cluster=${initial}`,
          '--heartbeat-interval=30',
          '--election-timeout=300',
          '--logger=zap',
          '--log-level=warn',
          `--log-outputs=${join(directory, `${name}.log`)}`,
          ...flags,
        ];
        // Whatever becomes of the test, its servers end with it.
        child = spawn('setpriv', ['--pdeathsig', 'KILL', 'etcd', ...args], {
          stdio: ['ignore', 'ignore', 'inherit'],
          ...user,
        });
        await new Promise((resolve, reject) => child!.once('spawn', resolve).once('error', reject));
      },
      async kill() {
        const dying = child;
        child = undefined;
        if (dying === undefined || dying.exitCode !== null || dying.signalCode !== null) return;
        const gone = new Promise((resolve) => dying.once('exit', resolve));
        dying.kill('SIGKILL');
        await gone;
      },
      freeze: () => void child?.kill('SIGSTOP'),
      thaw: () => void child?.kill('SIGCONT'),
    };
  });

  const cluster: EtcdCluster = {
    members,
    directory,
    endpoints: members.map(({ url }) => ({ url })),
    async leader() {
      for (const [n, member] of members.entries()) {
        const [, leads] = await status(member);
        if (leads) return n;
      }
      throw new Error('no member leads');
    },
    async moveLeader(to) {
      const [id] = await status(members[to]!);
      await members[await cluster.leader()]!.ctl('move-leader', id);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(members.map((member) => member.kill()));
      await rm(directory, { recursive: true, force: true });
    },
  };
  try {
    await Promise.all(members.map((member) => member.start()));
    await Promise.all(members.map((member) => serves(member)));
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
  return cluster;
}

/** The id of a member, and whether it leads: fields of etcdctl's plain output, where ids keep all of their bits. */
async function status(member: EtcdServer): Promise<[id: string, leads: boolean]> {
  const [, id, , , leads] = (await member.ctl('endpoint', 'status')).trim().split(', ');
  return [id!, leads === 'true'];
}

/** Waits until a member answers a read that needs its leader. */
export async function serves(member: EtcdServer): Promise<void> {
  const end = performance.now() + 20_000;
  for (;;) {
    try {
      await member.ctl('endpoint', 'status');
      await member.ctl('get', 'x');
      return;
    } catch (error) {
      // Users are set up in some tests: who is refused has been answered.
      if (String(error).includes('user name is empty')) return;
      if (performance.now() > end) throw error;
    }
    await delay(50);
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  await Promise.all(servers.map((server) => new Promise<void>((done) => server.listen(0, '127.0.0.1', done))));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return ports;
}
