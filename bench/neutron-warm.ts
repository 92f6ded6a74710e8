/** Containers that take ports which were made ahead: what is left of a start when Neutron is not asked. */

import { waitFor } from '../test/e2e/bed/process.ts';
import { removeNetwork } from './neutron-many.ts';
import { ask, LATENCY, quiet, type Stage, startAgent } from './neutron-stage.ts';
import type { Row } from './result.ts';
import { timed } from './rounds.ts';

/** @param peer whose rows of the same names there are, with as many runs. */
export async function warmPorts(
  stage: Stage,
  peer: string,
  runs: { readonly single: number; readonly slow: number; readonly containers: number },
): Promise<readonly Row[]> {
  const { stack, host, image, context } = stage;
  context.say('with warm ports');
  const name = `${peer}, warm ports`;
  const run = (container: string) =>
    host.exec(['docker', 'run', '-d', '--name', container, '--network', 'warm', image, 'sleep', '1000']);
  const rm = (...containers: readonly string[]) => host.exec(['docker', 'rm', '-f', ...containers]);
  const ready = async () => {
    const ports = () => stack.neutron.get<unknown[]>('/ports?fields=id');
    await waitFor('the warm ports', async () => (await ports()).length === runs.containers, 120_000, 100);
    await quiet(stack);
  };

  await host.stopBerth();
  await startAgent(host, stack, ['--neutron-macs', 'neutron', '--audit-interval', '3600']);
  // It asks each plugin once whether it wants MAC addresses.
  await host.restartEngine();
  const flags = ['--subnet', '10.90.0.0/16', '--gateway', '10.90.0.1', '-o', `neutron.warm_ports=${runs.containers}`];
  await host.exec([
    'docker',
    'network',
    'create',
    '-d',
    'berth-neutron',
    '--ipam-driver',
    'berth-neutron',
    ...flags,
    'warm',
  ]);
  await ready();
  const times: number[] = [];
  const calls: number[] = [];
  const slow: number[] = [];
  for (let n = 0; n < runs.single + runs.slow; n++) {
    const isSlow = n >= runs.single;
    if (isSlow) stack.calls.delayAll(LATENCY);
    stack.calls.clear();
    const took = await timed(() => run('measured'));
    if (!isSlow) calls.push(stack.calls.all().length);
    (isSlow ? slow : times).push(took);
    stack.calls.delayAll(0);
    await rm('measured');
    await ready();
  }
  const names = Array.from({ length: runs.containers }, (_, n) => `c${n}`);
  for (const container of names)
    await host.exec(['docker', 'create', '--name', container, '--network', 'warm', image, 'sleep', '1000']);
  const burst = await timed(() => Promise.all(names.map((one) => ask(stage, `/containers/${one}/start`))));
  await rm(...names);
  await removeNetwork(stage, 'warm');
  return [
    { what: 'docker run -d, calls until it is answered', name, unit: 'calls', samples: calls },
    { what: 'docker run -d', name, unit: 'ms', samples: times, peer },
    { what: `docker run -d, each call + ${LATENCY} ms`, name, unit: 'ms', samples: slow, peer },
    { what: `start of ${runs.containers} containers at once`, name, unit: 's', samples: [burst / 1000], peer },
  ];
}
