/**
 * What there is in the database of an Open vSwitch: bridges, their ports, and the interfaces of these. Kept from rows, which come
 * from a monitor's reports or from selections.
 */

import { isObject, ProtocolError } from './json-stream.ts';
import {
  type BridgeRow,
  completed,
  type InterfaceRow,
  type PortRow,
  patchBridge,
  patchInterface,
  patchPort,
  readBridge,
  readInterface,
  readPort,
  type Table,
  tables,
} from './rows.ts';
import { type Row, readRow, readUuids } from './values.ts';

export interface Port extends PortRow {
  /** Absent while it belongs to none. */
  readonly bridge?: string;
  /** Those of the interface of the same name. */
  readonly interfaceIds: Readonly<Record<string, string>>;
  /** Why the switch cannot use that interface. */
  readonly error: string | null;
}

export type Bridge = Pick<BridgeRow, 'name' | 'datapath'>;

/** Names of what a report was about. */
export interface Touched {
  readonly ports: ReadonlySet<string>;
  /** Bridges that were not there before. */
  readonly bridges: ReadonlySet<string>;
}

/** A report of a monitor: by table, by row. */
export type Changes = Readonly<Record<string, unknown>>;

export interface Switches {
  /** Takes in what `monitor` and `update` tell: rows as they are now (RFC 7047 §4.1.6). @throws ProtocolError */
  report(changes: Changes): Touched;
  /** Takes in what `monitor_cond` and `update2` tell: rows, or what is different in them (ovsdb-server(7)). @throws ProtocolError */
  reportDifferences(changes: Changes): Touched;
  /** A row as it is now. @throws ProtocolError */
  put(table: Table, id: string, row: Row): void;
  bridges(): readonly Bridge[];
  ports(): readonly Port[];
  port(name: string): Port | undefined;
  /** The id of a port's row. */
  idOf(name: string): string | undefined;
}

/** Gives a row its new value; undefined: it is gone. */
type Put<RowOf> = (id: string, row: RowOf | undefined) => void;

export function createSwitches(): Switches {
  const bridges = new Map<string, BridgeRow>();
  const ports = new Map<string, PortRow>();
  const interfaces = new Map<string, InterfaceRow>();
  /** Names to ids, which OVSDB keeps unique. */
  const portIds = new Map<string, string>();
  const interfaceIds = new Map<string, string>();
  /** The bridge's row that each port's row belongs to. */
  const bridgeOf = new Map<string, string>();
  let touched = { ports: new Set<string>(), bridges: new Set<string>() };

  /** Its ports have been taken note of. */
  const putBridge: Put<BridgeRow> = (id, row) => {
    const before = bridges.get(id);
    if (row === undefined) bridges.delete(id);
    else bridges.set(id, row);
    if (row !== undefined && row.name !== before?.name) touched.bridges.add(row.name);
  };

  /** A port came to a bridge or left it. */
  function moved(port: string, bridge: string, belongs: boolean): void {
    if (belongs) bridgeOf.set(port, bridge);
    else if (bridgeOf.get(port) === bridge) bridgeOf.delete(port);
    const name = ports.get(port)?.name;
    if (name !== undefined) touched.ports.add(name);
  }

  function replaceBridge(id: string, row: BridgeRow | undefined): void {
    const before = bridges.get(id)?.ports ?? new Set<string>();
    const after = row?.ports ?? new Set<string>();
    for (const port of before) if (!after.has(port)) moved(port, id, false);
    for (const port of after) if (!before.has(port)) moved(port, id, true);
    putBridge(id, row);
  }

  function changeBridge(id: string, different: Row): void {
    const before = bridges.get(id);
    if (before === undefined) throw unknownRow();
    const toggled = 'ports' in different ? readUuids(different, 'ports') : [];
    const after = patchBridge(before, different);
    for (const port of toggled) moved(port, id, after.ports.has(port));
    putBridge(id, after);
  }

  const putPort: Put<PortRow> = (id, row) => putNamed(id, row, ports, portIds);
  const putInterface: Put<InterfaceRow> = (id, row) => putNamed(id, row, interfaces, interfaceIds);

  function putNamed<RowOf extends { readonly name: string }>(
    id: string,
    row: RowOf | undefined,
    rows: Map<string, RowOf>,
    ids: Map<string, string>,
  ): void {
    const before = rows.get(id)?.name;
    rows.delete(id);
    // Another row may have taken the name over before this one goes.
    if (before !== undefined && ids.get(before) === id) ids.delete(before);
    if (row !== undefined) {
      rows.set(id, row);
      ids.set(row.name, id);
    }
    for (const name of [before, row?.name]) if (name !== undefined) touched.ports.add(name);
  }

  function put(table: Table, id: string, row: Row | undefined): void {
    if (table === 'Bridge') replaceBridge(id, row && readBridge(row));
    else if (table === 'Port') putPort(id, row && readPort(row));
    else putInterface(id, row && readInterface(row));
  }

  function change(table: Table, id: string, different: Row): void {
    if (table === 'Bridge') changeBridge(id, different);
    else if (table === 'Port') putPort(id, patchPort(known(ports, id), different));
    else putInterface(id, patchInterface(known(interfaces, id), different));
  }

  function take(changes: Changes, each: (table: Table, id: string, change: Row) => void): Touched {
    touched = { ports: new Set(), bridges: new Set() };
    for (const table of tables) {
      for (const [id, one] of Object.entries(readRow(changes[table] ?? {}))) {
        if (!isObject(one)) throw new ProtocolError('a change of a row is not an object');
        each(table, id, one);
      }
    }
    return touched;
  }

  function portWith(id: string, row: PortRow): Port {
    const bridge = bridges.get(bridgeOf.get(id) ?? '');
    const own = interfaces.get(interfaceIds.get(row.name) ?? '');
    const ofInterface = { interfaceIds: own?.externalIds ?? {}, error: own?.error ?? null };
    return { ...row, ...ofInterface, ...(bridge === undefined ? {} : { bridge: bridge.name }) };
  }

  return {
    report: (changes) =>
      take(changes, (table, id, one) => put(table, id, one.new === undefined ? undefined : readRow(one.new))),
    reportDifferences: (changes) =>
      take(changes, (table, id, one) => {
        const whole = one.initial ?? one.insert;
        if (whole !== undefined) put(table, id, completed(table, readRow(whole)));
        else if (one.modify !== undefined) change(table, id, readRow(one.modify));
        else put(table, id, undefined);
      }),
    put,
    bridges: () => [...bridges.values()].map(({ name, datapath }) => ({ name, datapath })),
    ports: () => [...ports].map(([id, row]) => portWith(id, row)),
    port(name) {
      const id = portIds.get(name);
      return id === undefined ? undefined : portWith(id, ports.get(id)!);
    },
    idOf: (name) => portIds.get(name),
  };
}

function known<RowOf>(rows: ReadonlyMap<string, RowOf>, id: string): RowOf {
  const row = rows.get(id);
  if (row === undefined) throw unknownRow();
  return row;
}

function unknownRow(): ProtocolError {
  return new ProtocolError('a row changed that was not there');
}
