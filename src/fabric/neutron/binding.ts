/** How a container is wired into Neutron's switch on this host: as the port's `binding:vif_type` says. */

import type { KernelObject } from '../../kernel/objects.ts';
import { BerthError } from '../../model/errors.ts';
import type { Endpoint, Network } from '../../model/network.ts';
import { bridge } from './bindings/bridge.ts';
import { nested } from './bindings/nested.ts';
import { ovs } from './bindings/ovs.ts';
import { tap } from './bindings/tap.ts';
import { virtualFunction } from './bindings/virtual-function.ts';
import type { Wiring } from './bindings/wiring.ts';
import type { Binding } from './records.ts';
import { endpointSettings } from './settings.ts';

const wirings: Readonly<Record<string, Wiring>> = { bridge, ovs, tap, hw_veb: virtualFunction };

/** `binding:vnic_type` that each is for. */
const nicFor = (type: string): string => (type === 'hw_veb' ? 'direct' : 'normal');

function wiringOf(endpoint: Endpoint): Wiring {
  const settings = endpointSettings(endpoint);
  if (settings.nested !== undefined) return nested;
  // What a program wires is the pair's end on the host.
  return wirings[settings.vif.type] ?? tap;
}

/** Whether a port of this type can only be wired by a program of the administrator's. */
export const wiredByProgram = (type: string): boolean =>
  wirings[type] === undefined && type !== 'unbound' && type !== 'binding_failed';

/** What a network needs for the endpoints on it; without any, what it may have had for those that are gone. */
export function networkWiring(network: Network, endpoints: readonly Endpoint[]): readonly KernelObject[] {
  const needed = endpoints.length === 0 ? Object.values(wirings) : endpoints.map(wiringOf);
  return [...new Set(needed)].flatMap((wiring) => wiring.network?.(network) ?? []);
}

export function endpointWiring(network: Network, endpoint: Endpoint): readonly KernelObject[] {
  return wiringOf(endpoint).endpoint(network, endpoint);
}

/** The link that the engine moves into the container. */
export function sourceLink(endpoint: Endpoint): string {
  return wiringOf(endpoint).sourceLink(endpoint);
}

/**
 * That a port is bound as we can wire it.
 *
 * @param hasProgram whether the administrator has put a program for its type.
 * @param agents of Neutron on this host, as far as we may see them: whether each is alive.
 * @throws BerthError PORT_UNBOUND, PORT_UNSUPPORTED
 */
export function checkBinding(
  { type, nic }: Binding,
  host: string,
  hasProgram: boolean,
  agents: readonly string[],
): void {
  if (type === 'unbound' || type === 'binding_failed') {
    const known = agents.length === 0 ? 'Neutron tells of no agent there' : `of its agents there: ${agents.join(', ')}`;
    throw new BerthError('PORT_UNBOUND', `Neutron does not bind the port on the host '${host}' (${type}); ${known}`);
  }
  // With another, it is of a switch in the NIC (`ovs`, `direct`), or of a way into a machine (`hw_veb`, `macvtap`).
  if ((wirings[type] !== undefined || hasProgram) && nic === nicFor(type)) return;
  throw new BerthError(
    'PORT_UNSUPPORTED',
    `Neutron binds the port as '${type}' (${nic}), which Berth cannot wire; it can: ${Object.keys(wirings)
      .map((each) => `${each} (${nicFor(each)})`)
      .join(', ')}, and those for which bindir of kuryr.conf has an executable`,
  );
}
