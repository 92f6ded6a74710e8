/** What a LAN network has been decided to be, as it is kept with it. */

import * as z from 'zod';
import type { Network } from '../../model/network.ts';
import { Naming } from './naming.ts';

/** A VLAN of an interface: the link on which frames with this tag come and go. */
const Vlan = z.object({
  id: z.number(),
  /** Whose VLAN it is. */
  base: z.string(),
  /** It was there before us, so it stays after us. */
  adopted: z.boolean(),
});
export type Vlan = z.infer<typeof Vlan>;

const common = {
  mtu: z.number().optional(),
  interfacePrefix: z.string(),
  conflictCheck: z.boolean().default(true),
  naming: Naming.optional(),
};

const BridgeSettings = z.object({
  ...common,
  mode: z.literal('bridge'),
  bridge: z.string(),
  /** The NIC that the bridge was made from; absent: the bridge is the administrator's, or stands on a VLAN. */
  parent: z.string().optional(),
  confirm: z.enum(['auto', 'manual', 'none']),
  confirmSeconds: z.number(),
  /** A DHCP client of the host asks on the NIC, which has this MAC address. */
  leased: z.object({ mac: z.string() }).optional(),
  /** Nobody confirmed the bridge in time: the NIC has been given back, and the network is to be removed. */
  returned: z.boolean().optional(),
  /** The bridge is ours, and leads nowhere by itself: it stands as long as a network is on it, with this MAC address. */
  created: z.object({ mac: z.string() }).optional(),
  /** The bridge is made for this VLAN, named `port`. */
  vlan: Vlan.optional(),
  port: z.string().optional(),
});
export type BridgeSettings = z.infer<typeof BridgeSettings>;

const MacvlanSettings = z.object({
  ...common,
  mode: z.literal('macvlan'),
  /** The link that the containers' links stand on; that of the VLAN, if there is one. */
  parent: z.string(),
  vlan: Vlan.optional(),
  variant: z.enum(['bridge', 'private', 'vepa', 'passthru']),
  hostAccess: z.boolean(),
});
export type MacvlanSettings = z.infer<typeof MacvlanSettings>;

const IpvlanSettings = z.object({
  ...common,
  mode: z.literal('ipvlan'),
  parent: z.string(),
  vlan: Vlan.optional(),
  variant: z.enum(['l2', 'l3', 'l3s']),
  hostAccess: z.boolean(),
});
export type IpvlanSettings = z.infer<typeof IpvlanSettings>;

const OvsSettings = z.object({
  ...common,
  mode: z.literal('ovs'),
  /** A bridge of Open vSwitch. */
  bridge: z.string(),
  tag: z.number().optional(),
  /** As `10,20,30-40`. */
  trunks: z.string().optional(),
  vlanMode: z.enum(['access', 'trunk', 'native-tagged', 'native-untagged', 'dot1q-tunnel']).optional(),
});
export type OvsSettings = z.infer<typeof OvsSettings>;

const NicSettings = z.object({
  ...common,
  mode: z.literal('nic'),
  /** Each by name, PCI address or MAC address, as the user named it. */
  nics: z.array(z.string()),
});
export type NicSettings = z.infer<typeof NicSettings>;

const DummySettings = z.object({ ...common, mode: z.literal('dummy') });
export type DummySettings = z.infer<typeof DummySettings>;

const ByMode = z.discriminatedUnion('mode', [
  DummySettings,
  BridgeSettings,
  MacvlanSettings,
  IpvlanSettings,
  NicSettings,
  OvsSettings,
]);
export type Settings = z.infer<typeof ByMode>;
/** Networks that were made before there were modes are on a bridge. */
const Settings = z.preprocess((kept) => ({ mode: 'bridge', ...(kept as object) }), ByMode);
export type ModeName = Settings['mode'];

/** A plugin call asks several times, and each change of the host once for each network. Records are never changed in place. */
const read = new WeakMap<Network, Settings>();

export function settingsOf(network: Network): Settings {
  let settings = read.get(network);
  if (settings === undefined) {
    settings = Settings.parse(network.settings);
    read.set(network, settings);
  }
  return settings;
}
