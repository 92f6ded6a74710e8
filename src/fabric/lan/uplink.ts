/**
 * A NIC becomes the port of a bridge, and the host's addresses and routes move from the one to the other; later all of it
 * goes back. Every move is one batch of the kernel worker, so that the host is without its address for microseconds; what
 * was found before stands in a note, so that a crash in the middle is finished or undone.
 */

import * as z from 'zod';
import type { HostView, KernelStep } from '../../kernel/kernel.ts';
import type { LinkAddress, Route } from '../../kernel/objects.ts';
import { formatAddress, parseAddress } from '../../model/address.ts';
import { BerthError } from '../../model/errors.ts';
import { parseMac } from '../../model/mac.ts';
import { formatPrefix, parseInterfaceAddress, parsePrefix } from '../../model/prefix.ts';
import type { FabricContext, Notes } from '../fabric.ts';
import { reachable } from './reachable.ts';

/** RTPROT_KERNEL: the kernel makes these with the address. */
const PROTOCOL_KERNEL = 2;

const Note = z.object({
  parent: z.string(),
  bridge: z.string(),
  mac: z.string(),
  /** `trial` until `deadline`; `returned` when it was not confirmed and given back. */
  state: z.enum(['moving', 'trial', 'settled', 'returned']),
  /** Milliseconds since the epoch. */
  deadline: z.number().optional(),
  addresses: z.array(z.object({ address: z.string(), valid: z.number().optional(), preferred: z.number().optional() })),
  routes: z.array(
    z.object({
      destination: z.string(),
      via: z.string().optional(),
      source: z.string().optional(),
      metric: z.number(),
      protocol: z.number(),
      table: z.number(),
      scope: z.enum(['universe', 'link', 'host']),
    }),
  ),
});
export type UplinkNote = z.infer<typeof Note>;

const noteName = (parent: string) => `uplink/${parent}`;
/** By which a bridge of ours is known again, should the note be lost. */
const alias = (parent: string) => `berth uplink ${parent}`;

export async function readNote(notes: Notes, parent: string): Promise<UplinkNote | undefined> {
  const note = await notes.get(noteName(parent));
  return note === undefined ? undefined : Note.parse(note);
}

export async function allNotes(notes: Notes): Promise<readonly UplinkNote[]> {
  return [...(await notes.list('uplink/')).values()].map((note) => Note.parse(note));
}

/**
 * Refuses an interface that cannot become a bridge port.
 *
 * @throws BerthError INTERFACE_UNKNOWN, INTERFACE_UNSUITABLE
 */
export function checkUplink(parent: string, bridge: string, host: HostView): void {
  if (isTaken(parent, bridge, host)) return;
  const link = host.links.find((candidate) => candidate.name === parent);
  if (link === undefined) throw new BerthError('INTERFACE_UNKNOWN', `there is no interface ${parent} on this host`);
  if (link.loopback)
    throw new BerthError('INTERFACE_UNSUITABLE', `the loopback interface ${parent} cannot be a bridge port`);
  if (link.type === 'bridge') {
    throw new BerthError('INTERFACE_UNSUITABLE', `${parent} is a bridge itself: use it with -o bridge=${parent}`);
  }
  if (link.master !== undefined) {
    throw new BerthError(
      'INTERFACE_UNSUITABLE',
      `${parent} is already a port of ${link.master}: use that with -o bridge=${link.master}`,
    );
  }
  if (host.links.some((candidate) => candidate.name === bridge)) {
    throw new BerthError(
      'INTERFACE_UNSUITABLE',
      `there is an interface ${bridge} already: choose another name with -o bridge=`,
    );
  }
}

/**
 * Makes the bridge from the NIC. Safe to repeat.
 *
 * @param trialSeconds when given, all goes back unless `settle` is called in time.
 */
export async function takeUplink(
  parent: string,
  bridge: string,
  trialSeconds: number | undefined,
  context: FabricContext,
): Promise<UplinkNote> {
  const known = await readNote(context.notes, parent);
  if (known?.state === 'settled' || known?.state === 'trial') return known;
  const host = await context.kernel.view();
  if (known === undefined && isTaken(parent, bridge, host)) {
    const found: UplinkNote = { ...survey(parent, bridge, host), ...holdings(bridge, host), state: 'settled' };
    await context.notes.put(noteName(parent), found);
    return found;
  }
  const note = known?.state === 'moving' ? known : survey(parent, bridge, host);
  await context.notes.put(noteName(parent), note);
  await context.kernel.execute(takeSteps(note));
  const moved: UplinkNote =
    trialSeconds === undefined
      ? { ...note, state: 'settled' }
      : { ...note, state: 'trial', deadline: Date.now() + trialSeconds * 1000 };
  await context.notes.put(noteName(parent), moved);
  return moved;
}

export async function settle(note: UplinkNote, notes: Notes): Promise<void> {
  await notes.put(noteName(note.parent), { ...note, state: 'settled', deadline: undefined });
}

