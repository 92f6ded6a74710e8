/**
 * The physical network: a container is a port of a bridge that the host's NIC is a port of, so it is a machine like any
 * other there. No NAT, no second interface; the gateway is the LAN's own.
 */

import type { HostView } from '../../kernel/kernel.ts';
import { BerthError } from '../../model/errors.ts';
import type { Network } from '../../model/network.ts';
import { contains, formatPrefix, overlaps, samePrefix } from '../../model/prefix.ts';
import type { Fabric, FabricContext, NetworkRequest } from '../fabric.ts';
import { gatewaysFor } from '../gateways.ts';
import { LEAST_MTU, linkMtu } from '../mtu.ts';
import { readOptions } from '../options.ts';
import { containerLink, vethPair } from '../veth.ts';
import { networkOptions, readSettings, type Settings, settingsOf } from './options.ts';
import { allNotes, answeringGateways, checkUplink, readNote, returnUplink, settle, takeUplink } from './uplink.ts';

export const lan: Fabric = {
  kind: 'lan',
  networkOptions,
  endpointOptions: [],

  async planNetwork(request, context) {
    const settings = readSettings(readOptions(request.options, networkOptions), context.defaults);
    if (settings.parent === undefined) checkBridge(settings.bridge, context.host);
    else if ((await readNote(context.notes, settings.parent)) === undefined)
      checkUplink(settings.parent, settings.bridge, context.host);
    checkSubnets(request, settings, context);
    return settings;
  },

  async openNetwork(network, context) {
    const { parent, bridge, confirm, confirmSeconds } = settingsOf(network);
    if (parent === undefined) return;
    const before = confirm === 'auto' ? await answeringGateways(parent, context.host) : new Set<string>();
    const note = await takeUplink(parent, bridge, confirm === 'none' ? undefined : confirmSeconds, context);
    if (note.bridge !== bridge) {
      throw new BerthError(
        'INTERFACE_UNSUITABLE',
        `${parent} is a port of ${note.bridge} for another network: use -o bridge=${note.bridge}`,
      );
    }
    if (confirm !== 'auto' || note.state !== 'trial') return;
    const after = await answeringGateways(bridge, await context.kernel.view());
    const lost = [...before].filter((gateway) => !after.has(gateway));
    if (lost.length > 0) {
      await returnUplink(note, context, 'forget');
      throw new BerthError(
        'CONNECTIVITY_LOST',
        `with ${parent} as a port of ${bridge} the gateway ${lost.join(', ')} did not answer any more`,
      );
    }
    await settle(note, context.notes);
  },

  async closeNetwork(network, context) {
    const { parent } = settingsOf(network);
    if (parent === undefined) return;
    if (
      context.networks.some(
        (other) => other.id !== network.id && other.fabric === 'lan' && settingsOf(other).parent === parent,
      )
    )
      return;
    const note = await readNote(context.notes, parent);
    if (note !== undefined) await returnUplink(note, context, 'forget');
  },

  async confirm(network, context) {
    const { parent } = settingsOf(network);
    const note = parent === undefined ? undefined : await readNote(context.notes, parent);
    if (note?.state === 'returned') {
      throw new BerthError('CONNECTIVITY_LOST', `the confirmation came too late: ${note.parent} has been given back`);
    }
    if (note?.state === 'trial') await settle(note, context.notes);
  },

  async maintain(context, amend) {
    let next: number | undefined;
    for (const note of await allNotes(context.notes)) {
      if (note.state === 'settled') {
        const view = await context.kernel.view();
        const broken =
          !view.links.some((link) => link.name === note.bridge) && view.links.some((link) => link.name === note.parent);
        if (broken) await remake(note.parent, note.bridge, context);
        continue;
      }
      if (note.state !== 'trial' || note.deadline === undefined) continue;
      const left = note.deadline - Date.now();
      if (left > 0) {
        next = Math.min(next ?? left, left);
        continue;
      }
      // First: what still stood declared would be missed, and mended.
      for (const network of context.networks) {
        if (network.fabric !== 'lan' || settingsOf(network).parent !== note.parent) continue;
        await amend(network, { ...settingsOf(network), returned: true });
      }
      await returnUplink(note, context, 'remember');
    }
    return next;
  },

  planEndpoint(_network, request) {
    readOptions(request.options, []);
    return null;
  },

  desiredShared() {
    return [];
  },

  desiredStanding(network) {
    const { parent, bridge, returned } = settingsOf(network);
    if (parent === undefined || returned === true) return [];
    // Adopted, though we made the bridge: it holds the host's addresses, so only `returnUplink` may take it away.
    return [
      { kind: 'link', type: 'adopted', name: bridge, up: true },
      { kind: 'link', type: 'adopted', name: parent, up: true, master: bridge },
    ];
  },

  desiredNetwork(network) {
    // Where br_netfilter is on, bridged packets pass the engine's FORWARD chain, whose policy is drop.
    const { bridge } = settingsOf(network);
    return ([4, 6] as const).map((family) => ({ kind: 'forward-accept', family, input: bridge, output: bridge }));
  },

  desiredEndpoint(network, endpoint, context) {
    const settings = settingsOf(network);
    return [vethPair(endpoint, settings.bridge, mtu(settings, context.host))];
  },

  join(network, endpoint, context) {
    const settings = settingsOf(network);
    checkBridge(settings.bridge, context.host);
    const gateways = context.engineRefusesGateway || network.internal ? {} : gatewaysFor(network, endpoint);
    return {
      sourceName: containerLink(endpoint),
      destinationPrefix: settings.interfacePrefix,
      ...gateways,
      routes: [],
      isolated: true,
    };
  },
};

function mtu(settings: Settings, host: HostView): number {
  return settings.mtu ?? linkMtu(host, settings.bridge) ?? LEAST_MTU;
}

/** Somebody removed the bridge and with it the host's addresses: make it again from the note. */
async function remake(parent: string, bridge: string, context: FabricContext): Promise<void> {
  const note = await readNote(context.notes, parent);
  if (note === undefined) return;
  await context.notes.put(`uplink/${parent}`, { ...note, state: 'moving' });
  await takeUplink(parent, bridge, undefined, context);
}

/** @throws BerthError INTERFACE_UNKNOWN, INTERFACE_UNSUITABLE */
function checkBridge(name: string, host: HostView): void {
  const link = host.links.find((candidate) => candidate.name === name);
  if (link === undefined) {
    throw new BerthError(
      'INTERFACE_UNKNOWN',
      `there is no bridge ${name} on this host; name one with -o bridge=, or have one made from a NIC with -o parent=`,
    );
  }
  if (link.type !== 'bridge') {
    throw new BerthError(
      'INTERFACE_UNSUITABLE',
      `${name} is not a bridge${link.type === undefined ? '' : ` but a ${link.type}`}; have one made from it with -o parent=${name}`,
    );
  }
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
  return other.fabric === 'lan' && settingsOf(other).bridge === settings.bridge;
}
