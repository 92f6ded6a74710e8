/** Waiting until Neutron's agent has wired a port and told Neutron so (`vif_plugging_is_fatal` of kuryr.conf). */

import type { HeldPort } from '../../fabric/neutron/port-state.ts';
import { BerthError } from '../../model/errors.ts';
import { type Bounds, pause, timeLeft } from '../../openstack/bounds.ts';
import type { Neutron } from '../../openstack/neutron/neutron.ts';

export interface ActivationParts {
  readonly neutron: { readonly ports: Pick<Neutron['ports'], 'list'> };
  readonly host: string;
  /** Milliseconds; undefined: as long as there is time. */
  readonly timeout: number | undefined;
  /** Of Neutron on this host, for a message. */
  agents(bounds: Bounds): Promise<readonly string[]>;
}

/** Milliseconds between two questions. Agents take some seconds: who asks at once asks in vain. */
const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 1000;
const SHORTEST_PAUSE = 50;
/** Milliseconds that are kept for what follows a failure: the question for the agents, and the undoing. */
const KEPT = 1500;

/** @returns what waits for one port. It throws BerthError PORT_INACTIVE, before the bounds end. */
export function createActivation({ neutron, host, timeout, agents }: ActivationParts) {
  return async (port: Pick<HeldPort, 'port'>, bounds: Bounds): Promise<void> => {
    const began = performance.now();
    const patience = Math.min(timeout ?? Number.POSITIVE_INFINITY, timeLeft(bounds) - KEPT);
    const within: Bounds = { signal: bounds.signal, until: began + patience };
    let last: string | undefined;
    // The last questions come closer together: no time is given away.
    const next = (wait: number) => Math.max(SHORTEST_PAUSE, Math.min(wait * 2, LONGEST_PAUSE, timeLeft(within) / 2));
    for (let wait = FIRST_PAUSE; await pause(wait, within); wait = next(wait)) {
      try {
        const [found] = await neutron.ports.list({ id: port.port }, { ...within, fields: ['status'] });
        if (found?.status === 'ACTIVE') return;
        last =
          found === undefined ? 'Neutron has no such port any more' : `its status is ${found.status ?? 'not told'}`;
      } catch (error) {
        // A Neutron that is away for a moment says nothing of the agent: what it has told before counts.
        last ??= error instanceof Error ? error.message : String(error);
      }
    }
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    const known = await agents(bounds).catch(() => []);
    throw new BerthError(
      'PORT_INACTIVE',
      `the port ${port.port} did not become active on the host '${host}' within ${seconds} s: ${last ?? 'there was no time to ask'}; ${
        known.length === 0 ? 'Neutron tells of no agent there' : `agents there: ${known.join(', ')}`
      }`,
    );
  };
}