/** Gives the NIC back with what the bridge holds now, and removes the bridge. Safe to repeat. */
export async function returnUplink(
  note: UplinkNote,
  context: FabricContext,
  outcome: 'forget' | 'remember',
): Promise<void> {
  const host = await context.kernel.view();
  const now = note.state === 'moving' ? note : { ...note, ...holdings(note.bridge, host) };
  if (host.links.some((link) => link.name === note.bridge) && host.links.some((link) => link.name === note.parent)) {
    // Once more as `moving`, with what the bridge holds: a crash between the steps must not lose an address.
    const merged = now.addresses.length === 0 ? note : now;
    await context.notes.put(noteName(note.parent), { ...merged, state: note.state });
    await context.kernel.execute(returnSteps(merged));
  }
  if (outcome === 'forget') await context.notes.delete(noteName(note.parent));
  else await context.notes.put(noteName(note.parent), { ...now, state: 'returned', deadline: undefined });
}

/**
 * Which gateways beyond an interface answer; those that did before and do not after a move are the reason to undo it.
 *
 * @returns textual addresses.
 */
export async function answeringGateways(link: string, host: HostView): Promise<ReadonlySet<string>> {
  const gateways = host.routes
    .filter((route) => route.link === link && route.via !== undefined)
    .map((route) => route.via!);
  const unique = new Map(gateways.map((gateway) => [formatAddress(gateway), gateway]));
  const answers = await Promise.all(
    [...unique].map(async ([text, gateway]) => ((await reachable(gateway, 4000)) ? [text] : [])),
  );
  return new Set(answers.flat());
}

/** Whether the interface is the port of this bridge already, which we made from it. */
function isTaken(parent: string, bridge: string, host: HostView): boolean {
  return (
    host.links.some(({ name, master }) => name === parent && master === bridge) &&
    host.links.some((link) => link.name === bridge && link.type === 'bridge' && link.alias === alias(parent))
  );
}

/** What an interface holds that must follow it. */
function holdings(link: string, host: HostView): Pick<UplinkNote, 'addresses' | 'routes'> {
  return {
    addresses: host.addresses
      .filter((held) => held.link === link && held.scope === 'global')
      .map((held) => ({
        address: formatPrefix(held.address),
        ...(held.validSeconds === undefined ? {} : { valid: held.validSeconds }),
        ...(held.preferredSeconds === undefined ? {} : { preferred: held.preferredSeconds }),
      })),
    routes: host.routes
      .filter((route) => route.link === link && route.type === 'unicast' && route.protocol !== PROTOCOL_KERNEL)
      // On-link routes first: a gateway is only accepted once it can be reached.
      .sort((a, b) => Number(a.via !== undefined) - Number(b.via !== undefined))
      .map((route) => ({
        destination: formatPrefix(route.destination),
        ...(route.via === undefined ? {} : { via: formatAddress(route.via) }),
        ...(route.source === undefined ? {} : { source: formatAddress(route.source) }),
        metric: route.metric,
        protocol: route.protocol,
        table: route.table,
        scope: route.scope,
      })),
  };
}

function survey(parent: string, bridge: string, host: HostView): UplinkNote {
  checkUplink(parent, bridge, host);
  const mac = host.links.find((link) => link.name === parent)?.mac;
  if (mac === undefined) throw new BerthError('INTERFACE_UNSUITABLE', `${parent} has no Ethernet address`);
  return { parent, bridge, mac, state: 'moving', ...holdings(parent, host) };
}

function addressesOn(note: UplinkNote, link: string): LinkAddress[] {
  return note.addresses.map((held) => ({
    kind: 'address',
    link,
    address: parseInterfaceAddress(held.address)!,
    ...(held.valid === undefined ? {} : { validSeconds: held.valid }),
    ...(held.preferred === undefined ? {} : { preferredSeconds: held.preferred }),
  }));
}

function routesOn(note: UplinkNote, link: string): Route[] {
  return note.routes.map((route) => ({
    kind: 'route',
    link,
    destination: parsePrefix(route.destination)!,
    ...(route.via === undefined ? {} : { via: parseAddress(route.via)! }),
    ...(route.source === undefined ? {} : { source: parseAddress(route.source)! }),
    metric: route.metric,
    protocol: route.protocol,
    table: route.table,
    scope: route.scope,
  }));
}

/** The bridge takes the NIC's MAC: the switch, the DHCP server and the neighbours see no change. */
function takeSteps(note: UplinkNote): KernelStep[] {
  const mac = parseMac(note.mac)!;
  return [
    {
      make: {
        kind: 'link',
        type: 'bridge',
        name: note.bridge,
        mac,
        up: true,
        stp: false,
        forwardDelay: 0,
        alias: alias(note.parent),
      },
    },
    ...addressesOn(note, note.bridge).map((make) => ({ make })),
    { make: { kind: 'link', type: 'adopted', name: note.parent, up: true, master: note.bridge } },
    ...addressesOn(note, note.parent).map((unmake) => ({ unmake })),
    ...routesOn(note, note.bridge).map((make) => ({ make })),
  ];
}

function returnSteps(note: UplinkNote): KernelStep[] {
  return [
    { make: { kind: 'link', type: 'adopted', name: note.parent, up: true, master: null } },
    ...addressesOn(note, note.parent).map((make) => ({ make })),
    ...addressesOn(note, note.bridge).map((unmake) => ({ unmake })),
    ...routesOn(note, note.parent).map((make) => ({ make })),
    { unmake: { kind: 'link', type: 'bridge', name: note.bridge } },
  ];
}
