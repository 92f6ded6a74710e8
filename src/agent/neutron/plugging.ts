/** What happens when an endpoint's links are there, and before they go, besides the links: others have to join in. */

import { wiredByProgram } from '../../fabric/neutron/binding.ts';
import { bindArguments, executableFor, runFor, unbindArguments } from '../../fabric/neutron/bindings/executable.ts';
import type { HeldPort } from '../../fabric/neutron/port-state.ts';
import type { Ports } from '../../fabric/neutron/ports.ts';
import type { Fastened, PortRecord } from '../../fabric/neutron/records.ts';
import { asBerthError } from '../../model/errors.ts';
import type { EndpointId } from '../../model/ids.ts';
import { type Bounds, timeLeft } from '../../openstack/bounds.ts';

export interface Plugging {
  /**
   * Its links are there.
   *
   * @param network Neutron's id.
   * @throws BerthError PORT_PROGRAM_FAILED, PORT_INACTIVE: then `unplugging` is to follow.
   */
  plugged(endpoint: EndpointId, network: string, bounds: Bounds): Promise<void>;
  /** Its links are about to go. Safe to repeat; what fails is told, and holds up nobody. */
  unplugging(endpoint: EndpointId, bounds: Bounds): Promise<void>;
}

export interface PluggingParts {
  readonly ports: Pick<Ports, 'of' | 'fasten'>;
  /** Where the executables are. */
  readonly bindir: string;
  /** Absent: nobody waits for that. */
  readonly active: ((port: HeldPort, bounds: Bounds) => Promise<void>) | undefined;
  failed(endpoint: EndpointId, sentence: string): void;
}

/** Milliseconds that one program may take; the call that waits for it has others to make. */
const LIMIT = 5000;

export function createPlugging({ ports, bindir, active, failed }: PluggingParts): Plugging {
  return {
    async plugged(endpoint, network, bounds) {
      const port = ports.of(endpoint);
      if (port === undefined) return;
      const file = wiredByProgram(port.binding.type) ? executableFor(port.binding.type, bindir) : undefined;
      if (file !== undefined) {
        await ports.fasten(port.key, { by: 'executable', file, network, endpoint });
        await runFor(file, bindArguments({ ...port, endpoint, network }), limit(bounds));
      }
      // What only the machine's port lets through is a port that no agent wires.
      if (port.fastened?.by !== 'pairs') await active?.(port, bounds);
    },

    async unplugging(endpoint, bounds) {
      const port = ports.of(endpoint);
      if (port?.fastened?.by !== 'executable') return;
      await unbind(port, port.fastened, bounds, failed);
      await ports.fasten(port.key, undefined);
    },
  };
}

const limit = (bounds: Bounds): number => Math.max(1, Math.min(LIMIT, timeLeft(bounds)));

/** Tells of a failure, and lets go: the link that the program has wired goes in any case. */
export async function unbind(
  { port, mac, binding }: PortRecord,
  { file, network, endpoint }: Extract<Fastened, { by: 'executable' }>,
  bounds: Bounds,
  failed: PluggingParts['failed'],
): Promise<void> {
  if (port === undefined || mac === undefined || binding === undefined) return;
  try {
    await runFor(file, unbindArguments({ port, mac, binding, network, endpoint }), limit(bounds));
  } catch (error) {
    failed(endpoint, asBerthError(error).message);
  }
}
