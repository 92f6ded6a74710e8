/** The options of a LAN network, and what becomes of them. */

import * as z from 'zod';
import { BerthError } from '../../model/errors.ts';
import { linkName } from '../../model/ids.ts';
import type { Network } from '../../model/network.ts';
import type { FabricDefaults, OptionSpec } from '../fabric.ts';
import { GREATEST_MTU, LEAST_MTU } from '../mtu.ts';
import { choiceOption, integerOption, linkOption, type OptionValues } from '../options.ts';

export const networkOptions: readonly OptionSpec[] = [
  {
    name: 'bridge',
    values: 'name of a bridge',
    default: 'br0',
    help: 'The bridge that containers become ports of. It must exist, unless parent is given: then it is the name of the bridge to make.',
  },
  {
    name: 'parent',
    values: 'name of an interface',
    default: 'none',
    help: "Make a bridge from this interface, with the host's addresses and routes moved over, and give it back when the last such network is removed.",
  },
  {
    name: 'confirm',
    values: 'auto, manual, none',
    default: 'auto',
    help: 'With parent: auto puts everything back at once when a gateway that answered before does not answer any more; manual puts it back unless `berth network confirm` comes in time; none does not look.',
  },
  {
    name: 'confirm_timeout',
    values: '5 to 3600 seconds',
    default: '60',
    help: 'With confirm=manual: how long to wait for the confirmation.',
  },
  {
    name: 'mtu',
    aliases: ['com.docker.network.driver.mtu'],
    values: '1280 to 65535',
    default: "the bridge's MTU",
    help: "MTU of the containers' interfaces.",
  },
  {
    name: 'interface_prefix',
    aliases: ['com.docker.network.container_iface_prefix'],
    values: 'up to 12 characters',
    default: 'eth',
    help: 'What the interface is called in the container; the engine appends a number.',
  },
];

const Settings = z.object({
  bridge: z.string(),
  /** The NIC that the bridge was made from; absent: the bridge is the administrator's. */
  parent: z.string().optional(),
  confirm: z.enum(['auto', 'manual', 'none']),
  confirmSeconds: z.number(),
  mtu: z.number().optional(),
  interfacePrefix: z.string(),
  /** Nobody confirmed the bridge in time: the NIC has been given back, and the network is to be removed. */
  returned: z.boolean().optional(),
});
export type Settings = z.infer<typeof Settings>;

export function settingsOf(network: Network): Settings {
  return Settings.parse(network.settings);
}

/** @throws BerthError BAD_OPTION */
export function readSettings(options: OptionValues, defaults: FabricDefaults): Settings {
  const parent = linkOption(options, 'parent');
  const confirmSeconds = integerOption(options, 'confirm_timeout', 5, 3600);
  const confirm = choiceOption(options, 'confirm', ['auto', 'manual', 'none'], 'auto');
  if (parent === undefined && (options.has('confirm') || confirmSeconds !== undefined)) {
    throw new BerthError('BAD_OPTION', "the options 'confirm' and 'confirm_timeout' go with 'parent'");
  }
  const mtu = integerOption(options, 'mtu', LEAST_MTU, GREATEST_MTU);
  return {
    bridge: linkOption(options, 'bridge') ?? (parent === undefined ? defaults.bridge : bridgeName(parent)),
    ...(parent === undefined ? {} : { parent }),
    confirm,
    confirmSeconds: confirmSeconds ?? 60,
    ...(mtu === undefined ? {} : { mtu }),
    interfacePrefix: linkOption(options, 'interface_prefix', 12) ?? 'eth',
  };
}

function bridgeName(parent: string): string {
  return parent.length <= 12 ? `br-${parent}` : linkName('br-', parent);
}
