/**
 * What there is in the database of an Open vSwitch (its schema: ovs-vswitchd.conf.db(5)): bridges, their ports, and the
 * interfaces of these. Kept from rows, which come from a monitor's reports or from selections.
 */

import { isObject, ProtocolError } from './json-stream.ts';
import { type Row, readMap, readNumbers, readRow, readText, readTexts, readUuids } from './values.ts';

export interface Port {
  readonly name: string;
  /** Absent while it belongs to none. */
  readonly bridge?: string;
  readonly tag: number | null;
  /** In order. */
  readonly trunks: readonly number[];
  readonly vlanMode: string | null;
  readonly externalIds: Readonly<Record<string, string>>;
  /** Those of the interface of the same name. */
  readonly interfaceIds: Readonly<Record<string, string>>;
  /** Why the switch cannot use that interface. */
  readonly error: string | null;
}

export interface Bridge {
  readonly name: string;
  /** `system`: the kernel's datapath. `netdev`: the one in user space. */
  readonly datapath: string;
}

/** The columns that are read of each table. */
export const columns = {
  Bridge: ['name', 'ports', 'datapath_type'],
  Port: ['name', 'tag', 'trunks', 'vlan_mode', 'external_ids'],
  Interface: ['name', 'external_ids', 'error'],
} as const;

export type Table = keyof typeof columns;
export const tables = Object.keys(columns) as readonly Table[];

/** Names of what a report was about. */
export interface Touched {
  readonly ports: ReadonlySet<string>;
  /** Bridges that were not there before. */
  readonly bridges: ReadonlySet<string>;
}

export interface Switches {
  /** Takes in what a monitor reports (RFC 7047 §4.1.6). @throws ProtocolError */
  report(changes: Readonly<Record<string, unknown>>): Touched;
  /** A row as it is now; absent: it is gone. @throws ProtocolError */
  put(table: Table, id: string, row: Row | undefined): void;
  bridges(): readonly Bridge[];
  ports(): readonly Port[];
  port(name: string): Port | undefined;
  /** The id of a port's row. */
  idOf(name: string): string | undefined;
}

interface BridgeRow extends Bridge {
  readonly ports: ReadonlySet<string>;
}
type PortRow = Omit<Port, 'bridge' | 'interfaceIds' | 'error'>;
type InterfaceRow = Pick<Port, 'name' | 'externalIds' | 'error'>;

export function createSwitches(): Switches {
  const bridges = new Map<string, BridgeRow>();
  const ports = new Map<string, PortRow>();
  const interfaces = new Map<string, InterfaceRow>();
  /** Names to ids, which OVSDB keeps unique. */
  const portIds = new Map<string, string>();
  const interfaceIds = new Map<string, string>();
  /** The bridge's row that each port's row belongs to. */
  const bridgeOf = new Map<string, string>();

  function putBridge(id: string, row: Row | undefined): void {
    for (const port of bridges.get(id)?.ports ?? []) if (bridgeOf.get(port) === id) bridgeOf.delete(port);
    bridges.delete(id);
    if (row === undefined) return;
    const of = new Set(readUuids(row, 'ports'));
    bridges.set(id, { name: readText(row, 'name'), datapath: readText(row, 'datapath_type') || 'system', ports: of });
    for (const port of of) bridgeOf.set(port, id);
  }

  function putPort(id: string, row: Row | undefined): void {
    forget(ports, portIds, id);
    if (row === undefined) return;
    const name = readText(row, 'name');
    ports.set(id, {
      name,
      tag: readNumbers(row, 'tag')[0] ?? null,
      trunks: readNumbers(row, 'trunks').toSorted((a, b) => a - b),
      vlanMode: readTexts(row, 'vlan_mode')[0] ?? null,
      externalIds: readMap(row, 'external_ids'),
    });
    portIds.set(name, id);
  }

  function putInterface(id: string, row: Row | undefined): void {
    forget(interfaces, interfaceIds, id);
    if (row === undefined) return;
    const name = readText(row, 'name');
    const error = readTexts(row, 'error')[0] ?? null;
    interfaces.set(id, { name, externalIds: readMap(row, 'external_ids'), error });
    interfaceIds.set(name, id);
  }

  const put = { Bridge: putBridge, Port: putPort, Interface: putInterface } as const;

  function portWith(id: string, row: PortRow): Port {
    const bridge = bridges.get(bridgeOf.get(id) ?? '');
    const own = interfaces.get(interfaceIds.get(row.name) ?? '');
    const ofInterface = { interfaceIds: own?.externalIds ?? {}, error: own?.error ?? null };
    return { ...row, ...ofInterface, ...(bridge === undefined ? {} : { bridge: bridge.name }) };
  }

  function reportPort(table: 'Port' | 'Interface', id: string, row: Row | undefined, names: Set<string>): void {
    const rows = table === 'Port' ? ports : interfaces;
    const before = rows.get(id)?.name;
    put[table](id, row);
    for (const name of [before, rows.get(id)?.name]) if (name !== undefined) names.add(name);
  }

  function reportBridge(id: string, row: Row | undefined, about: { ports: Set<string>; bridges: Set<string> }): void {
    const before = bridges.get(id);
    putBridge(id, row);
    const after = bridges.get(id);
    if (after !== undefined && after.name !== before?.name) about.bridges.add(after.name);
    // Ports that came to it or left it.
    for (const [one, other] of [
      [before, after],
      [after, before],
    ] as const) {
      for (const port of one?.ports ?? []) {
        const name = other?.ports.has(port) === true ? undefined : ports.get(port)?.name;
        if (name !== undefined) about.ports.add(name);
      }
    }
  }

  return {
    report(changes) {
      const about = { ports: new Set<string>(), bridges: new Set<string>() };
      // Ports first: a bridge's row refers to them.
      for (const table of ['Interface', 'Port', 'Bridge'] as const) {
        for (const [id, change] of Object.entries(readRow(changes[table] ?? {}))) {
          if (!isObject(change)) throw new ProtocolError('a change of a row is not an object');
          const row = change.new === undefined ? undefined : readRow(change.new);
          if (table === 'Bridge') reportBridge(id, row, about);
          else reportPort(table, id, row, about.ports);
        }
      }
      return about;
    },
    put: (table, id, row) => put[table](id, row),
    bridges: () => [...bridges.values()].map(({ name, datapath }) => ({ name, datapath })),
    ports: () => [...ports].map(([id, row]) => portWith(id, row)),
    port(name) {
      const id = portIds.get(name);
      return id === undefined ? undefined : portWith(id, ports.get(id)!);
    },
    idOf: (name) => portIds.get(name),
  };
}

/** Removes a row, and its name unless another row has taken it over since. */
function forget(rows: Map<string, { readonly name: string }>, ids: Map<string, string>, id: string): void {
  const name = rows.get(id)?.name;
  rows.delete(id);
  if (name !== undefined && ids.get(name) === id) ids.delete(name);
}
