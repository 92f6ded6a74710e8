/**
 * A cluster inside of a User-Mode Linux guest, whose kernel has VLANs: etcd, a master, and three hosts that are network namespaces, each with
 * an agent and two NICs in a switch that carries all VLANs. There is no engine: it would take the guest ten seconds per container, and
 * engines are the same whatever carries a network. Its calls are in `plugin-calls.ts`.
 */

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from '../bed/machine.ts';
import { type Process, start, waitFor } from '../bed/process.ts';
import type { PluginHost } from './plugin-calls.ts';
import { openShell, type Shell } from './shell.ts';

const PLACE = '/run/lab';
const API = 'http://127.0.0.1:9999/api/v1';

export interface LabHost extends PluginHost {
  /** Starts its agent with these NICs as its uplinks, and waits until it serves. */
  startAgent(uplinks: string): Promise<void>;
  stopAgent(): Promise<void>;
}

export interface Lab {
  readonly hosts: readonly LabHost[];
  /** Runs a shell script in the guest; its output. */
  sh(script: string): Promise<string>;
  /** A request to the master for an object: PUT when there is a body, else DELETE. @param key such as `networks/default:net1`. */
  object(key: string, body?: object): Promise<void>;
  /** The same of one that may be in use for a moment more: agents tell of the end of a container after it. */
  remove(key: string): Promise<void>;
  close(): Promise<void>;
}

const program = (name: string): string => join(repository, 'bin', name);
const environment = { ...process.env, GODEBUG: 'asyncpreemptoff=1' };

export async function openVlanLab(): Promise<Lab> {
  mkdirSync(`${PLACE}/etcd`, { recursive: true, mode: 0o700 });
  const shell = openShell();
  await shell.sh(`ip -batch - <<END
    link add management type bridge
    link add switch type bridge
    address add 10.9.65.1/24 dev management
    link set management up
    link set switch up
END`);
  const daemons: Process[] = [];
  const launch = async (command: readonly string[], log: string) => {
    const daemon = await start(command, { log: `${PLACE}/${log}.log`, env: environment });
    daemons.push(daemon);
    return daemon;
  };
  const close = async () => {
    for (const daemon of daemons.toReversed()) await daemon.stop('SIGKILL');
    shell.close();
  };
  const hosts: LabHost[] = [];
  try {
    // One after the other: the guest has one processor, and nobody is to wait for an answer in vain.
    await startEtcd(launch);
    const store = ['--store', 'etcd://127.0.0.1:2379', '--listen', '127.0.0.1:9999', '--forward-mode', 'bridge'];
    const master = await launch([program('berth'), 'master', ...store], 'master');
    await master.waitForOutput(/master\.ready/, 60_000);
    for (const n of [1, 2, 3]) {
      const host = await makeHost(n, shell, launch);
      hosts.push(host);
      await host.startAgent('eth1');
    }
  } catch (error) {
    await close();
    throw error;
  }

  const request = async (key: string, body?: object) => {
    const sent = body === undefined ? { method: 'DELETE' } : { method: 'PUT', body: JSON.stringify(body) };
    const response = await fetch(`${API}/${key}/`, sent);
    return { ok: response.ok, text: await response.text() };
  };
  return {
    hosts,
    sh: shell.sh,
    object: async (key, body) => {
      const { ok, text } = await request(key, body);
      assert.ok(ok, `${key}: ${text}`);
    },
    remove: async (key) => {
      let said = '';
      await waitFor(
        () => `${key} to be removed: ${said}`,
        async () => {
          const { ok, text } = await request(key);
          said = text;
          if (!ok) assert.match(text, /active endpoints/);
          return ok;
        },
        20_000,
        200,
      );
    },
    close,
  };
}

type Launch = (command: readonly string[], log: string) => Promise<Process>;

async function startEtcd(launch: Launch): Promise<void> {
  const clients = ['--listen-client-urls=http://0.0.0.0:2379', '--advertise-client-urls=http://10.9.65.1:2379'];
  const quiet = ['--unsafe-no-fsync', '--logger=zap', '--log-level=error'];
  await launch(['etcd', '--data-dir', `${PLACE}/etcd`, ...clients, ...quiet], 'etcd');
  await waitFor('etcd to be healthy', () =>
    fetch('http://127.0.0.1:2379/health').then(
      ({ ok }) => ok,
      () => false,
    ),
  );
}

async function makeHost(n: number, { sh }: Shell, launch: Launch): Promise<LabHost> {
  const name = `h${n}`;
  const place = `${PLACE}/${name}`;
  const socket = `${place}/plugins/berth.sock`;
  mkdirSync(place);
  await sh(`ip netns add ${name}
    ip -n ${name} -batch - <<END
    link set lo up
    link add eth0 type veth peer name m${n} netns 1
    link add eth1 type veth peer name s${n} netns 1
    link add eth2 type veth peer name t${n} netns 1
    address add 10.9.65.${n + 10}/24 dev eth0
    link set eth0 up
END
    ip link set m${n} master management up
    ip link set s${n} master switch up
    ip link set t${n} master switch up`);
  let agent: Process | undefined;
  const within = ['ip', 'netns', 'exec', name];
  const folders = [
    '--state-dir',
    `${place}/state`,
    '--run-dir',
    `${place}/run`,
    '--plugin-dir',
    `${place}/plugins`,
    '--spec-dir',
    `${place}/spec`,
  ];
  const part = ['--store', 'etcd://10.9.65.1:2379', '--host', name, '--vtep', `10.9.65.${n + 10}`];
  const quick = ['--gc-grace', '1', '--linger', '0', '--docker', `unix://${place}/docker.sock`];
  return {
    name,
    socket,
    sh,
    startAgent: async (uplinks) => {
      const flags = [...folders, ...part, ...quick, '--uplinks', uplinks];
      agent = await launch([...within, program('berth'), 'agent', ...flags], name);
      await agent.waitForOutput(/agent\.ready/, 90_000);
    },
    stopAgent: async () => {
      await agent!.stop();
    },
  };
}
