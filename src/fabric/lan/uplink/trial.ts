/** A bridge made from a NIC is on trial until it is certain that the host is still reached through it. */

import type { HostView } from '../../../kernel/kernel.ts';
import { RTPROT_RA } from '../../../kernel/rtnetlink/constants.ts';
import { asBerthError, BerthError } from '../../../model/errors.ts';
import type { Json, Network } from '../../../model/network.ts';
import type { FabricContext } from '../../fabric.ts';
import { type BridgeSettings, settingsOf } from '../settings.ts';
import { findManagers } from './managers/managers.ts';
import { allNotes, inTurn, readNote, type UplinkNote } from './note.ts';
import { moveResolver } from './resolver.ts';
import { followUplink, refreshNote, remakeUplink, returnUplink, settle, takeUplink } from './uplink.ts';
import { findWitnesses, missedThrough } from './witnesses.ts';

/** Milliseconds without a carrier after which a trial is over: some cards lose it for a moment when they become a port. */
const CABLE_PATIENCE = 5000;
/** So often within this time (milliseconds) something may put addresses back onto a NIC before it is left alone for a while. */
const CONTEST = { times: 5, within: 30_000 };

/** @throws BerthError INTERFACE_UNSUITABLE, CONNECTIVITY_LOST: everything is as before. */
export async function openUplink(settings: BridgeSettings, context: FabricContext): Promise<void> {
  const { parent } = settings;
  if (parent !== undefined) await inTurn(parent, () => open(parent, settings, context));
}

async function open(parent: string, settings: BridgeSettings, context: FabricContext): Promise<void> {
  const { bridge, confirm, confirmSeconds } = settings;
  const known = await readNote(context.notes, parent);
  const alone = known?.state !== 'settled' && known?.state !== 'trial';
  const before = confirm === 'auto' && alone ? await findWitnesses(parent, context.host, context.kernel) : undefined;
  const note = await takeUplink(parent, bridge, confirm === 'none' ? undefined : confirmSeconds, context);
  if (note.bridge !== bridge) {
    throw new BerthError(
      'INTERFACE_UNSUITABLE',
      `${parent} is a port of ${note.bridge} for another network: use -o bridge=${note.bridge}`,
    );
  }
  if (known?.state !== note.state) {
    const unseen = before?.present.length === 0 ? '; nobody answered there before, so nobody was asked after' : '';
    const fate = note.state === 'trial' && confirm === 'manual' ? `, on trial for ${confirmSeconds} s` : unseen;
    tell(context, 'uplink.taken', note, `${parent} is now a port of ${bridge}, which has all that it had${fate}`);
  }
  const named = moveResolver(note, context);
  // Advice: nothing depends on it.
  if (known === undefined) void tellManagers(note, context).catch(() => undefined);
  // What another network has put on trial is for its user to confirm.
  if (before === undefined || note.state !== 'trial') {
    await named;
    return;
  }
  const missed = await missedThrough(bridge, before, context.kernel).catch(
    (error: unknown) => `nobody could be asked (${asBerthError(error).message})`,
  );
  await named;
  if (missed !== undefined) {
    await returnUplink(note, context);
    tell(context, 'uplink.returned', note, `${parent} was given back: ${missed}`);
    throw new BerthError('CONNECTIVITY_LOST', `with ${parent} as a port of ${bridge} ${missed}`);
  }
  await settle(note, context);
}

/** The NIC goes back with the last network that stands on it. */
export async function returnUnusedUplink(
  network: Network,
  { parent }: BridgeSettings,
  context: FabricContext,
): Promise<void> {
  if (parent === undefined) return;
  await inTurn(parent, async () => {
    if (networksOn(parent, context).some(([other]) => other.id !== network.id)) return;
    const note = await readNote(context.notes, parent);
    if (note === undefined) return;
    await returnUplink(note, context);
    if (note.state !== 'returned') {
      tell(context, 'uplink.returned', note, `${parent} was given back: no network stands on it any more`);
    }
  });
}

/** @throws BerthError CONNECTIVITY_LOST when it is too late. */
export async function confirmUplink({ parent }: BridgeSettings, context: FabricContext): Promise<void> {
  if (parent === undefined) return;
  await inTurn(parent, async () => {
    const note = await readNote(context.notes, parent);
    if (note?.state === 'returned') {
      throw new BerthError('CONNECTIVITY_LOST', `the confirmation came too late: ${note.parent} has been given back`);
    }
    if (note?.state !== 'trial') return;
    await settle(note, context);
    tell(context, 'uplink.confirmed', note, `${parent} stays a port of ${note.bridge}`);
  });
}

/** Whether `maintainUplinks` has something to do that does not wait for a deadline: to be asked whenever the host has changed. */
export function uplinksDisturbed(context: FabricContext): boolean {
  return context.networks.some((network) => {
    const settings = network.fabric === 'lan' ? settingsOf(network) : undefined;
    if (settings?.mode !== 'bridge' || settings.parent === undefined || settings.returned === true) return false;
    const { parent, bridge } = settings;
    const { links, addresses, routes } = context.host;
    const nic = links.find(({ name }) => name === parent);
    const gone = nic !== undefined && !links.some(({ name }) => name === bridge);
    const pulled = nic?.running === false && trials.has(parent);
    const advertised = routes.some(({ link, protocol }) => link === parent && protocol === RTPROT_RA);
    return gone || pulled || advertised || addresses.some(({ link, scope }) => link === parent && scope === 'global');
  });
}

