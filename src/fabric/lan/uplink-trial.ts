/** A bridge made from a NIC is on trial until it is certain that the host is still reached through it. */

import { BerthError } from '../../model/errors.ts';
import type { Json, Network } from '../../model/network.ts';
import type { FabricContext } from '../fabric.ts';
import { type BridgeSettings, settingsOf } from './settings.ts';
import { allNotes, answeringGateways, readNote, returnUplink, settle, takeUplink } from './uplink.ts';

/** @throws BerthError INTERFACE_UNSUITABLE, CONNECTIVITY_LOST: everything is as before. */
export async function openUplink(settings: BridgeSettings, context: FabricContext): Promise<void> {
  const { parent, bridge, confirm, confirmSeconds } = settings;
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
}

/** The NIC goes back with the last network that stands on it. */
export async function returnUnusedUplink(
  network: Network,
  { parent }: BridgeSettings,
  context: FabricContext,
): Promise<void> {
  if (parent === undefined) return;
  if (networksOn(parent, context).some(([other]) => other.id !== network.id)) return;
  const note = await readNote(context.notes, parent);
  if (note !== undefined) await returnUplink(note, context, 'forget');
}

/** @throws BerthError CONNECTIVITY_LOST when it is too late. */
export async function confirmUplink({ parent }: BridgeSettings, context: FabricContext): Promise<void> {
  const note = parent === undefined ? undefined : await readNote(context.notes, parent);
  if (note?.state === 'returned') {
    throw new BerthError('CONNECTIVITY_LOST', `the confirmation came too late: ${note.parent} has been given back`);
  }
  if (note?.state === 'trial') await settle(note, context.notes);
}

/** Gives back what was not confirmed in time, and makes again what somebody removed. */
export async function maintainUplinks(
  context: FabricContext,
  amend: (network: Network, settings: Json) => Promise<void>,
): Promise<number | undefined> {
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
    for (const [network, settings] of networksOn(note.parent, context)) {
      await amend(network, { ...settings, returned: true });
    }
    await returnUplink(note, context, 'remember');
  }
  return next;
}

function networksOn(parent: string, context: FabricContext): readonly (readonly [Network, BridgeSettings])[] {
  return context.networks.flatMap((network) => {
    if (network.fabric !== 'lan') return [];
    const settings = settingsOf(network);
    return settings.mode === 'bridge' && settings.parent === parent ? [[network, settings] as const] : [];
  });
}

/** Somebody removed the bridge and with it the host's addresses: make it again from the note. */
async function remake(parent: string, bridge: string, context: FabricContext): Promise<void> {
  const note = await readNote(context.notes, parent);
  if (note === undefined) return;
  await context.notes.put(`uplink/${parent}`, { ...note, state: 'moving' });
  await takeUplink(parent, bridge, undefined, context);
}
