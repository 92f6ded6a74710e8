/** Many on Neutron: containers at once, and networks. */

import { waitFor } from '../test/e2e/bed/process.ts';
import { ask, CONTAINERS, PATIENCE, quiet, type Results, type Stage, type Variant } from './neutron-stage.ts';
import type { Row } from './result.ts';
import { rounds, timed } from './rounds.ts';

const NETWORKS = 200;

/** Containers on one network, started and removed all at once. The network is there before. In seconds. */
export async function manyContainers(stage: Stage): Promise<Results> {
  const { variants, context, stack } = stage;
  const { containers = CONTAINERS, say } = context;
  say(`${containers} containers at once`);
  return await rounds(
    variants,
    async (variant) => {
      await create(stage, variant, 0);
      const names = await made(stage, containers);
      const started = await timed(() => all(names, (name) => ask(stage, `/containers/${name}/start`)));
      await quiet(stack);
      const began = performance.now();
      await all(names, (name) => ask(stage, `/containers/${name}?force=true`, 'DELETE'));
      const removed = performance.now() - began;
      await none(stage, 'ports');
      const forgotten = performance.now() - began;
      await removeNetwork(stage, 'n0');
      await none(stage, 'networks');
      return {
        [`start of ${containers} containers at once`]: started / 1000,
        [`removal of ${containers} containers at once`]: removed / 1000,
        [`the same, until Neutron has none of the ${containers}`]: forgotten / 1000,
      };
    },
    { rounds: 1, warmUp: 0 },
  );
}

/**
 * Networks, one after the other: what they cost, and whether the last cost more than the first. The peer, which is the first variant
 * where there are two, makes a tenth of them: with all it would take as long as everything else together.
 */
export async function manyNetworks(stage: Stage): Promise<readonly Row[]> {
  const { variants, context, stack, host } = stage;
  const { networks = NETWORKS, say } = context;
  const tenth = Math.ceil(networks / 10);
  const creating: Row[] = [];
  const removing: Row[] = [];
  const listing: Row[] = [];
  const [first, ...others] = variants;
  for (const variant of variants) {
    const { name } = variant;
    const isPeer = variant === first && others.length > 0;
    const count = isPeer ? tenth : networks;
    say(`${count} networks, ${name}`);
    const created = await samples(count, (n) => create(stage, variant, n));
    if (!isPeer) listing.push(...(await lists(stage, networks)));
    const removed = await samples(count, (n) => ask(stage, `/networks/n${n}`, 'DELETE'));
    await none(stage, 'networks');
    await quiet(stack);
    const peer = isPeer || others.length === 0 ? {} : { peer: first!.name };
    creating.push({ what: 'network create', name, unit: 'ms', samples: created.slice(0, tenth), ...peer });
    removing.push({ what: 'network rm', name, unit: 'ms', samples: removed.slice(0, tenth), ...peer });
    if (isPeer) continue;
    const last = { name: `${name}, the last of ${networks}`, unit: 'ms', peer: name };
    creating.push({ what: 'network create', ...last, samples: created.slice(-tenth) });
    removing.push({ what: 'network rm', ...last, samples: removed.slice(-tenth) });
  }
  return [...creating, ...listing, ...removing];

  async function lists(of: Stage, there: number): Promise<readonly Row[]> {
    const what = `network ls, ${there} networks`;
    const [docker, berth] = ['docker network ls', 'berth network ls'];
    const [byDocker, byBerth] = [
      await samples(5, () => of.host.exec(['docker', 'network', 'ls'])),
      await samples(5, () => host.berth('network', 'ls')),
    ];
    return [
      { what, name: docker, unit: 'ms', samples: byDocker },
      { what, name: berth, unit: 'ms', samples: byBerth, peer: docker },
    ];
  }
}

async function samples(count: number, action: (n: number) => Promise<unknown>): Promise<readonly number[]> {
  const times: number[] = [];
  for (let n = 0; n < count; n++) times.push(await timed(() => action(n)));
  return times;
}

const all = (names: readonly string[], action: (name: string) => Promise<unknown>): Promise<unknown> =>
  Promise.all(names.map(action));

async function create(stage: Stage, { driver, range }: Variant, n: number): Promise<void> {
  const config = [{ Subnet: `${range}.${n}.0/24`, Gateway: `${range}.${n}.1` }];
  const network = { Name: `n${n}`, Driver: driver, IPAM: { Driver: driver, Config: config }, CheckDuplicate: true };
  await ask(stage, '/networks/create', 'POST', network);
}

/**
 * The engine 20.10 sometimes counts endpoints that are gone, when many go at once, and then keeps their network, whose driver hears nothing of
 * it; it counts again when it starts.
 */
export async function removeNetwork(stage: Stage, name: string): Promise<void> {
  const remove = () => ask(stage, `/networks/${name}`, 'DELETE');
  await remove().catch(async (error: unknown) => {
    if (!String(error).includes('has active endpoints')) throw error;
    await stage.host.restartEngine();
    await remove();
  });
}

async function made(stage: Stage, count: number): Promise<readonly string[]> {
  const names = Array.from({ length: count }, (_, n) => `c${n}`);
  const container = { Image: stage.image, Cmd: ['sleep', '1000'], HostConfig: { NetworkMode: 'n0' } };
  await all(names, (name) => ask(stage, `/containers/create?name=${name}`, 'POST', container));
  return names;
}

/** Waits until nothing is left of what this benchmark has made. */
async function none({ stack }: Stage, kind: 'ports' | 'networks'): Promise<void> {
  await waitFor(
    `Neutron to have no ${kind}`,
    async () => (await stack.neutron.get<unknown[]>(`/${kind}?fields=id`)).length === 0,
    PATIENCE,
    100,
  );
}
