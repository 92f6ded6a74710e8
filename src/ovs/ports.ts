/** Ports of an Open vSwitch: transactions that look for them, plug them in, change and remove them. */

import { type Operation, type Result, rowsOf } from './operations.ts';
import { columnsOf, type Table, tables } from './rows.ts';
import { createSwitches, type Switches } from './switches.ts';
import { type Atom, map, namedUuid, optional, readNumbers, readUuids, set, uuid, type Value } from './values.ts';

/** How a port shall be. It has one interface, of the same name, which is a link that exists already. */
export interface PortSettings {
  readonly name: string;
  readonly bridge: string;
  /** The VLAN of an access port, or the native one. Absent, as the next two: somebody else says it, and is not contradicted. */
  readonly tag?: number | null;
  /** None: all of them, where the mode is one that trunks. */
  readonly trunks?: readonly number[];
  /** null: `access` with a tag, else `trunk`. */
  readonly vlanMode?: string | null;
  /** Set on the port and on its interface; what others keep there stays. */
  readonly externalIds: Readonly<Record<string, string>>;
}

export const DATABASE = 'Open_vSwitch';

/** Up to so many ports are looked for by name, in an index; more, by reading the whole tables. */
const SINGLE = 32;

/**
 * The ports of these names; without names, all.
 *
 * @param of the tables that are wanted. A bridge's row may be long: it names all of its ports.
 */
export function selectPorts(names?: readonly string[], of: readonly Table[] = tables): readonly Operation[] {
  const each = names !== undefined && names.length <= SINGLE ? names : undefined;
  return of.flatMap((table): Operation[] => {
    const select = { op: 'select', table, columns: ['_uuid', ...columnsOf(table)] } as const;
    if (table === 'Bridge' || each === undefined) return [{ ...select, where: [] }];
    return each.map((name) => ({ ...select, where: [['name', '==', name]] }));
  });
}

/** What `selectPorts` found. @throws ProtocolError */
export function readPorts(operations: readonly Operation[], results: readonly Result[]): Switches {
  const switches = createSwitches();
  for (const [position, operation] of operations.entries()) {
    if (operation.op !== 'select') continue;
    for (const row of rowsOf(results[position])) {
      switches.put(operation.table as Table, readUuids(row, '_uuid')[0]!, row);
    }
  }
  return switches;
}

/** Position of the operation in `addPort` whose count says whether the bridge is there. */
export const PLUGGED = 2;

/** A port that is not there yet. Without its bridge nothing refers to it, and the database drops it again by itself. */
export function addPort(port: PortSettings): readonly Operation[] {
  const ids = map(port.externalIds);
  return [
    { op: 'insert', table: 'Interface', 'uuid-name': 'card', row: { name: port.name, external_ids: ids } },
    {
      op: 'insert',
      table: 'Port',
      'uuid-name': 'port',
      row: { name: port.name, interfaces: set([namedUuid('card')]), ...vlans(port), external_ids: ids },
    },
    plug(port.bridge, namedUuid('port')),
    { op: 'comment', comment: `berth: port ${port.name} of ${port.bridge}` },
  ];
}

/**
 * Makes a port that is there as it shall be. It comes to nothing when the bridge is not there (`timed out`).
 *
 * @param id of the port's row.
 * @param bridge that it belongs to now.
 */
export function changePort(id: string, bridge: string | undefined, port: PortSettings): readonly Operation[] {
  const name = port.name;
  const ids = setIds(port.externalIds);
  return [
    ...(bridge === port.bridge ? [] : move(id, port.bridge)),
    ...(Object.keys(vlans(port)).length === 0
      ? []
      : [{ op: 'update', table: 'Port', where: [['_uuid', '==', uuid(id)]], row: vlans(port) } as const]),
    { op: 'mutate', table: 'Port', where: [['_uuid', '==', uuid(id)]], mutations: ids },
    { op: 'mutate', table: 'Interface', where: [['name', '==', name]], mutations: ids },
    { op: 'comment', comment: `berth: change port ${name} of ${port.bridge}` },
  ];
}

/**
 * Comes to an end when the switch has taken the interface in, which takes it some milliseconds (ovs-vswitchd.conf.db(5), ofport);
 * `timed out` when it does not.
 */
export function awaitPort(name: string, milliseconds: number): readonly Operation[] {
  return [
    {
      op: 'wait',
      table: 'Interface',
      timeout: milliseconds,
      where: [['name', '==', name]],
      columns: ['ofport'],
      until: '!=',
      rows: [{ ofport: set([]) }],
    },
  ];
}

/** The rows of a port and its interface go when no bridge has it any more. */
export function removePorts(ids: readonly string[]): readonly Operation[] {
  return [...ids.map(unplug), { op: 'comment', comment: `berth: remove ${ids.length} ports` }];
}

/** The same, and the switch is to say when it has done it (ovs-vswitchd.conf.db(5), next_cfg and cur_cfg). */
export function removePortAndTell(id: string): readonly Operation[] {
  const all = { table: DATABASE, where: [] } as const;
  return [
    unplug(id),
    { op: 'mutate', ...all, mutations: [['next_cfg', '+=', 1]] },
    { op: 'select', ...all, columns: ['next_cfg'] },
    { op: 'comment', comment: 'berth: remove a port whose link was made anew' },
  ];
}

/** What stands in `cur_cfg` when the switch has done that. @throws ProtocolError */
export const told = (results: readonly Result[]): number => readNumbers(rowsOf(results[2])[0] ?? {}, 'next_cfg')[0]!;

/** Comes to an end when the switch has done it; `timed out` when it does not, or when more has been asked of it meanwhile. */
export function awaitSwitch(configuration: number, milliseconds: number): readonly Operation[] {
  return [
    {
      op: 'wait',
      table: DATABASE,
      timeout: milliseconds,
      where: [],
      columns: ['cur_cfg'],
      until: '==',
      rows: [{ cur_cfg: configuration }],
    },
  ];
}

function move(id: string, bridge: string): readonly Operation[] {
  return [
    {
      op: 'wait',
      table: 'Bridge',
      timeout: 0,
      where: [['name', '==', bridge]],
      columns: ['name'],
      until: '==',
      rows: [{ name: bridge }],
    },
    unplug(id),
    plug(bridge, uuid(id)),
  ];
}

function plug(bridge: string, port: Atom): Operation {
  return {
    op: 'mutate',
    table: 'Bridge',
    where: [['name', '==', bridge]],
    mutations: [['ports', 'insert', set([port])]],
  };
}

function unplug(id: string): Operation {
  return {
    op: 'mutate',
    table: 'Bridge',
    where: [['ports', 'includes', set([uuid(id)])]],
    mutations: [['ports', 'delete', set([uuid(id)])]],
  };
}

function vlans({ tag, trunks, vlanMode }: PortSettings): Readonly<Record<string, Value>> {
  return {
    ...(tag === undefined ? {} : { tag: optional(tag) }),
    ...(trunks === undefined ? {} : { trunks: set(trunks) }),
    ...(vlanMode === undefined ? {} : { vlan_mode: optional(vlanMode) }),
  };
}

/** `insert` leaves a key that is there already as it is, so it is deleted first. */
function setIds(
  ids: Readonly<Record<string, string>>,
): readonly (readonly ['external_ids', 'insert' | 'delete', Value])[] {
  return [
    ['external_ids', 'delete', set(Object.keys(ids))],
    ['external_ids', 'insert', map(ids)],
  ];
}
