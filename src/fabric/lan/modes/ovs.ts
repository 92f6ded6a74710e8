/** A container is a port of a bridge of this host's Open vSwitch, which is the administrator's, with its uplink. */

import type { HostView } from '../../../kernel/kernel.ts';
import type { KernelObject, OvsPort } from '../../../kernel/objects.ts';
import { BerthError } from '../../../model/errors.ts';
import { linkName } from '../../../model/ids.ts';
import { askSwitches } from '../../../ovs/ask.ts';
import { listBridges, noSuchBridge } from '../../../ovs/bridges.ts';
import { formatVlans, parseVlans } from '../../../ovs/vlans.ts';
import { linkMtu } from '../../mtu.ts';
import { choiceOption, integerOption, linkOption, type OptionValues, printable } from '../../options.ts';
import { hostLink, vethPair } from '../../veth.ts';
import { findLink } from '../interfaces.ts';
import type { LanMode } from '../mode.ts';
import { bridgeOption, readCommon } from '../options.ts';
import type { OvsSettings } from '../settings.ts';

const VLAN_MODES = ['access', 'trunk', 'native-tagged', 'native-untagged', 'dot1q-tunnel'] as const;

/** What the kernel calls the bridge's own interface: with the datapath in the kernel, and with the one in user space. */
const KERNEL_DATAPATH = 'openvswitch';
const USERSPACE_DATAPATH = 'tun';

export const ovs: LanMode<OvsSettings> = {
  name: 'ovs',
  options: [
    bridgeOption,
    {
      name: 'trunks',
      values: 'VLANs, such as 10,20,30-40',
      default: 'all, without vlan; else none',
      help: 'With mode=ovs: the VLANs that come to the container with their tags. With vlan too, that one comes untagged.',
    },
    {
      name: 'vlan_mode',
      values: VLAN_MODES.join(', '),
      default: 'what vlan and trunks mean',
      help: 'With mode=ovs: what the port does with tags, as ovs-vswitchd.conf.db(5) has it.',
    },
  ],

  async plan({ options, defaults }) {
    const settings = { ...readCommon(options), mode: 'ovs' as const, ...readVlans(options) };
    if (options.has('parent')) {
      throw new BerthError(
        'BAD_OPTION',
        "the option 'parent' does not go with mode=ovs: the bridge has its uplink already (ovs-vsctl add-port)",
      );
    }
    const named = linkOption(options, 'bridge');
    const { bridges } = await askSwitches(defaults.ovsDatabase);
    if (named === undefined) {
      const there = listBridges(bridges);
      throw new BerthError('BAD_OPTION', `mode=ovs needs a bridge of Open vSwitch, -o bridge=: ${there}`);
    }
    if (!bridges.some(({ name }) => name === named)) throw noSuchBridge(named, bridges);
    return { ...settings, bridge: named };
  },

  wire: ({ bridge, tag }) => (tag === undefined ? bridge : earNames(bridge, tag).free),

  check({ bridge }, host) {
    const type = findLink(host, bridge)?.type;
    if (type === KERNEL_DATAPATH || type === USERSPACE_DATAPATH) return;
    throw new BerthError(
      'INTERFACE_UNKNOWN',
      `there is no interface of the Open vSwitch bridge ${bridge} on this host: the bridge was removed, or ovs-vswitchd does not run`,
    );
  },

  mtu: (settings, host) => mtu(settings, host),

  // No rule: its frames pass no packet filter of the host.
  network: ({ settings: { bridge, tag } }, { host }) => (tag === undefined ? [] : ear(bridge, tag, host)),

  endpoint({ network, settings }, endpoint, { host }) {
    const under = mtu(settings, host);
    const pair = vethPair(endpoint, undefined, settings.mtu ?? under);
    const inUserSpace = findLink(host, settings.bridge)?.type === USERSPACE_DATAPATH;
    const port: OvsPort = {
      kind: 'ovs-port',
      name: hostLink(endpoint),
      bridge: settings.bridge,
      tag: settings.tag ?? null,
      trunks: settings.trunks ?? '',
      vlanMode: settings.vlanMode ?? null,
      externalIds: {
        'berth-endpoint': endpoint.id,
        'berth-network': network.id,
        'attached-mac': endpoint.mac,
      },
    };
    return [
      {
        ...pair,
        // A port with less than the others would lower the MTU of the bridge's own interface, and so the host's.
        ...(settings.mtu !== undefined && under !== undefined ? { mtu: Math.max(settings.mtu, under) } : {}),
        peer: { ...pair.peer, ...(inUserSpace ? { txChecksum: false as const } : {}) },
      },
      port,
    ];
  },
};

