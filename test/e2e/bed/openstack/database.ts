/** Neutron's database as a file: for one process of neutron-server that serves by itself. */

import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Machine } from '../machine.ts';
import { run } from '../process.ts';
import { fromTemplate, type Template, withSqlite, writeAhead } from './template.ts';

/** What binds the ports of a host: the type of agent that Neutron believes to be there. */
export type AgentKind = 'linuxbridge' | 'ovs';

export interface FakeAgent {
  /** Default `linuxbridge`. */
  readonly kind?: AgentKind;
  /** What the agent reports of itself, besides what any would: `{ ovs_hybrid_plug: true }`, `{ integration_bridge: 'br-x' }`. */
  readonly configurations?: Readonly<Record<string, unknown>>;
  /** An agent that has not been heard of for long. Default true: one that will never die. */
  readonly alive?: boolean;
}

const types = {
  linuxbridge: ['Linux bridge agent', 'neutron-linuxbridge-agent'],
  ovs: ['Open vSwitch agent', 'neutron-openvswitch-agent'],
} as const;

const schema = 'neutron-schema.py';
const template: Template = {
  name: 'neutron',
  packages: ['python3-neutron', 'python3-sqlalchemy'],
  sources: [schema],
  make: async (folder) => {
    const file = join(folder, 'neutron.sqlite');
    await run(['/usr/bin/python3', join(import.meta.dirname, schema), `sqlite:///${file}`]);
    writeAhead(file);
  },
};

/** Makes the database, from the template, and returns its URL (SQLAlchemy). */
export async function neutronSqlite(machine: Machine): Promise<string> {
  const folder = join(machine.dir, 'neutron');
  mkdirSync(folder, { recursive: true });
  await fromTemplate(template, folder);
  return `sqlite:///${neutronFile(machine)}?timeout=30`;
}

const neutronFile = (machine: Machine) => join(machine.dir, 'neutron/neutron.sqlite');

/**
 * A row in the table of agents, so that ports bind to the host without any agent: vif_type `bridge` or `ovs`. Their status
 * stays DOWN, as nobody reports them up.
 */
export function addFakeAgent(machine: Machine, host: string, agent: FakeAgent = {}): void {
  const { kind = 'linuxbridge', alive = true } = agent;
  const [type, binary] = types[kind];
  const configurations = {
    bridge_mappings: { physnet1: 'br-ex' },
    interface_mappings: { physnet1: 'eth9' },
    tunneling_ip: '127.0.0.1',
    tunnel_types: ['vxlan'],
    l2_population: false,
    extensions: [],
    devices: 0,
    datapath_type: 'system',
    integration_bridge: 'br-int',
    ovs_hybrid_plug: false,
    ovs_capabilities: {},
    ...agent.configurations,
  };
  const heartbeat = alive ? '2099-01-01 00:00:00' : '2020-01-01 00:00:00';
  withSqlite(neutronFile(machine), (database) => {
    database.prepare('DELETE FROM agents WHERE host = ? AND agent_type = ?').run(host, type);
    database
      .prepare(
        `INSERT INTO agents (id, agent_type, binary, topic, host, availability_zone, admin_state_up, created_at,
           started_at, heartbeat_timestamp, configurations, resource_versions, load)
         VALUES (?, ?, ?, 'N/A', ?, '', 1, '2020-01-01 00:00:00', '2020-01-01 00:00:00', ?, ?, '{}', 0)`,
      )
      .run(randomUUID(), type, binary, host, heartbeat, JSON.stringify(configurations));
  });
}

/** How Neutron comes to see a port on a host with a fake agent as plugged in or out, which a real agent reports. */
export function setPortStatus(machine: Machine, port: string, status: 'ACTIVE' | 'DOWN' | 'BUILD'): void {
  withSqlite(neutronFile(machine), (database) => {
    database.prepare('UPDATE ports SET status = ? WHERE id = ?').run(status, port);
  });
}

/** An object as its row says, with what all kinds have. */
export interface Row {
  readonly id: string;
  readonly description: string;
  readonly tags: readonly string[];
  /** Of a port. */
  readonly device_id?: string;
}

const TABLES = { ports: 'device_id', networks: 'NULL', subnets: 'NULL', floatingips: 'NULL' } as const;
export type Kind = keyof typeof TABLES;

/** All objects of some kinds, without asking neutron-server, which takes a thousand times as long. What it is about to write is not there. */
export function objectsIn(machine: Machine): Readonly<Record<Kind, readonly Row[]>> {
  return withSqlite(neutronFile(machine), (database) => {
    const tags = new Map<number, string[]>();
    for (const row of database.prepare('SELECT standard_attr_id AS of, tag FROM tags').all())
      tags.set(row.of as number, [...(tags.get(row.of as number) ?? []), row.tag as string]);
    const rows = (kind: Kind): readonly Row[] =>
      database
        .prepare(
          `SELECT o.id, ${TABLES[kind]} AS device_id, a.description, a.id AS attributes
             FROM ${kind} AS o JOIN standardattributes AS a ON a.id = o.standard_attr_id`,
        )
        .all()
        .map((row) => ({
          id: row.id as string,
          description: (row.description as string | null) ?? '',
          tags: tags.get(row.attributes as number) ?? [],
          ...(kind === 'ports' && { device_id: row.device_id as string }),
        }));
    return {
      ports: rows('ports'),
      networks: rows('networks'),
      subnets: rows('subnets'),
      floatingips: rows('floatingips'),
    };
  });
}
