/**
 * Ports of Open vSwitch bridges as an object driver. Everything is one or two transactions with the database, which take
 * effect at once for whoever reads it; the switch itself follows some milliseconds later.
 */

import { noSuchBridge } from '../../ovs/bridges.ts';
import type { Client } from '../../ovs/client.ts';
import { countOf, type Operation, TransactionRefused } from '../../ovs/operations.ts';
import {
  addPort,
  awaitPort,
  awaitSwitch,
  changePort,
  PLUGGED,
  type PortSettings,
  readPorts,
  removePortAndTell,
  removePorts,
  selectPorts,
  told,
} from '../../ovs/ports.ts';
import type { Port, Switches } from '../../ovs/switches.ts';
import { formatVlans, parseVlans } from '../../ovs/vlans.ts';
import type { ObjectDriver } from '../driver.ts';
import { type KernelObject, type ObjectKey, type OvsPort, objectKey } from '../objects.ts';
import { describeObject } from '../rtnetlink/errors.ts';
import type { Syscalls } from '../syscalls.ts';

/** Milliseconds for which the switch is waited for, where that matters: the thread does nothing else. */
const PATIENCE = 500;

/** The key under which the owner of a port stands in its `external_ids`. */
const MARK = 'berth-endpoint';

export interface OvsDriver extends ObjectDriver {
  /**
   * Removes ports that an earlier life of ours has left: they bear our mark, nobody declares them, and the link is gone.
   *
   * @returns their names. @throws BerthError OVS_UNREACHABLE, OVS_REFUSED
   */
  removeForgotten(isKnown: (name: string) => boolean): readonly string[];
}

export function createOvsDriver(
  client: Pick<Client, 'transact' | 'switches'>,
  { linkIndex }: Pick<Syscalls, 'linkIndex'>,
): OvsDriver {
  /** Indexes of the links that the datapath in user space has, by their names; of one that has gone, negative. */
  const taken = new Map<string, number>();

  /**
   * Whether the switch has a link that is gone, under the name of one that has come or will come. The kernel's datapath takes that by
   * itself; the one in user space reads from its old socket for ever (netdev_linux_rxq_recv), and its database tells nothing of it.
   */
  function isDeaf(name: string, on: string | undefined, there: Switches): boolean {
    if (there.bridges().find((bridge) => bridge.name === on)?.datapath !== 'netdev') return false;
    const index = linkIndex(name);
    const before = taken.get(name) ?? index;
    // Until it is plugged in again.
    taken.set(name, before === index ? index : -1);
    return before !== index || index < 0;
  }

  function look(names: readonly string[], of?: Parameters<typeof selectPorts>[1]): Switches {
    const operations = selectPorts(names, of);
    return readPorts(operations, client.transact(operations));
  }

  /** @throws BerthError, TransactionRefused */
  function add(port: OvsPort): void {
    const results = client.transact(addPort(settingsOf(port)));
    if (countOf(results[PLUGGED]) === 0) throw noSuchBridge(port.bridge, look([]).bridges());
  }

  /** Returns when the switch has let go of it; when it is slow, or does not run, before that. */
  function letGo(id: string): void {
    const configuration = told(client.transact(removePortAndTell(id)));
    patiently(awaitSwitch(configuration, PATIENCE));
  }

  /** No failure when the switch is slow, or does not run: what is in the database is as was asked for. */
  function patiently(waiting: readonly Operation[]): void {
    try {
      client.transact(waiting);
    } catch (thrown) {
      if (!(thrown instanceof TransactionRefused && thrown.error === 'timed out')) throw thrown;
    }
  }

  function make(port: OvsPort): void {
    // Creation is tried first: it is the common case, and one question fewer.
    try {
      add(port);
      return;
    } catch (thrown) {
      // The names of ports and interfaces are unique in all of the database. But it may be something else that is wrong.
      if (!(thrown instanceof TransactionRefused && thrown.error === 'constraint violation')) throw thrown;
    }
    const there = look([port.name]);
    const found = there.port(port.name);
    if (found === undefined) {
      add(port);
      return;
    }
    if (!there.bridges().some(({ name }) => name === port.bridge)) throw noSuchBridge(port.bridge, there.bridges());
    const id = there.idOf(port.name)!;
    if (isDeaf(port.name, found.bridge, there)) {
      // In one transaction the switch would find the port where it was.
      letGo(id);
      add(port);
    } else client.transact(changePort(id, found.bridge, settingsOf(port)));
  }

  function unmakeAll(ports: readonly Pick<Port, 'name' | 'externalIds'>[]): void {
    const names = ports.map(({ name }) => name);
    for (const name of names) taken.delete(name);
    const there = look(names, ['Port']);
    const ids = ports.flatMap((port) => {
      // One of the same name without our mark is somebody else's.
      const ours = there.port(port.name)?.externalIds[MARK] === port.externalIds[MARK];
      return ours ? [there.idOf(port.name)!] : [];
    });
    if (ids.length > 0) client.transact(removePorts(ids));
  }

  return {
    kinds: ['ovs-port'],
    mayBeAway: true,

    find(objects) {
      const found = new Map<ObjectKey, KernelObject>();
      const ports = objects as readonly OvsPort[];
      const there = explained('read the ports', () => look(ports.map(({ name }) => name)));
      for (const wanted of ports) {
        const port = there.port(wanted.name);
        if (port !== undefined && !isDeaf(wanted.name, port.bridge, there))
          found.set(objectKey(wanted), foundPort(wanted, port));
      }
      return found;
    },

    make(object) {
      const port = object as OvsPort;
      explained(`make ${describeObject(port)}`, () => {
        make(port);
        taken.set(port.name, linkIndex(port.name));
        if (port.awaited === true) patiently(awaitPort(port.name, PATIENCE));
      });
    },

    unmake(object) {
      explained(`remove ${describeObject(object)}`, () => unmakeAll([object as OvsPort]));
    },

    unmakeAll(objects) {
      explained(`remove ${objects.length} ports`, () => unmakeAll(objects as readonly OvsPort[]));
    },

    removeForgotten(isKnown) {
      const forgotten = (client.switches?.ports() ?? []).filter(
        (port) => MARK in port.externalIds && !isKnown(port.name),
      );
      if (forgotten.length > 0) explained('remove forgotten ports', () => unmakeAll(forgotten));
      return forgotten.map(({ name }) => name);
    },

    close() {},
  };
}

/** A port of the database in the terms of the declared one. Its interface has the same marks, unless somebody removed them. */
export function foundPort(wanted: OvsPort, port: Port): OvsPort {
  const both = Object.entries(port.externalIds).filter(([key, value]) => port.interfaceIds[key] === value);
  return {
    ...wanted,
    // Every port that is there belongs to a bridge; it may be on its way from one to another.
    bridge: port.bridge ?? '',
    ...(wanted.tag === undefined ? {} : { tag: port.tag }),
    ...(wanted.trunks === undefined ? {} : { trunks: formatVlans(port.trunks) }),
    ...(wanted.vlanMode === undefined ? {} : { vlanMode: port.vlanMode as OvsPort['vlanMode'] & (string | null) }),
    externalIds: Object.fromEntries(both) as OvsPort['externalIds'],
  };
}

function settingsOf({ trunks, ...port }: OvsPort): PortSettings {
  return { ...port, ...(trunks === undefined ? {} : { trunks: trunks === '' ? [] : (parseVlans(trunks) ?? []) }) };
}

function explained<T>(doing: string, action: () => T): T {
  try {
    return action();
  } catch (thrown) {
    if (thrown instanceof TransactionRefused) throw thrown.toBerthError(doing);
    throw thrown;
  }
}
