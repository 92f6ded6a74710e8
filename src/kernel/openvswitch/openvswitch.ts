/** The Open vSwitch of this host in the kernel thread: the driver of its ports, and who is told when they change. */

import { type DatabaseAddress, formatDatabaseAddress } from '../../ovs/address.ts';
import { createClient } from '../../ovs/client.ts';
import type { Touched } from '../../ovs/switches.ts';
import { satisfies } from '../compare.ts';
import { type KernelObject, type ObjectKey, type OvsPort, objectKey } from '../objects.ts';
import type { Reconciler } from '../reconciler.ts';
import type { Syscalls } from '../syscalls.ts';
import { createOvsDriver, foundPort, type OvsDriver } from './driver.ts';
import { connectStream } from './stream.ts';

export interface OpenvswitchOptions {
  readonly syscalls: Syscalls;
  readonly database: DatabaseAddress;
  readonly declared: Pick<Reconciler, 'declared' | 'declaredOf'> & Pick<Reconciler['dependents'], 'onLink'>;
  readonly suspect: (keys: Iterable<ObjectKey>) => void;
  /** Of the links that there are. */
  readonly linkNames: () => ReadonlySet<string>;
}

/** The driver. It connects when it is first needed: a host without Open vSwitch is not asked for it. */
export function openOpenvswitch(options: OpenvswitchOptions): OvsDriver {
  const { declared, suspect } = options;
  const client = createClient({
    address: formatDatabaseAddress(options.database),
    connect: (milliseconds) => connectStream(options.syscalls, options.database, milliseconds),
    needed: () => declared.declaredOf('ovs-port').length > 0,
    changed(touched) {
      suspect(contradicted(touched));
    },
    connected() {
      suspect(declared.declaredOf('ovs-port'));
      try {
        const links = options.linkNames();
        driver.removeForgotten((name) => declared.declared(keyOf(name)) !== undefined || links.has(name));
      } catch {
        // They are in nobody's way; the next connection tries again.
      }
    },
  });
  const driver = createOvsDriver(client, options.syscalls);

  /** Declared ports that are not as declared: what we did ourselves contradicts nothing. */
  function* contradicted({ ports, bridges }: Touched): Iterable<ObjectKey> {
    for (const name of ports) {
      const wanted = declared.declared(keyOf(name));
      const found = client.switches?.port(name);
      if (wanted?.kind === 'ovs-port' && (found === undefined || !satisfies(wanted, foundPort(wanted, found))))
        yield keyOf(name);
    }
    // A bridge that is there again has none of its ports.
    for (const bridge of bridges) {
      for (const key of declared.onLink(bridge)) if (isPort(declared.declared(key))) yield key;
    }
  }

  return {
    ...driver,
    close: () => client.close(),
  };
}

function keyOf(name: string): ObjectKey {
  return objectKey({ kind: 'ovs-port', name } as OvsPort);
}

function isPort(object: KernelObject | undefined): boolean {
  return object?.kind === 'ovs-port';
}
