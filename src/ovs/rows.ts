/**
 * Rows of the tables that matter here (ovs-vswitchd.conf.db(5)), as values, and how they change: either a row comes whole, or
 * as what is different in it (`update2`, ovsdb-server(7)).
 */

import { type Row, readMap, readNumbers, readText, readTexts, readUuids } from './values.ts';

export interface BridgeRow {
  readonly name: string;
  /** `system`: the kernel's datapath. `netdev`: the one in user space. */
  readonly datapath: string;
  /** Ids of rows. */
  readonly ports: Set<string>;
}

export interface PortRow {
  readonly name: string;
  readonly tag: number | null;
  /** In order. */
  readonly trunks: readonly number[];
  readonly vlanMode: string | null;
  readonly externalIds: Readonly<Record<string, string>>;
}

export interface InterfaceRow {
  readonly name: string;
  readonly externalIds: Readonly<Record<string, string>>;
  /** Why the switch cannot use it. */
  readonly error: string | null;
}

/** The columns that are read of each table, with what is left out of a row that is told whole in `update2`. */
const defaults = {
  Bridge: { name: '', ports: ['set', []], datapath_type: '' },
  Port: { name: '', tag: ['set', []], trunks: ['set', []], vlan_mode: ['set', []], external_ids: ['map', []] },
  Interface: { name: '', external_ids: ['map', []], error: ['set', []] },
} as const;

export type Table = keyof typeof defaults;
/** What a row refers to comes before it. */
export const tables = ['Interface', 'Port', 'Bridge'] as const satisfies readonly Table[];

export function columnsOf(table: Table): readonly string[] {
  return Object.keys(defaults[table]);
}

/** A row whose columns with default values may have been left out. */
export function completed(table: Table, row: Row): Row {
  return { ...defaults[table], ...row };
}

/** @throws ProtocolError */
export function readBridge(row: Row): BridgeRow {
  const datapath = readText(row, 'datapath_type') || 'system';
  return { name: readText(row, 'name'), datapath, ports: new Set(readUuids(row, 'ports')) };
}

/** @throws ProtocolError */
export function readPort(row: Row): PortRow {
  return {
    name: readText(row, 'name'),
    tag: readNumbers(row, 'tag')[0] ?? null,
    trunks: readNumbers(row, 'trunks').toSorted((a, b) => a - b),
    vlanMode: readTexts(row, 'vlan_mode')[0] ?? null,
    externalIds: readMap(row, 'external_ids'),
  };
}

/** @throws ProtocolError */
export function readInterface(row: Row): InterfaceRow {
  return {
    name: readText(row, 'name'),
    externalIds: readMap(row, 'external_ids'),
    error: readTexts(row, 'error')[0] ?? null,
  };
}

/** Changes the set of its ports in place: a bridge may have thousands. @throws ProtocolError */
export function patchBridge(before: BridgeRow, different: Row): BridgeRow {
  for (const port of 'ports' in different ? readUuids(different, 'ports') : []) {
    if (!before.ports.delete(port)) before.ports.add(port);
  }
  return {
    name: 'name' in different ? readText(different, 'name') : before.name,
    datapath: 'datapath_type' in different ? readText(different, 'datapath_type') || 'system' : before.datapath,
    ports: before.ports,
  };
}

/** @throws ProtocolError */
export function patchPort(before: PortRow, different: Row): PortRow {
  const trunks = new Set(before.trunks);
  for (const vlan of 'trunks' in different ? readNumbers(different, 'trunks') : []) {
    if (!trunks.delete(vlan)) trunks.add(vlan);
  }
  return {
    name: 'name' in different ? readText(different, 'name') : before.name,
    // A column that holds at most one value is told as it is now.
    tag: 'tag' in different ? (readNumbers(different, 'tag')[0] ?? null) : before.tag,
    trunks: [...trunks].toSorted((a, b) => a - b),
    vlanMode: 'vlan_mode' in different ? (readTexts(different, 'vlan_mode')[0] ?? null) : before.vlanMode,
    externalIds: patchMap(before.externalIds, different),
  };
}

/** @throws ProtocolError */
export function patchInterface(before: InterfaceRow, different: Row): InterfaceRow {
  return {
    name: 'name' in different ? readText(different, 'name') : before.name,
    externalIds: patchMap(before.externalIds, different),
    error: 'error' in different ? (readTexts(different, 'error')[0] ?? null) : before.error,
  };
}

/** A pair that was there already as it is told is one that went. */
function patchMap(before: Readonly<Record<string, string>>, different: Row): Readonly<Record<string, string>> {
  if (!('external_ids' in different)) return before;
  const entries = new Map(Object.entries(before));
  for (const [key, value] of Object.entries(readMap(different, 'external_ids'))) {
    if (entries.get(key) === value) entries.delete(key);
    else entries.set(key, value);
  }
  return Object.fromEntries(entries);
}
