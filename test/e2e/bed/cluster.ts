/**
 * A cluster: hosts with their engines and agents on one underlay, and control nodes with etcd and masters, which the hosts reach
 * over a management network of their own. So a host can be cut off from the other hosts, from etcd, or from both.
 *
 *   h1  h2  h3 ── underlay 10.8.65.0/24 ── gateway ── outside
 *    └───┴───┴─── management 10.9.65.0/24 ── c1 (etcd, master)  c2  c3
 */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type Bed, openBed } from './bed.ts';
import { type EtcdMember, etcdMembers, type MasterService, masterService } from './control.ts';
import type { EngineVersion } from './engines.ts';
import type { BerthOptions, Host } from './host.ts';
import type { Cable, Lan } from './lan.ts';
import { type Machine, repository } from './machine.ts';
import { type Result, waitFor } from './process.ts';

export interface ClusterOptions {
  /** One host for each. Default three of 28.5. */
  readonly engines?: readonly EngineVersion[];
  /** Members of etcd: 1 (default) or 3. */
  readonly members?: 1 | 3;
  /** Masters; default 1. The first is on c1, the second on c2 … */
  readonly masters?: number;
  /** Flags of each `berth master`. Default `--forward-mode bridge`. */
  readonly masterFlags?: readonly string[];
  /** Flags of each agent, besides `--host` and `--store`. */
  readonly agentFlags?: readonly string[];
  /** Plugin names to wait for; default those of the agent's own default. */
  readonly plugins?: readonly string[];
  /** Flags of every dockerd. */
  readonly engineFlags?: readonly string[];
  /** Give the engines a cluster store; 20.10 only. */
  readonly clusterStore?: boolean;
  /** Start the agents (default). */
  readonly agents?: boolean;
}

export interface ClusterHost extends Host {
  /** On the underlay. */
  readonly address: string;
  /** Starts the agent with the cluster's flags, and more. */
  startAgent(flags?: readonly string[], options?: BerthOptions): Promise<void>;
  /** Cards: `eth0` on the underlay, `eth1` on the management network. */
  readonly underlay: Cable;
  readonly management: Cable;
  /** After a power failure: the machine, its engine and its agent. */
  boot(): Promise<void>;
}

export interface Cluster extends AsyncDisposable {
  readonly bed: Bed;
  readonly hosts: readonly ClusterHost[];
  readonly members: readonly EtcdMember[];
  readonly masters: readonly MasterService[];
  readonly controls: readonly Machine[];
  readonly underlay: Lan;
  readonly management: Lan;
  /** What agents and masters are given as `--store`. */
  readonly store: string;
  /** The URLs of all masters, as NETMASTER takes them. */
  readonly netmaster: string;
  /** netctl, on a control node. Fails unless it succeeds. @param line has no blanks within words. @param at other masters than the cluster's. */
  netctl(line: string, at?: { readonly netmaster: string }): Promise<string>;
  /** The same, without a judgement. */
  tryNetctl(line: string, at?: { readonly netmaster: string }): Promise<Result>;
  /** Waits until every agent that should run is healthy, and known to the others. */
  ready(timeout?: number): Promise<void>;
  watch(test: Pick<TestContext, 'after' | 'diagnostic'>): void;
}

/** Opens a bed with a cluster in it, up and ready. Close it as a bed. */
export async function openCluster(name: string, options: ClusterOptions = {}): Promise<Cluster> {
  const bed = await openBed(name);
  try {
    return await assemble(bed, options);
  } catch (error) {
    await bed[Symbol.asyncDispose]();
    throw error;
  }
}