/** Gives back what was not confirmed in time, and makes again what somebody removed. */
export async function maintainUplinks(
  context: FabricContext,
  amend: (network: Network, settings: Json) => Promise<void>,
): Promise<number | undefined> {
  const waits: number[] = [];
  for (const { parent } of await allNotes(context.notes)) {
    const wait = await inTurn(parent, async () => {
      const note = await readNote(context.notes, parent);
      return note === undefined ? undefined : maintainOne(note, context, amend);
    });
    if (wait !== undefined) waits.push(wait);
  }
  return waits.length === 0 ? undefined : Math.min(...waits);
}

async function maintainOne(
  note: UplinkNote,
  context: FabricContext,
  amend: (network: Network, settings: Json) => Promise<void>,
): Promise<number | undefined> {
  const { parent, bridge } = note;
  if (note.state === 'returned') return undefined;
  const view = await context.kernel.view();
  if (note.state === 'moving') {
    // Nobody else is at it, so a crash interrupted it.
    if (networksOn(parent, context).length === 0) await returnUplink(note, context);
    else await moveResolver(await takeUplink(parent, bridge, undefined, context), context);
    return undefined;
  }
  if (note.state === 'settled') {
    if (!isThere(parent, view)) return undefined;
    if (!isThere(bridge, view)) {
      await remakeUplink(note, context);
      await moveResolver(note, context);
      return undefined;
    }
    await refreshNote(note, context);
    return follow(note, context);
  }
  const why = whyOver(note, view);
  if (typeof why !== 'number') {
    // First: what still stood declared would be missed, and mended.
    for (const [network, settings] of networksOn(parent, context)) {
      await amend(network, { ...settings, returned: true });
    }
    await returnUplink(note, context, why);
    tell(context, 'uplink.returned', note, `${parent} was given back: ${why}`);
    return undefined;
  }
  return Math.min(why, (await follow(note, context)) ?? why);
}

const isThere = (name: string, view: HostView) => view.links.some((link) => link.name === name);

interface Trial {
  /** When it ends, and since when the NIC has been without a carrier, by a clock that nobody sets (milliseconds). */
  readonly ends: number;
  readonly pulled?: number;
}

/** NICs that are on trial, by the deadline that stands in their note. */
const trials = new Map<string, Trial & { readonly deadline: number }>();
/** No trial is longer, whatever was done to the clock while Berth was not running. Milliseconds. */
const LONGEST = 3600_000;

/** Why a trial has ended badly, or how long it still goes on, in milliseconds. */
function whyOver(note: UplinkNote, view: HostView): string | number {
  const { parent, bridge, deadline = 0 } = note;
  const now = performance.now();
  const known = trials.get(parent);
  trials.delete(parent);
  if (note.state === 'returning') return note.why ?? 'that had been begun';
  if (!isThere(bridge, view)) return `the bridge ${bridge} was lost while it was on trial`;
  const ends = known?.deadline === deadline ? known.ends : now + Math.min(LONGEST, deadline - Date.now());
  if (ends <= now) return 'nobody confirmed it in time';
  const off = note.running && view.links.find(({ name }) => name === parent)?.running === false;
  const pulled = off ? (known?.pulled ?? now) : undefined;
  if (pulled !== undefined && pulled + CABLE_PATIENCE <= now) return 'its cable was pulled while it was on trial';
  trials.set(parent, { deadline, ends, ...(pulled === undefined ? {} : { pulled }) });
  return Math.min(ends, pulled === undefined ? ends : pulled + CABLE_PATIENCE) - now;
}

const contests = new Map<string, number[]>();

/** @returns milliseconds until it may be tried again, when somebody will not leave the NIC alone. */
async function follow(note: UplinkNote, context: FabricContext): Promise<number | undefined> {
  const { parent, bridge } = note;
  const now = performance.now();
  const recent = (contests.get(parent) ?? []).filter((time) => time > now - CONTEST.within);
  if (recent.length >= CONTEST.times) return CONTEST.within;
  const moved = await followUplink(note, context).catch((error: unknown) => {
    tell(context, 'uplink.contested', note, `what ${parent} was given cannot be moved: ${asBerthError(error).message}`);
    return ['it'];
  });
  if (moved.length === 0) return undefined;
  recent.push(now);
  contests.set(parent, recent);
  tell(context, 'uplink.followed', note, `something gave ${parent} ${moved.join(', ')}, which is on ${bridge} now`);
  if (recent.length === CONTEST.times) {
    tell(
      context,
      'uplink.contested',
      note,
      `something keeps giving ${parent} addresses although it is a port of ${bridge}; see: berth uplink plan ${parent}`,
    );
  }
  return undefined;
}

function tell(context: FabricContext, event: string, { parent, bridge }: UplinkNote, message: string): void {
  context.tell?.(event, message, { uplink: parent, bridge });
}

/** Who else configures the NIC, and how it is told not to. */
async function tellManagers(note: UplinkNote, context: FabricContext): Promise<void> {
  const link = context.host.links.find(({ name }) => name === note.parent);
  if (link === undefined) return;
  const nic = { name: note.parent, index: link.index, mac: note.mac };
  for (const { found, then, fix, fights } of await findManagers(nic, note.bridge)) {
    if (fights === 'never') continue;
    tell(context, 'uplink.managed', note, `${found}: ${then}${fix === undefined ? '' : `; to prevent that: ${fix}`}`);
  }
}

/** The networks that stand on a bridge made from this NIC. */
export function networksOn(parent: string, context: FabricContext): readonly (readonly [Network, BridgeSettings])[] {
  return context.networks.flatMap((network) => {
    if (network.fabric !== 'lan') return [];
    const settings = settingsOf(network);
    return settings.mode === 'bridge' && settings.parent === parent ? [[network, settings] as const] : [];
  });
}
