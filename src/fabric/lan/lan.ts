/**
 * The physical network: a container is a machine like any other there. No NAT, no second interface; the gateway is the LAN's
 * own. How it gets onto the wire is the mode's affair.
 */

import { BerthError } from '../../model/errors.ts';
import type { Json, Network } from '../../model/network.ts';
import { contains, formatPrefix, overlaps, parsePrefix, samePrefix } from '../../model/prefix.ts';
import { containerObjects, staticRoutes } from '../container-objects.ts';
import {
  checkContainerOptions,
  containerOptions,
  containerSettings,
  interfacePrefix,
  planContainer,
} from '../container-options.ts';
import type { Fabric, FabricContext, JoinAnswer, NetworkRequest, OptionSpec } from '../fabric.ts';
import { gatewaysFor } from '../gateways.ts';
import { LEAST_MTU } from '../mtu.ts';
import { choiceOption, readOptions } from '../options.ts';
import { containerLink } from '../veth.ts';
import { checkDhcp, checkDhcpEndpoint, dhcpEndpointOptions, readDhcp } from './dhcp.ts';
import type { LanNetwork } from './mode.ts';
import { modeOf, modes } from './modes.ts';
import { checkNaming, namingPolicy } from './naming.ts';
import { commonOptions, refuseOthers } from './options.ts';
import { type ModeName, type Settings, settingsOf } from './settings.ts';

const modeNames = Object.keys(modes) as ModeName[];
const optionsByMode: ReadonlyMap<ModeName, readonly OptionSpec[]> = new Map(
  modeNames.map((name) => [name, modes[name].options]),
);
const networkOptions: readonly OptionSpec[] = [...commonOptions, ...distinct([...optionsByMode.values()].flat())];

export const lan: Fabric = {
  kind: 'lan',
  networkOptions,
  endpointOptions: [...containerOptions, ...dhcpEndpointOptions],

  async planNetwork(request, context) {
    const options = readOptions(request.options, networkOptions);
    const mode = choiceOption(options, 'mode', modeNames, 'bridge');
    refuseOthers(options, mode, optionsByMode);
    checkContainerOptions(options);
    const plan = { options, defaults: context.defaults, host: context.host };
    const settings = await modeOf({ mode }).plan(plan, context);
    if (options.has('dhcp') && modeOf(settings).wire(settings) === undefined) {
      throw new BerthError(
        'BAD_OPTION',
        `the host hears nothing of a LAN in mode=${mode}, so it cannot ask there: leave out -o dhcp=; one container alone on a card, with DHCP, is -o mode=macvlan -o macvlan_mode=passthru`,
      );
    }
    checkDhcp(options, request);
    checkSubnets(request, settings, context);
    await checkNaming(settings.naming, modeOf(settings).wire(settings));
    return settings;
  },

  async openNetwork(network, context) {
    const of = read(network);
    await modeOf(of.settings).open?.(of, context);
  },

  async closeNetwork(network, context) {
    const of = read(network);
    await modeOf(of.settings).close?.(of, context);
  },

  async confirm(network, context) {
    const of = read(network);
    await modeOf(of.settings).confirm?.(of, context);
  },

  async maintain(context, amend) {
    const waits = await Promise.all(modeNames.flatMap((mode) => modeOf({ mode }).maintain?.(context, amend) ?? []));
    const next = Math.min(...waits.filter((wait) => wait !== undefined));
    return Number.isFinite(next) ? next : undefined;
  },

  disturbed: (context) => modeNames.some((mode) => modeOf({ mode }).disturbed?.(context) === true),

  sharedMac(network, context) {
    const { settings } = read(network);
    return modeOf(settings).sharedMac?.(settings, context.host);
  },

  wire(network) {
    const { settings } = read(network);
    return modeOf(settings).wire(settings);
  },

  routesByLink: (network) => routesByLink(settingsOf(network)),

  checksConflicts: (network) => settingsOf(network).conflictCheck,

  planEndpoint(network, request, context) {
    const of = read(network);
    const chosen = planContainer(network, checkDhcpEndpoint(request.options)) as { readonly [key: string]: Json };
    return { ...chosen, ...modeOf(of.settings).planEndpoint?.(of, context) };
  },

  dhcp(network, request) {
    const wish = readDhcp(network, request);
    const { settings } = read(network);
    const link = modeOf(settings).wire(settings);
    return wish && link !== undefined ? { link, ...wish } : undefined;
  },

  defaultMac: (network, settings) => modeOf(settingsOf(network)).defaultMac?.(settings),

  naming(network) {
    const { settings } = read(network);
    return namingPolicy(settings.naming, modeOf(settings).wire(settings));
  },

  desiredShared() {
    return [];
  },

  desiredStanding(network) {
    const { settings } = read(network);
    return modeOf(settings).standing?.(settings) ?? [];
  },

  desiredNetwork(network, context) {
    const of = read(network);
    return modeOf(of.settings).network(of, context);
  },

  desiredEndpoint(network, endpoint, context) {
    const { settings } = read(network);
    const mode = modeOf(settings);
    let { mtu = settings.mtu } = containerSettings(endpoint);
    // What it was told may be less than the link can, but not more.
    if (endpoint.mtu !== undefined) mtu = Math.min(endpoint.mtu, mtu ?? mode.mtu(settings, context.host) ?? LEAST_MTU);
    const of = { network, settings: mtu === undefined ? settings : { ...settings, mtu } };
    const objects = mode.endpoint(of, endpoint, context);
    return [...objects, ...containerObjects(endpoint, objects)];
  },

  join(network, endpoint, context) {
    const { settings } = read(network);
    modeOf(settings).check(settings, context.host);
    const { defaultRoute } = containerSettings(endpoint);
    const shut = context.engineRefusesGateway || network.internal || !defaultRoute;
    return {
      sourceName: modeOf(settings).sourceLink?.(endpoint) ?? containerLink(endpoint),
      destinationPrefix: interfacePrefix(endpoint, settings.interfacePrefix),
      ...(shut || routesByLink(settings) ? {} : gatewaysFor(network, endpoint)),
      routes: [
        ...(shut || !routesByLink(settings)
          ? []
          : defaultRoutes(endpoint.addresses.map(({ address }) => address.family))),
        ...(shut || routesByLink(settings) ? [] : (endpoint.routes ?? [])),
        ...staticRoutes(endpoint),
      ],
      isolated: true,
    };
  },
};

