/**
 * A container is a port of a bridge: an existing one, one that is made from a NIC and given back afterwards, one that stands on
 * a VLAN for as long as containers are on it, or one that leads nowhere until somebody gives it an uplink.
 */

import { randomUUID } from 'node:crypto';
import type { HostView } from '../../../kernel/kernel.ts';
import type { BridgeLink } from '../../../kernel/objects.ts';
import { BerthError } from '../../../model/errors.ts';
import { macFromIdentity, parseMac } from '../../../model/mac.ts';
import { ETHERNET_MTU, LEAST_MTU, linkMtu } from '../../mtu.ts';
import { booleanOption, choiceOption, integerOption, linkOption } from '../../options.ts';
import { vethPair } from '../../veth.ts';
import { checkBridge, findLink } from '../interfaces.ts';
import type { LanMode, Plan } from '../mode.ts';
import { bridgeOption, readCommon } from '../options.ts';
import type { BridgeSettings } from '../settings.ts';
import { bridgeName } from '../uplink/bridge-name.ts';
import { checkRisks } from '../uplink/check.ts';
import { isLeased, leaseAnswers } from '../uplink/lease.ts';
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
      help: 'With parent: auto puts everything back at once when a gateway that answered before (where none did: every neighbour that did) does not answer any more; manual puts it back unless `berth network confirm` comes in time; none does not look.',
    },
    {
      name: 'confirm_timeout',
      values: '5 to 3600 seconds',
      default: '60',
      help: 'With confirm=manual: how long to wait for the confirmation.',
    },
    {
      name: 'create',
      values: 'true, false',
      default: 'false',
      help: 'Make the bridge if there is none of that name, with no uplink, and remove it with the last network on it. One that is there stays as it is.',
    },
  ],

  async plan(plan, context) {
    const settings = read(plan);
    const { parent, bridge, vlan, created } = settings;
    if (created !== undefined) return settings;
    if (vlan !== undefined) {
      const found = findLink(plan.host, bridge);
      if (found !== undefined && found.alias !== alias(settings)) {
        throw new BerthError(
          'INTERFACE_UNSUITABLE',
          `there is an interface ${bridge} already: choose another name with -o bridge=`,
        );
      }
      return settings;
    }
    if (parent === undefined) {
      checkBridge(bridge, plan.host);
      return settings;
    }
    if ((await readNote(context.notes, parent)) === undefined) {
      checkUplink(parent, bridge, plan.host);
      if (settings.confirm !== 'manual') await checkRisks(parent, bridge, context);
    }
    const mac = plan.host.links.find(({ name }) => name === parent)?.mac;
    const leased = mac !== undefined && (await isLeased(parent, bridge, plan.host));
    return leased ? { ...settings, leased: { mac } } : settings;
  },

  wire: ({ bridge }) => bridge,

  check({ bridge, vlan, created }, host) {
    if (created !== undefined) return;
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

  standing(settings) {
    const { bridge, parent, returned, created, leased } = settings;
    if (created !== undefined) return [ownBridge(settings)];
    if (parent === undefined || returned === true) return [];
    // Adopted, though we made the bridge: it holds the host's addresses, so only `returnUplink` may take it away.
    return [
      { kind: 'link', type: 'adopted', name: bridge, up: true },
      { kind: 'link', type: 'adopted', name: parent, up: true, master: bridge },
      ...(leased === undefined ? [] : [leaseAnswers(parent, parseMac(leased.mac)!)]),
    ];
  },

  network({ settings }) {
    const { bridge, vlan } = settings;
    return [
      ...(vlan === undefined ? [] : [ownBridge(settings), ...vlanObjects(vlan, bridge)]),
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

function mtu({ bridge, vlan, created }: BridgeSettings, host: HostView): number | undefined {
  const under = vlan === undefined ? undefined : linkMtu(host, vlan.base);
  return linkMtu(host, bridge) ?? under ?? (created === undefined ? undefined : ETHERNET_MTU);
}

/** By which a bridge of ours is known again. */
const alias = ({ bridge, vlan }: Pick<BridgeSettings, 'bridge' | 'vlan'>): string =>
  vlan === undefined ? `berth bridge ${bridge}` : `berth bridge on vlan ${vlan.id} of ${vlan.base}`;

/** A bridge without an uplink of the administrator's. */
const ownBridge = (settings: BridgeSettings): BridgeLink => ({
  kind: 'link',
  type: 'bridge',
  name: settings.bridge,
  // Chosen: the kernel's own choice follows the ports, and who has the host's address in its ARP table would lose it.
  ...(settings.created === undefined ? {} : { mac: parseMac(settings.created.mac)! }),
  up: true,
  stp: false,
  forwardDelay: 0,
  noLinkLocal: true,
  alias: alias(settings),
});

/** Several networks can be on one bridge of ours. @throws BerthError INTERFACE_UNSUITABLE */
function toCreate(bridge: string, host: HostView): Pick<BridgeSettings, 'created'> {
  const found = findLink(host, bridge);
  if (found === undefined) return { created: { mac: macFromIdentity(randomUUID()) } };
  checkBridge(bridge, host);
  return found.alias === alias({ bridge }) && found.mac !== undefined ? { created: { mac: found.mac } } : {};
}

/** @throws BerthError BAD_OPTION, INTERFACE_UNKNOWN, INTERFACE_UNSUITABLE */
function read({ options, defaults, host }: Plan): BridgeSettings {
  const given = linkOption(options, 'parent');
  const named = linkOption(options, 'bridge');
  const confirmSeconds = integerOption(options, 'confirm_timeout', 5, 3600);
  const confirm = choiceOption(options, 'confirm', ['auto', 'manual', 'none'], 'auto');
  if (given === undefined && (options.has('confirm') || confirmSeconds !== undefined)) {
    throw new BerthError('BAD_OPTION', "the options 'confirm' and 'confirm_timeout' go with 'parent'");
  }
  const create = booleanOption(options, 'create', false);
  if (create && (given !== undefined || options.has('vlan'))) {
    throw new BerthError(
      'BAD_OPTION',
      "with 'parent' or 'vlan' a bridge is made anyway: leave out the option 'create'",
    );
  }
  const common = { ...readCommon(options), mode: 'bridge', confirm, confirmSeconds: confirmSeconds ?? 60 } as const;
  const under: Parent | undefined =
    given !== undefined
      ? parentWithVlan(given, options, host)
      : options.has('vlan')
        ? parentWithVlan(named ?? defaults.bridge, options, host)
        : undefined;
  if (under === undefined) {
    const bridge = named ?? defaults.bridge;
    return { ...common, bridge, ...(create ? toCreate(bridge, host) : {}) };
  }
  // The VLAN of a bridge is a segment of its own: it needs a bridge of its own.
  const own = given === undefined ? undefined : named;
  const { name, vlan } = under;
  if (vlan === undefined) return { ...common, bridge: own ?? bridgeName(name), parent: name };
  return { ...common, bridge: own ?? bridgeName(name), vlan };
}
