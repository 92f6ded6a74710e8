/** Whether Neutron, the agent's records and the kernel of a host tell the same. */

import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Host } from '../bed/host.ts';
import type { OpenStack } from '../bed/openstack/openstack.ts';
import { waitFor } from '../bed/process.ts';
import { ask } from './agent.ts';

interface NeutronObject {
  readonly id: string;
  readonly description?: string;
  readonly device_id?: string;
  readonly tags?: readonly string[];
}

interface Note {
  readonly phase?: string;
  readonly port?: string;
  readonly network?: string;
  readonly [other: string]: unknown;
}

/** How many of each there must be, everywhere. */
export interface Holdings {
  readonly networks: number;
  readonly containers: number;
}

/** What the agent has written down of Neutron, by the kind of object. The file is its own: a copy is read. */
function records(host: Host): Record<'pool' | 'network' | 'port' | 'outside' | 'group', readonly Note[]> {
  const folder = mkdtempSync(join(tmpdir(), 'berth-records-'));
  try {
    for (const suffix of ['', '-wal']) {
      const file = host.path(`/var/lib/berth/berth.db${suffix}`);
      if (existsSync(file)) copyFileSync(file, join(folder, `copy.db${suffix}`));
    }
    using database = new DatabaseSync(join(folder, 'copy.db'));
    const rows = database.prepare("SELECT key, value FROM kv WHERE key LIKE 'berth/note/%/neutron/%'").all() as {
      key: string;
      value: string;
    }[];
    const of = (kind: string) =>
      rows.filter(({ key }) => key.includes(`/neutron/${kind}/`)).map(({ value }) => JSON.parse(value) as Note);
    return { pool: of('pool'), network: of('network'), port: of('port'), outside: of('outside'), group: of('group') };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const sorted = (ids: readonly (string | undefined)[]): string => JSON.stringify(ids.map(String).toSorted());

interface Findings {
  readonly differences: readonly string[];
  must(what: string, is: unknown, should: unknown): void;
}

function findings(): Findings {
  const differences: string[] = [];
  return {
    differences,
    must(what, is, should) {
      if (is !== should) differences.push(`${what}: ${String(is)}, not ${String(should)}`);
    },
  };
}

/** What the host itself has. */
async function differencesHere(host: Host, { networks, containers }: Holdings): Promise<readonly string[]> {
  const { must, differences } = findings();
  const kept = records(host);
  const held = kept.port.filter(({ phase }) => phase === 'held');
  must('ports', held.length, containers);
  must('records of ports', JSON.stringify(kept.port.filter(({ phase }) => phase !== 'held')), '[]');
  must('networks', kept.network.length, networks);
  must('records of networks', JSON.stringify(kept.network.filter(({ phase }) => phase !== 'held')), '[]');
  if (networks === 0) must('pools', kept.pool.length, 0);
  if (containers === 0) must('records of ways outside', JSON.stringify([...kept.outside, ...kept.group]), '[]');
  if (differences.length > 0) return differences;
  const [known, endpoints, links] = await Promise.all([
    ask(host, '/v1/networks'),
    ask(host, '/v1/endpoints'),
    host.net(['ip', '-j', 'link']),
  ]);
  must('networks of the agent', known.length, networks);
  must('endpoints of the agent', endpoints.length, containers);
  const wired = (JSON.parse(links.stdout) as { ifname: string }[])
    .map(({ ifname }) => ifname)
    .filter((name) => /^(tap|t_c|brq|qbr|qvb|qvo)/.test(name));
  must('ends on the host', wired.filter((name) => name.startsWith('tap')).length, containers);
  if (containers === 0) must('links', wired.join(' '), '');
  return differences;
}

type InNeutron = Readonly<Record<'ports' | 'networks' | 'subnets' | 'floatingips', readonly NeutronObject[]>>;

/** What Neutron tells: one after the other, for it is busy with what it is waited for. */
async function told({ neutron }: OpenStack): Promise<InNeutron> {
  const list = (kind: string) => neutron.get<NeutronObject[]>(`/${kind}`);
  return {
    ports: await list('ports'),
    networks: await list('networks'),
    subnets: await list('subnets'),
    floatingips: await list('floatingips'),
  };
}

function differencesInNeutron(all: InNeutron, host: Host, { networks }: Holdings): readonly string[] {
  const { must, differences } = findings();
  const kept = records(host);
  const adopted = new Set(kept.port.flatMap(({ origin, port }) => (origin === 'adopted' ? [port] : [])));
  const inNeutron = all.ports.filter(
    ({ id, description, device_id }) => description === `berth/${host.name}` || (adopted.has(id) && device_id !== ''),
  );
  const ofHost = (texts: readonly (string | undefined)[]) =>
    texts.some((text) => text?.startsWith(`berth/${host.name}/`) === true || text?.startsWith(`berth:${host.name}:`));
  const marked = all.networks.filter(({ description, tags = [] }) => ofHost([description, ...tags]));
  must('ports in Neutron', sorted(inNeutron.map(({ id }) => id)), sorted(kept.port.map(({ port }) => port)));
  must(
    'networks in Neutron',
    sorted(marked.map(({ id }) => id)),
    sorted([...new Set(kept.network.map(({ network }) => network))]),
  );
  if (networks > 0) return differences;
  const left = [...all.subnets, ...all.ports, ...all.floatingips].filter(({ description }) => ofHost([description]));
  must('subnets, interfaces of routers and floating IPs', sorted(left.map(({ id }) => id)), '[]');
  return differences;
}

/** @param look what differs. */
async function untilNone(who: string, look: () => Promise<readonly string[]>, timeout: number): Promise<void> {
  let left: readonly string[] = [];
  await waitFor(
    () => `${who} to agree:\n${left.join('\n')}`,
    async () => {
      left = await look();
      return left.length === 0;
    },
    timeout,
    100,
  );
}

/** The same without Neutron, which takes long to be asked: what the host has written down, and has in its kernel. */
export const agreeHere = (host: Host, holdings: Holdings, timeout = 60_000): Promise<void> =>
  untilNone(`Berth and the kernel of ${host.name}`, () => differencesHere(host, holdings), timeout);

/**
 * Waits until all three tell the same, and that there is so much.
 *
 * @param written Neutron's database is read, and it is not asked: a thousand times as fast, and without what it is about to write.
 * @throws naming the differences.
 */
export async function agree(
  stack: OpenStack,
  host: Host,
  holdings: Holdings,
  { timeout = 60_000, written = false }: { readonly timeout?: number; readonly written?: boolean } = {},
): Promise<void> {
  const look = async () => {
    const here = await differencesHere(host, holdings);
    if (here.length > 0) return here;
    return differencesInNeutron(written ? stack.objects() : await told(stack), host, holdings);
  };
  await untilNone(`Neutron, Berth and the kernel of ${host.name}`, look, timeout);
}

export const nothing: Holdings = { networks: 0, containers: 0 };