async function assemble(bed: Bed, options: ClusterOptions): Promise<Cluster> {
  const { engines = ['28.5', '28.5', '28.5'], members: count = 1, masters: masterCount = 1 } = options;
  const [underlay, management] = await Promise.all([
    bed.underlay(),
    bed.lan({ name: 'management', subnet: '10.9.65.0/24', gateway: '10.9.65.1' }),
  ]);

  const nodes = await Promise.all(
    Array.from({ length: Math.max(count, masterCount) }, async (_, n) => {
      const address = `10.9.65.${11 + n}`;
      return { machine: await management.machine(`c${n + 1}`, `${address}/24`), address };
    }),
  );
  const members = etcdMembers(nodes.slice(0, count));
  const store = `etcd://${members.map(({ address }) => `${address}:2379`).join(',')}`;
  const masterFlags = ['--store', store, '--listen', '0.0.0.0:9999'];
  const masters = nodes
    .slice(0, masterCount)
    .map(({ machine, address }) =>
      masterService(machine, address, ['berth', 'master', ...masterFlags, ...(options.masterFlags ?? forwardBridge)]),
    );
  const control = (async () => {
    await Promise.all(members.map((member) => member.start()));
    await Promise.all(masters.map((master) => master.start()));
  })();
  // Who awaits it learns of its failure, also when a host fails before.
  control.catch(() => {});

  const agentFlags = (host: string) => ['--store', store, '--host', host, ...(options.agentFlags ?? [])];
  const hosts = await Promise.all(
    engines.map(async (engine, n): Promise<ClusterHost> => {
      const which = `h${n + 1}`;
      const address = `10.8.65.${79 + n}`;
      const host = await bed.host(which, { engine, underlay: false, start: false });
      const [first, second] = [
        await underlay.plug(host, {
          addresses: [`${address}/24`, `fd08:65::${(79 + n).toString(16)}/64`],
          gateway: true,
        }),
        await management.plug(host, { name: 'eth1', addresses: [`10.9.65.${79 + n}/24`] }),
      ];
      const engineFlags = [
        ...(options.engineFlags ?? []),
        ...(options.clusterStore === true
          ? ['--cluster-store', `etcd://${members[0]!.address}:2379`, '--cluster-advertise', 'eth0:2376']
          : []),
      ];
      const startAgent: ClusterHost['startAgent'] = async (flags = [], how = {}) => {
        const wait = options.plugins === undefined ? {} : { plugins: options.plugins };
        await host.startBerth([...agentFlags(which), ...flags], {}, { ...wait, ...how });
      };
      // A cluster store must be there when the engine starts.
      if (options.clusterStore === true) await control;
      await host.startEngine(engineFlags);
      await host.image();
      return {
        ...host,
        address,
        underlay: first,
        management: second,
        startAgent,
        startEngine: (flags = []) => host.startEngine([...engineFlags, ...flags]),
        boot: async () => {
          await host.powerOn();
          // Together: an engine asks the plugins of its networks when it starts, and waits for them.
          await Promise.all([startAgent(), host.startEngine(engineFlags)]);
        },
      };
    }),
  );
  await control;

  const netmaster = masters.map(({ url }) => url).join(',');
  const tryNetctl: Cluster['tryNetctl'] = (line, at) =>
    nodes[0]!.machine.exec([join(repository, 'bin/netctl'), ...line.split(/\s+/)], {
      check: false,
      env: { NETMASTER: at?.netmaster ?? netmaster },
    });
  const cluster: Cluster = {
    bed,
    hosts,
    members,
    masters,
    controls: nodes.map(({ machine }) => machine),
    underlay,
    management,
    store,
    netmaster,
    tryNetctl,
    netctl: async (line, at) => {
      const { code, stdout, stderr } = await tryNetctl(line, at);
      assert.equal(code, 0, `netctl ${line}: ${stdout}${stderr}`);
      return stdout;
    },
    ready: (timeout = 20_000) => agentsReady(hosts, members, timeout),
    watch: (test) => bed.watch(test),
    [Symbol.asyncDispose]: () => bed[Symbol.asyncDispose](),
  };
  if (options.agents !== false) {
    await Promise.all(hosts.map((host) => host.startAgent()));
    await cluster.ready();
  }
  return cluster;
}

const forwardBridge = ['--forward-mode', 'bridge'];

async function agentsReady(
  hosts: readonly ClusterHost[],
  members: readonly EtcdMember[],
  timeout: number,
): Promise<void> {
  const up = hosts.filter((host) => host.isOn());
  let missing = '';
  await waitFor(
    () => `the agents to be ready: ${missing}`,
    async () => {
      const member = members.find((one) => one.running());
      const { stdout } = await member!.ctl(['get', '--prefix', '/berth/agent/', '--keys-only'], { check: false });
      const announced = stdout.split('\n').filter((line) => line !== '');
      const lacking = await Promise.all(
        up.map(async ({ name, berthApi }) => {
          if (!announced.includes(`/berth/agent/${name}`)) return [`${name} is not announced`];
          const { body } = await berthApi('/health');
          const { problems } = JSON.parse(body) as { problems: readonly unknown[] };
          return problems.length === 0 ? [] : [`${name}: ${JSON.stringify(problems)}`];
        }),
      );
      missing = lacking.flat().join('; ');
      return missing === '';
    },
    timeout,
    50,
  );
}
