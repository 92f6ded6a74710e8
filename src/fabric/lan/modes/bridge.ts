/**
 * A container is a port of a bridge: an existing one, one that is made from a NIC and given back afterwards, or one that
 * stands on a VLAN for as long as containers are on it.
 */

import type { HostView } from '../../../kernel/kernel.ts';
import type { BridgeLink } from '../../../kernel/objects.ts';
import { BerthError } from '../../../model/errors.ts';
import { LEAST_MTU, linkMtu } from '../../mtu.ts';
import { choiceOption, integerOption, linkOption } from '../../options.ts';
import { vethPair } from '../../veth.ts';
import { checkBridge, findLink } from '../interfaces.ts';
import type { LanMode, Plan } from '../mode.ts';
import { bridgeOption, readCommon } from '../options.ts';
import type { BridgeSettings } from '../settings.ts';
import { bridgeName } from '../uplink/bridge-name.ts';
import { checkManagers } from '../uplink/managers/check.ts';
import { readNote } from '../uplink/note.ts';
import { checkUplink } from '../uplink/suitable.ts';
import { confirmUplink, maintainUplinks, openUplink, returnUnusedUplink, uplinksDisturbed } from '../uplink/trial.ts';
import { type Parent, parentWithVlan, vlanObjects } from '../vlan.ts';

export const bridge: LanMode<BridgeSettings> = {
  name: 'bridge',
  options: [
    bridgeOption,
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
  ],

  async plan(plan, context) {
    const settings = read(plan);
    const { parent, vlan } = settings;
    if (vlan !== undefined) {
      const found = findLink(plan.host, settings.bridge);
      if (found !== undefined && found.alias !== alias(settings)) {
        throw new BerthError(
          'INTERFACE_UNSUITABLE',
          `there is an interface ${settings.bridge} already: choose another name with -o bridge=`,
        );
      }
    } else if (parent === undefined) checkBridge(settings.bridge, plan.host);
    else if ((await readNote(context.notes, parent)) === undefined) {
      checkUplink(parent, settings.bridge, plan.host);
      if (settings.confirm !== 'manual') await checkManagers(parent, settings.bridge, plan.host);
    }
    return settings;
  },

  wire: ({ bridge }) => bridge,

  check({ bridge, vlan }, host) {
    if (vlan === undefined) checkBridge(bridge, host);
    else if (findLink(host, vlan.base) === undefined)
      throw new BerthError('INTERFACE_UNKNOWN', `there is no interface ${vlan.base} on this host`);
  },

  mtu,

  open: ({ settings }, context) => openUplink(settings, context),
  close: ({ network, settings }, context) => returnUnusedUplink(network, settings, context),
  confirm: ({ settings }, context) => confirmUplink(settings, context),
  maintain: maintainUplinks,
  disturbed: uplinksDisturbed,

  standing({ bridge, parent, returned }) {
    if (parent === undefined || returned === true) return [];
    // Adopted, though we made the bridge: it holds the host's addresses, so only `returnUplink` may take it away.
    return [
      { kind: 'link', type: 'adopted', name: bridge, up: true },
      { kind: 'link', type: 'adopted', name: parent, up: true, master: bridge },
    ];
  },

  network({ settings }) {
    const { bridge, vlan } = settings;
    const made: BridgeLink = {
      kind: 'link',
      type: 'bridge',
      name: bridge,
      up: true,
      stp: false,
      forwardDelay: 0,
      noLinkLocal: true,
      alias: alias(settings),
    };
    return [
      ...(vlan === undefined ? [] : [made, ...vlanObjects(vlan, bridge)]),
      // Where br_netfilter is on, bridged packets pass the engine's FORWARD chain, whose policy is drop.
      ...([4, 6] as const).map((family) => ({
        kind: 'forward-accept' as const,
        family,
        input: bridge,
        output: bridge,
      })),
    ];
  },

  endpoint: ({ settings }, endpoint, context) => [
    vethPair(endpoint, settings.bridge, settings.mtu ?? mtu(settings, context.host) ?? LEAST_MTU),
  ],
};

function mtu({ bridge, vlan }: BridgeSettings, host: HostView): number | undefined {
  return linkMtu(host, bridge) ?? (vlan === undefined ? undefined : linkMtu(host, vlan.base));
}

/** By which a bridge that stands on a VLAN is known again. */
const alias = ({ vlan }: BridgeSettings): string =>
  vlan === undefined ? '' : `berth bridge on vlan ${vlan.id} of ${vlan.base}`;

/** @throws BerthError BAD_OPTION, INTERFACE_UNKNOWN, INTERFACE_UNSUITABLE */
function read({ options, defaults, host }: Plan): BridgeSettings {
  const given = linkOption(options, 'parent');
  const named = linkOption(options, 'bridge');
  const confirmSeconds = integerOption(options, 'confirm_timeout', 5, 3600);
  const confirm = choiceOption(options, 'confirm', ['auto', 'manual', 'none'], 'auto');
  if (given === undefined && (options.has('confirm') || confirmSeconds !== undefined)) {
    throw new BerthError('BAD_OPTION', "the options 'confirm' and 'confirm_timeout' go with 'parent'");
  }
  const common = { ...readCommon(options), mode: 'bridge', confirm, confirmSeconds: confirmSeconds ?? 60 } as const;
  const under: Parent | undefined =
    given !== undefined
      ? parentWithVlan(given, options, host)
      : options.has('vlan')
        ? parentWithVlan(named ?? defaults.bridge, options, host)
        : undefined;
  if (under === undefined) return { ...common, bridge: named ?? defaults.bridge };
  // The VLAN of a bridge is a segment of its own: it needs a bridge of its own.
  const own = given === undefined ? undefined : named;
  const { name, vlan } = under;
  if (vlan === undefined) return { ...common, bridge: own ?? bridgeName(name), parent: name };
  return { ...common, bridge: own ?? bridgeName(name), vlan };
}
