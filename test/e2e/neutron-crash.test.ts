/**
 * The agent is killed before and after each of its effects on the store, the kernel and Neutron, while an engine makes a network of
 * Neutron, starts a container, ends it and removes the network. Then the agent is started again, and the engine repeats what it
 * repeats: the call that was cut, with an empty body. Whatever the point, Neutron, Berth and the kernel agree in the end, and nothing
 * is left that the engine does not have.
 */

import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { type Bed, openBed } from './bed/bed.ts';
import type { Host } from './bed/host.ts';
import { interfaces } from './bed/openstack/identity.ts';
import { ini } from './bed/openstack/ini.ts';
import { type OpenStack, startOpenStack } from './bed/openstack/openstack.ts';
import { waitFor } from './bed/process.ts';
import {
  type EngineCalls,
  type EngineNetwork,
  engineCalls,
  type WantedContainer,
  type WantedNetwork,
} from './suites/engine-calls.ts';
import { listed } from './suites/engine-listing.ts';
import { startNeutronAgent, warmUp } from './suites/neutron.ts';
import { agree, agreeHere, type Holdings, nothing } from './suites/neutron-agreement.ts';

/** Each kill costs a second in which the agent starts: several hosts start at the same time. */
const HOSTS = ['h1', 'h2', 'h3'] as const;
const [LOG, WHEN] = ['/run/effects', '/run/crash-at'];
const PLUGIN = 'berth-neutron';

let bed: Bed;
let stack: OpenStack;
let stages: readonly Stage[];
/** A network that was there, with a port for each host. */
let theirs: Readonly<Record<string, string>>;
const portOf = (number: number): string => `10.32.0.${200 + number}`;

interface Stage {
  readonly host: Host;
  readonly number: number;
  readonly engine: EngineCalls;
  /** How often it has died. */
  kills(): number;
  /**
   * Works with an agent whose effects count from 1, and which dies at this one; 0: at none. It runs again in the end.
   *
   * @param then what there is afterwards, unless it has died.
   * @returns undefined where it has died, and the engine has taken back what was begun.
   */
  doomed<Result>(at: number, then: Holdings, work: () => Promise<Result>): Promise<Result | undefined>;
}

before(async () => {
  bed = await openBed('neutron-crash');
  const lan = await bed.lan({ name: 'management', subnet: '10.8.65.0/24', gateway: '10.8.65.1' });
  stack = await startOpenStack({ on: { bed, lan, address: '10.8.65.11' }, hosts: HOSTS, keystone: false });
  await warmUp(stack);
  const { id } = await stack.neutron.post('/networks', { name: 'theirs' });
  theirs = { 'neutron.net.uuid': id };
  await stack.neutron.post('/subnets', { network_id: id, ip_version: 4, cidr: '10.32.0.0/24' });
  for (const number of HOSTS.keys())
    await stack.neutron.post('/ports', { network_id: id, fixed_ips: [{ ip_address: portOf(number) }] });
  stages = await Promise.all(
    HOSTS.map(async (name, number) => {
      const host = await bed.host(name, { underlay: false, start: false });
      await lan.plug(host, { addresses: [`10.8.65.${70 + number}/24`] });
      const neutron = { auth_type: 'none', endpoint_override: stack.networkUrl('RegionOne', interfaces[number]) };
      writeFileSync(host.path('/etc/kuryr.conf'), ini({ neutron }), { mode: 0o600 });
      const stage = await stageOn(host, number);
      // What an agent does once is done.
      await stage.engine.removeNetwork(await stage.engine.createNetwork({ subnets: [{ subnet: '10.33.0.0/24' }] }));
      await agree(stack, host, nothing);
      return stage;
    }),
  );
});
/** What was there and is not ours, but for what changes with every change. */
async function strangers(): Promise<string> {
  const of = theirs['neutron.net.uuid'];
  const paths = [`/networks/${of}`, `/subnets?network_id=${of}`, `/ports?network_id=${of}`];
  const found = await Promise.all(paths.map((path) => stack.neutron.get<object>(path)));
  return JSON.stringify(found, (key, value: unknown) => (/^(revision_number|updated_at)$/.test(key) ? null : value));
}
after(() => bed[Symbol.asyncDispose]());

