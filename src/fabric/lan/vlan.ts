/** A VLAN of an interface (IEEE 802.1Q): the sub-interface is made with the first container and goes after the last. */

import type { HostView } from '../../kernel/kernel.ts';
import type { KernelObject } from '../../kernel/objects.ts';
import { BerthError } from '../../model/errors.ts';
import { integerOption, type OptionValues } from '../options.ts';
import { vlanObjects as objectsOf, vlanLink } from '../vlan.ts';
import { findLink } from './interfaces.ts';
import type { Vlan } from './settings.ts';

/** By which a sub-interface of ours is known from the administrator's. */
const alias = ({ id, base }: Vlan): string => `berth vlan ${id} of ${base}`;

export interface Parent {
  readonly name: string;
  readonly vlan?: Vlan;
}

/**
 * The interface that a network is to stand on, by the options `parent` and `vlan`. As with the engine's own drivers,
 * `parent=eth0.120` means VLAN 120 of eth0 as long as there is no interface of that name.
 *
 * @throws BerthError BAD_OPTION, INTERFACE_UNKNOWN, INTERFACE_UNSUITABLE
 */
export function parentWithVlan(given: string, options: OptionValues, host: HostView): Parent {
  const id = integerOption(options, 'vlan', 1, 4094);
  if (id !== undefined) return onVlan(given, id, host);
  const [, base, tag] = /^(.+)\.([1-9][0-9]{0,3})$/.exec(given) ?? [];
  if (base === undefined || findLink(host, given) !== undefined || Number(tag) > 4094) return { name: given };
  return onVlan(base, Number(tag), host);
}

function onVlan(base: string, id: number, host: HostView): Parent {
  const under = findLink(host, base);
  if (under === undefined) throw new BerthError('INTERFACE_UNKNOWN', `there is no interface ${base} on this host`);
  if (under.loopback) {
    throw new BerthError('INTERFACE_UNSUITABLE', `the loopback interface ${base} leads to no other machine`);
  }
  const vlan = { id, base, adopted: false };
  const name = vlanLink(vlan);
  const found = findLink(host, name);
  if (found !== undefined && (found.type !== 'vlan' || found.linkIndex !== under.index)) {
    throw new BerthError('INTERFACE_UNSUITABLE', `there is an interface ${name} already, and it is no VLAN of ${base}`);
  }
  return { name, vlan: { ...vlan, adopted: found !== undefined && found.alias !== alias(vlan) } };
}

/** @param master the bridge that it is a port of. */
export function vlanObjects(vlan: Vlan, master?: string): readonly KernelObject[] {
  return objectsOf(vlan, vlan.adopted ? undefined : alias(vlan), master);
}
