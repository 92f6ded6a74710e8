/** How long a person, or a boot, waits for Berth. */

import { join } from 'node:path';
import { openBed } from '../test/e2e/bed/bed.ts';
import { repository } from '../test/e2e/bed/machine.ts';
import { run } from '../test/e2e/bed/process.ts';
import type { Benchmark } from './benchmark.ts';
import type { Budget, Row } from './result.ts';
import { rounds, timed } from './rounds.ts';

const NETWORKS = 20;

export const commands: Benchmark = {
  name: 'commands',
  about: 'berth --version, berth network ls, and the start of the agent',
  run: async (context) => {
    await using bed = await openBed('bench');
    const host = await bed.host('a', { engine: context.engine });
    await host.startBerth();
    for (let i = 0; i < NETWORKS; i++) await host.docker('network', 'create', '-d', 'berth', `n${i}`);

    const berth = join(repository, 'bin/berth');
    const node = join(repository, 'node_modules/node/bin/node');
    const variants: { name: string; budgets?: readonly Budget[]; action: () => Promise<unknown> }[] = [
      { name: 'node -e 0', action: () => run([node, '-e', '0'], { env: process.env }) },
      {
        name: 'berth --version',
        budgets: [{ of: 'median', most: 100 }],
        action: () => run([berth, '--version'], { env: process.env }),
      },
      { name: 'docker network ls', action: () => host.docker('network', 'ls') },
      {
        name: 'berth network ls',
        budgets: [{ of: 'median', most: 200 }],
        action: () => host.exec([berth, 'network', 'ls']),
      },
    ];
    const results = await rounds(variants, async ({ action }) => ({ time: await timed(action) }), {
      rounds: context.runs ?? 30,
      say: context.say,
    });
    context.say('start of the agent');
    const starts: number[] = [];
    for (let i = 0; i < Math.min(context.runs ?? 10, 10); i++) {
      await host.stopBerth();
      starts.push(await timed(() => host.startBerth()));
    }
    return {
      title: 'Commands and start',
      notes: [
        `\`network ls\` and the agent have ${NETWORKS} networks; both \`ls\` are started through nsenter (2 to 3 ms)`,
        'the agent is started when its sockets are there and it answers /health',
      ],
      rows: [
        ...variants.map(
          ({ name, budgets }): Row => ({
            what: 'command',
            name,
            unit: 'ms',
            samples: results.get(name)!.get('time')!,
            ...(name === 'berth --version' ? { peer: 'node -e 0' } : {}),
            ...(name === 'berth network ls' ? { peer: 'docker network ls' } : {}),
            ...(budgets === undefined ? {} : { budgets }),
          }),
        ),
        { what: 'until ready', name: 'berth agent', unit: 'ms', samples: starts },
      ],
    };
  },
};