async function stageOn(host: Host, number: number): Promise<Stage> {
  const file = host.path(WHEN);
  const start = () => startNeutronAgent(host, [], { BERTH_CRASH_FILE: WHEN, BERTH_CRASH_LOG: LOG });
  await start();
  let killed = 0;
  let agent = host.agent();
  let restarted: Promise<void> | undefined;
  const restart = (): Promise<void> =>
    (restarted ??= (async () => {
      assert.equal(await agent.exited(), 128 + 9);
      rmSync(file, { force: true });
      await start();
      agent = host.agent();
    })());
  /** It may die while it is being asked. */
  const over = (then: Holdings): Promise<unknown> =>
    agreeHere(host, then).catch((error: unknown) => {
      if (/ECONN/.test(String(error))) return agent.exited();
      throw error;
    });
  return {
    host,
    number,
    kills: () => killed,
    engine: await listed(host, engineCalls(host, PLUGIN, restart), PLUGIN),
    async doomed(at, then, work) {
      restarted = undefined;
      rmSync(host.path(LOG), { force: true });
      writeFileSync(file, String(at));
      try {
        const result = await work().catch((error: unknown) => {
          if (error instanceof assert.AssertionError || restarted === undefined) throw error;
          return undefined;
        });
        // What goes on in the background. Which effects there are differs a little from run to run: it may not be reached.
        if (restarted === undefined) await Promise.race([agent.exited(), over(then)]);
        return result;
      } finally {
        if (restarted !== undefined || !agent.running()) {
          await restart();
          killed += 1;
        }
        rmSync(file, { force: true });
      }
    },
  };
}

interface Kind {
  readonly name: string;
  /** @param containers whether there are to be any on it. */
  network(stage: Stage, containers: boolean): WantedNetwork;
  container(stage: Stage): WantedContainer;
  /** The effects to be killed at. What the store and the kernel do is the same for all kinds. */
  readonly at: RegExp;
}

const kinds: readonly Kind[] = [
  {
    name: 'a network of two families',
    network: () => ({
      subnets: [
        { subnet: '10.31.0.0/24', gateway: '10.31.0.1' },
        { subnet: 'fd31::/64', gateway: 'fd31::1' },
      ],
    }),
    container: () => ({}),
    at: /./,
  },
  {
    name: 'a network and a port that were there',
    network: ({ number }, containers) => ({
      subnets: [{ subnet: '10.32.0.0/24' }, ...(containers ? [] : [{ subnet: `fd32:${number}::/64` }])],
      options: theirs,
    }),
    container: ({ number }) => ({ ip: portOf(number) }),
    at: /PUT|POST|DELETE/,
  },
];

type Doomed = <Result>(work: () => Promise<Result>) => Promise<Result | undefined>;

/** One command of a user's. Before and after all of it there is nothing but the network, where it is on one. */
interface Command {
  readonly name: string;
  readonly onNetwork: boolean;
  /** When it has been done. */
  readonly then: Holdings;
  run(stage: Stage, kind: Kind, network: EngineNetwork, doomed: Doomed): Promise<void>;
}

const commands: readonly Command[] = [
  {
    name: 'network create',
    onNetwork: false,
    then: { networks: 1, containers: 0 },
    async run(stage, kind, _network, doomed) {
      const made = await doomed(() => stage.engine.createNetwork(kind.network(stage, false)));
      if (made !== undefined) await stage.engine.removeNetwork(made);
    },
  },
  {
    name: 'container start',
    onNetwork: true,
    then: { networks: 1, containers: 1 },
    async run(stage, kind, network, doomed) {
      const started = await doomed(() => stage.engine.start(network, kind.container(stage)));
      if (started !== undefined) await stage.engine.stop(network, started);
    },
  },
  {
    name: 'container stop',
    onNetwork: true,
    then: { networks: 1, containers: 0 },
    async run(stage, kind, network, doomed) {
      const started = await stage.engine.start(network, kind.container(stage));
      await doomed(() => stage.engine.stop(network, started));
    },
  },
  {
    name: 'network rm',
    onNetwork: false,
    then: nothing,
    async run(stage, kind, _network, doomed) {
      const made = await stage.engine.createNetwork(kind.network(stage, false));
      await doomed(() => stage.engine.removeNetwork(made));
    },
  },
];

