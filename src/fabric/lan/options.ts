/** Options that LAN networks have in every mode, and readers that several modes share. */

import { BerthError } from '../../model/errors.ts';
import { networkContainerOptions } from '../container-options.ts';
import type { OptionSpec } from '../fabric.ts';
import { GREATEST_MTU, LEAST_MTU } from '../mtu.ts';
import { booleanOption, integerOption, linkOption, type OptionValues } from '../options.ts';
import { dhcpOptions } from './dhcp.ts';
import { namingOptions, readNaming } from './naming.ts';
import type { ModeName, Settings } from './settings.ts';

export const commonOptions: readonly OptionSpec[] = [
  {
    name: 'mode',
    values: 'bridge, macvlan, ipvlan, nic, ovs, dummy',
    default: 'bridge',
    help: "How containers get onto the wire: as ports of a bridge, or directly on an interface with a MAC of their own (macvlan) or with the interface's (ipvlan), or with a whole NIC (nic), or as ports of an Open vSwitch bridge (ovs); or not at all, with an interface that leads nowhere (dummy).",
  },
  {
    name: 'parent',
    values: 'name of an interface',
    default: 'none',
    help: "The interface that leads to the LAN. With mode=bridge: make a bridge from it, with the host's addresses and routes moved over, and give it back when the last such network is removed. `parent=eth0.120` is VLAN 120 of eth0, unless there is an interface of that name.",
  },
  {
    name: 'vlan',
    values: '1 to 4094',
    default: 'none',
    help: "Be on this VLAN of the parent, or of the bridge (IEEE 802.1Q). The sub-interface is made with the first container and removed after the last; one that was there before stays. With mode=ovs: the tag of the containers' ports.",
  },
  {
    name: 'mtu',
    aliases: ['com.docker.network.driver.mtu'],
    values: '1280 to 65535',
    default: 'that of the bridge or the parent',
    help: "MTU of the containers' interfaces.",
  },
  {
    name: 'interface_prefix',
    aliases: ['com.docker.network.container_iface_prefix'],
    values: 'up to 12 characters',
    default: 'eth',
    help: 'What the interface is called in the container; the engine appends a number.',
  },
  {
    name: 'conflict_check',
    values: 'true, false',
    default: 'true',
    help: 'Ask the LAN whether another machine has an address before a container gets it, and refuse it then. `false` where a router answers for all addresses (proxy ARP).',
  },
  ...networkContainerOptions,
  ...dhcpOptions,
  ...namingOptions,
];

/** Of the modes that plug containers into a bridge. */
export const bridgeOption: OptionSpec = {
  name: 'bridge',
  values: 'name of a bridge',
  default: 'br0; none with mode=ovs',
  help: 'The bridge that containers become ports of. It must exist, unless parent or vlan is given: then it is the name of the bridge to make. With mode=ovs: a bridge of Open vSwitch, which exists.',
};

/** @throws BerthError BAD_OPTION */
export function readCommon(
  options: OptionValues,
): Pick<Settings, 'mtu' | 'interfacePrefix' | 'conflictCheck' | 'naming'> {
  const mtu = integerOption(options, 'mtu', LEAST_MTU, GREATEST_MTU);
  const naming = readNaming(options);
  return {
    ...(mtu === undefined ? {} : { mtu }),
    ...(naming === undefined ? {} : { naming }),
    interfacePrefix: linkOption(options, 'interface_prefix', 12) ?? 'eth',
    conflictCheck: booleanOption(options, 'conflict_check', true),
  };
}

/** @throws BerthError BAD_OPTION when it is not given. */
export function requiredParent(options: OptionValues, mode: ModeName): string {
  const parent = linkOption(options, 'parent');
  if (parent !== undefined) return parent;
  throw new BerthError('BAD_OPTION', `mode=${mode} needs an interface to stand on: -o parent=`);
}

/** An option of another mode is a mistake, not something to pass over. @throws BerthError BAD_OPTION */
export function refuseOthers(
  options: OptionValues,
  mode: ModeName,
  all: ReadonlyMap<ModeName, readonly OptionSpec[]>,
): void {
  const own = new Set([...commonOptions, ...(all.get(mode) ?? [])].map(({ name }) => name));
  for (const name of options.keys()) {
    if (own.has(name)) continue;
    const goes = [...all]
      .filter(([, specs]) => specs.some((spec) => spec.name === name))
      .map(([other]) => `mode=${other}`);
    throw new BerthError('BAD_OPTION', `the option '${name}' goes with ${goes.join(' or ')}, not with mode=${mode}`);
  }
}