/**
 * Open vSwitch keeps the MTU of the bridge's own interface at the smallest of its ports. Not known while there is none: then
 * nothing is said about the MTU of links that are there already.
 */
function mtu({ bridge }: OvsSettings, host: HostView): number | undefined {
  return linkMtu(host, bridge);
}

/** Of the pair that is the host's ear on a VLAN of a bridge: all networks on it have one together. */
function earNames(bridge: string, tag: number): { readonly plugged: string; readonly free: string } {
  const id = `${bridge} vlan ${tag}`;
  return { plugged: linkName('bv', id), free: linkName('bp', id) };
}

/**
 * The bridge's own interface hears no VLAN without its tag. Whoever asks there whether an address is in use, or for one, does so
 * at the free end of a pair whose other end is an access port.
 */
function ear(bridge: string, tag: number, host: HostView): readonly KernelObject[] {
  const { plugged, free } = earNames(bridge, tag);
  const size = linkMtu(host, bridge);
  const common = { kind: 'link', up: true, noLinkLocal: true, ...(size === undefined ? {} : { mtu: size }) } as const;
  return [
    { ...common, type: 'veth', name: plugged, alias: `berth vlan ${tag} of ${bridge}`, peer: { name: free } },
    // Made with the pair, and goes with it.
    { ...common, type: 'adopted', name: free },
    {
      kind: 'ovs-port',
      name: plugged,
      bridge,
      tag,
      trunks: '',
      vlanMode: null,
      awaited: true,
      externalIds: { 'berth-endpoint': 'none: the host itself listens here' },
    },
  ];
}

/** @throws BerthError BAD_OPTION */
function readVlans(options: OptionValues): Pick<OvsSettings, 'tag' | 'trunks' | 'vlanMode'> {
  const tag = integerOption(options, 'vlan', 1, 4094);
  const given = options.get('trunks');
  const vlans = given === undefined ? undefined : parseVlans(given);
  if (given !== undefined && vlans === undefined) {
    throw new BerthError(
      'BAD_OPTION',
      `the option 'trunks' is a list of VLANs, such as 10,20,30-40, not '${printable(given)}'`,
    );
  }
  // What Open vSwitch itself makes of a tag with trunks is an access port that knows nothing of them.
  const implied = tag !== undefined && vlans !== undefined ? 'native-untagged' : 'access';
  const chosen = options.has('vlan_mode') ? choiceOption(options, 'vlan_mode', VLAN_MODES, 'access') : undefined;
  if (chosen !== undefined) checkMode(chosen, tag !== undefined, vlans !== undefined);
  const vlanMode = chosen ?? (implied === 'access' ? undefined : implied);
  return {
    ...(tag === undefined ? {} : { tag }),
    ...(vlans === undefined ? {} : { trunks: formatVlans(vlans) }),
    ...(vlanMode === undefined ? {} : { vlanMode }),
  };
}

/** @throws BerthError BAD_OPTION for what the switch would take and pass over. */
function checkMode(mode: (typeof VLAN_MODES)[number], hasTag: boolean, hasTrunks: boolean): void {
  if (mode === 'trunk' && hasTag) {
    throw new BerthError(
      'BAD_OPTION',
      "vlan_mode=trunk has no VLAN of its own: leave out 'vlan', or take native-untagged",
    );
  }
  if (mode !== 'trunk' && !hasTag) throw new BerthError('BAD_OPTION', `vlan_mode=${mode} needs the option 'vlan'`);
  if (mode === 'access' && hasTrunks) {
    throw new BerthError('BAD_OPTION', "vlan_mode=access has no use for 'trunks': leave one of them out");
  }
}