/** Numbers of those at which a kill leaves another state than at the one before: what is after an effect is before the next one. */
function kills(effects: readonly string[], { at }: Kind): readonly number[] {
  const isAfter = (effect: string | undefined) => effect === undefined || effect.includes(' after ');
  const isNew = (effect: string, index: number) => !isAfter(effect) || isAfter(effects[index + 1]) || !at.test('store');
  return effects.flatMap((effect, index) => (at.test(effect) && isNew(effect, index) ? [index + 1] : []));
}

const killed = (): number => stages.reduce((sum, stage) => sum + stage.kills(), 0);

for (const kind of kinds) {
  for (const command of commands) {
    test(`${command.name}: ${kind.name}`, { concurrency: HOSTS.length, timeout: 600_000 }, async (context) => {
      const untouched = await strangers();
      const between = { networks: command.onNetwork ? 1 : 0, containers: 0 };
      const networks = new Map<Stage, EngineNetwork>();
      if (command.onNetwork)
        for (const stage of stages) networks.set(stage, await stage.engine.createNetwork(kind.network(stage, true)));
      const run = async (stage: Stage, at: number): Promise<string[]> => {
        let log = '';
        await command.run(stage, kind, networks.get(stage)!, async (work) => {
          const result = await stage.doomed(at, command.then, work);
          log = readFileSync(stage.host.path(LOG), 'utf8');
          return result;
        });
        await agree(stack, stage.host, between);
        return log.trim().split('\n');
      };

      const effects = await run(stages[0]!, 0);
      for (const one of [/store/, /PUT|POST|DELETE/]) assert.match(effects.join('\n'), one);
      const at = kills(effects, kind);
      context.diagnostic(`${at.length} kills`);
      const before = killed();
      await Promise.all(
        stages.map(async (stage, index) => {
          for (let next = index; next < at.length; next += stages.length)
            await context.test(`${effects[at[next]! - 1]} on ${stage.host.name}`, async () => {
              await run(stage, at[next]!);
            });
          const network = networks.get(stage);
          if (network !== undefined) await stage.engine.removeNetwork(network);
          await agree(stack, stage.host, nothing);
        }),
      );
      assert.equal(await strangers(), untouched);
      const died = killed() - before;
      assert.ok(died > at.length * 0.7, `it has died ${died} times of ${at.length}`);
    });
  }
}

describe('killed while Neutron has been asked, which does it when the next agent has looked', {
  concurrency: HOSTS.length,
}, () => {
  /** Longer than a slow Neutron needs for one call. Seconds. */
  const GRACE = ['--gc-grace', '10'];
  const subnets = [{ subnet: '10.33.0.0/24' }];

  for (const [number, kind] of ['networks', 'subnets', 'ports'].entries())
    test(kind, async () => {
      const { host } = stages[number]!;
      const endpoint = `RegionOne/${interfaces[number]!}`;
      await host.stopBerth();
      await startNeutronAgent(host, GRACE);
      const doomed = host.agent();
      const engine = engineCalls(host, PLUGIN, () => doomed.exited().then(() => startNeutronAgent(host, GRACE)));
      const network = kind === 'ports' ? await engine.createNetwork({ subnets }) : undefined;
      const late = stack.calls.inject({ kind: 'late' }, { endpoint, method: 'POST', template: `/v2.0/${kind}` });
      const doing = network === undefined ? engine.createNetwork({ subnets }) : engine.start(network);
      const [call] = await Promise.all([
        late.hit().then(async (hit) => {
          await host.killBerth();
          return hit;
        }),
        assert.rejects(doing),
      ]);
      const looked = () => stack.calls.all({ endpoint, method: 'GET', where: (one) => one.number > call.number });
      await waitFor('the next agent to look', () => looked().length > 0);
      late.remove();
      await waitFor('Neutron to have done it', () => call.passed !== undefined);
      if (kind !== 'subnets') assert.equal(call.passed?.status, 201, call.passed?.body);
      if (network !== undefined) await engine.removeNetwork(network);
      await agree(stack, host, nothing);
    });
});