function read(network: Network): LanNetwork<Settings> {
  return { network, settings: settingsOf(network) };
}

/** In these modes nobody is asked for a MAC: a packet goes out, and the host's own routes say where to. */
function routesByLink(settings: Settings): boolean {
  return settings.mode === 'ipvlan' && settings.variant !== 'l2';
}

function defaultRoutes(families: readonly (4 | 6)[]): JoinAnswer['routes'] {
  return [...new Set(families)].map((family) => ({ destination: parsePrefix(family === 4 ? '0.0.0.0/0' : '::/0')! }));
}

/** Several networks may share a subnet of one LAN (with ranges of their own); anything less equal is a mistake. */
function checkSubnets(request: NetworkRequest, settings: Settings, context: FabricContext): void {
  for (const { prefix, gateway } of request.subnets) {
    if (gateway !== undefined && !contains(prefix, gateway)) {
      throw new BerthError('ADDRESS_OUTSIDE', `the gateway of ${formatPrefix(prefix)} is not within that subnet`);
    }
    for (const other of context.networks) {
      const hit = other.subnets.find((subnet) => overlaps(subnet.prefix, prefix));
      if (hit === undefined || (samePrefix(hit.prefix, prefix) && sameSegment(other, settings))) continue;
      throw new BerthError(
        'SUBNET_OVERLAP',
        `the subnet ${formatPrefix(prefix)} overlaps ${formatPrefix(hit.prefix)} of the network ${other.id.slice(0, 12)} (${other.plugin})`,
      );
    }
  }
}

function sameSegment(other: Network, settings: Settings): boolean {
  if (other.fabric !== 'lan') return false;
  const theirs = settingsOf(other);
  const wire = modeOf(settings).wire(settings);
  return wire !== undefined && modeOf(theirs).wire(theirs) === wire;
}

/** An option that two modes have is one option. */
function distinct(specs: readonly OptionSpec[]): readonly OptionSpec[] {
  return [...new Map(specs.map((spec) => [spec.name, spec])).values()];
}
