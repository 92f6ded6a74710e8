/** Containers on networks of OpenStack Neutron: time, and calls of Neutron's and Keystone's API, per docker command. */

import { openBed } from '../test/e2e/bed/bed.ts';
import type { Host } from '../test/e2e/bed/host.ts';
import { findKuryr, kuryrEngineFlags, startKuryr } from '../test/e2e/bed/openstack/kuryr.ts';
import { type OpenStack, startOpenStack } from '../test/e2e/bed/openstack/openstack.ts';
import type { Benchmark, Context } from './benchmark.ts';
import type { Row, Table } from './result.ts';
import { type Measured, rounds, timed } from './rounds.ts';

interface Variant {
  readonly name: string;
  readonly driver: string;
}

const operations = ['docker network create', 'docker run -d', 'docker rm -f', 'docker network rm'] as const;

export const neutron: Benchmark = {
  name: 'neutron',
  about:
    'docker commands on networks of OpenStack Neutron, and the calls they cost; the Python original from BERTH_KURYR',
  run: async (context) => {
    const variants: Variant[] = [];
    const notes = [
      'neutron-server and Keystone run beside it, with one process each; ports are bound by an agent that is only in Neutron’s books',
      'calls are those of the plugin, counted by a proxy, those for tokens included',
    ];
    const kuryr = findKuryr();
    if ('absent' in kuryr) notes.push(`without the Python original: ${kuryr.absent}`);
    else variants.push({ name: 'kuryr-libnetwork', driver: 'kuryr' });
    if (variants.length === 0) return { title: 'Containers on Neutron', notes, rows: [] };

    await using bed = await openBed('bench');
    const lan = await bed.lan({ name: 'management', subnet: '10.9.65.0/24', gateway: '10.9.65.1' });
    await using stack = await startOpenStack({ on: { bed, lan, address: '10.9.65.11' }, hosts: ['a'] });
    const host = await bed.host('a', { start: false });
    await lan.plug(host, { name: 'eth1', addresses: ['10.9.65.79/24'] });
    await host.startEngine(kuryrEngineFlags);
    const image = await host.image();
    if ('home' in kuryr) await startKuryr(kuryr.home, host, stack);
    return await measure({ stack, host, image, variants, notes, context });
  },
};

interface Stage {
  readonly stack: OpenStack;
  readonly host: Host;
  readonly image: string;
  readonly variants: readonly Variant[];
  readonly notes: readonly string[];
  readonly context: Context;
}

async function measure({ stack, host, image, variants, notes, context }: Stage): Promise<Table> {
  const results = await rounds(variants, (variant) => once(stack, host, image, variant), {
    rounds: context.runs ?? 10,
    say: context.say,
  });
  const rows = ['', ', calls'].flatMap((suffix) =>
    operations.flatMap((operation) =>
      variants.map(({ name }): Row => {
        const what = operation + suffix;
        return { what, name, unit: suffix === '' ? 'ms' : 'calls', samples: results.get(name)!.get(what)! };
      }),
    ),
  );
  return { title: 'Containers on Neutron', notes, rows };
}

/** One network and one container, made and removed. */
async function once(stack: OpenStack, host: Host, image: string, { driver }: Variant): Promise<Measured> {
  const measured: Record<string, number> = {};
  const step = async (what: (typeof operations)[number], ...command: readonly string[]) => {
    stack.calls.clear();
    measured[what] = await timed(() => host.exec(['docker', ...command], { timeout: 300_000 }));
    await stack.calls.settled();
    measured[`${what}, calls`] = stack.calls.all().length;
  };
  const create = ['-d', driver, '--ipam-driver', driver, '--subnet', '10.70.0.0/16', '--gateway', '10.70.0.1'];
  await step('docker network create', 'network', 'create', ...create, 'measured');
  await step('docker run -d', 'run', '-d', '--name', 'measured', '--network', 'measured', image, 'sleep', '1000');
  await step('docker rm -f', 'rm', '-f', 'measured');
  await step('docker network rm', 'network', 'rm', 'measured');
  return measured;
}
