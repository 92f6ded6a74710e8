/**
 * A NIC becomes the port of a bridge, and everything that the host has on the one moves to the other; later all of it goes
 * back. Every move is one batch of the kernel worker: what moves is on both for a moment, and on none never. What was found
 * before stands in a note, so that a crash in the middle is finished or undone.
 */

import type { Found, HostView, KernelStep } from '../../../kernel/kernel.ts';
import { parseMac } from '../../../model/mac.ts';
import type { FabricContext } from '../../fabric.ts';
import { readText } from './managers/manager.ts';
import { deleteNote, readNote, type UplinkNote, writeNote } from './note.ts';
import { addressGeneration, differingSettings, generationPath, settingSteps } from './settings.ts';
import { aliasOf, checkUplink, isTaken } from './suitable.ts';

/** Links make themselves an address in this; all others are given to them. */
const LINK_LOCAL = /^fe80:/;
/** IN6_ADDR_GEN_MODE_NONE: it makes itself none. */
const NO_ADDRESSES = '1';

/**
 * Makes the bridge from the NIC. Safe to repeat.
 *
 * @param trialSeconds when given, all goes back unless `settle` is called in time.
 * @throws BerthError INTERFACE_UNKNOWN, INTERFACE_UNSUITABLE, KERNEL_REFUSED: then `returnUplink` undoes what has been done.
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
    const found: UplinkNote = { ...(await survey(parent, bridge, host, context)), state: 'settled' };
    const held: UplinkNote = { ...found, ...(await holdings(bridge, context)) };
    await writeNote(context.notes, held);
    return held;
  }
  const note = known?.state === 'moving' ? known : await survey(parent, bridge, host, context);
  await writeNote(context.notes, note);
  await context.kernel.execute(takeSteps(note));
  const moved: UplinkNote =
    trialSeconds === undefined
      ? { ...note, state: 'settled' }
      : { ...note, state: 'trial', deadline: Date.now() + trialSeconds * 1000 };
  await writeNote(context.notes, moved);
  return moved;
}

/** Makes a bridge again that somebody removed, or that a reboot took away: with what the NIC has by now, else with what it had. */
export async function remakeUplink(note: UplinkNote, context: FabricContext): Promise<void> {
  const host = await context.kernel.view();
  const fresh = await survey(note.parent, note.bridge, host, context);
  const { of, at, belongings, addressGeneration: original } = note;
  // It was a port a moment ago, unless the host has been rebooted since.
  const wasPort = fresh.addressGeneration === NO_ADDRESSES && original !== undefined;
  const now: UplinkNote = wasPort ? { ...fresh, up: note.up, addressGeneration: original } : fresh;
  const kept: UplinkNote = hasAddress(fresh.belongings) ? now : { ...now, of, at, belongings };
  await writeNote(context.notes, { ...kept, state: 'moving' });
  await takeUplink(note.parent, note.bridge, undefined, context);
}

/**
 * Somebody (a DHCP client that renewed its lease, a network manager) has given the NIC addresses or routes while it is a port:
 * they belong on the bridge, with the new lifetimes. But what the kernel took from an advertisement that still reached the NIC is only
 * taken off: the bridge hears the router itself, and the kernel would heed none of what it says beside a route to it that is not its own
 * (ndisc_router_discovery, net/ipv6/ndisc.c: rt6_add_dflt_router finds none).
 *
 * @returns what moved, in words.
 */
export async function followUplink(note: UplinkNote, context: FabricContext): Promise<readonly string[]> {
  const found = (await context.kernel.belongings(note.parent)).filter(
    ({ text, learnt }) => !LINK_LOCAL.test(text) && learnt === undefined,
  );
  if (!found.some(({ implied }) => implied === undefined)) return [];
  const hears = (await readText(`/proc/sys/net/ipv6/conf/${note.bridge}/accept_ra`))?.trim() !== '0';
  const moving = found.filter(({ advertised }) => advertised === undefined || !hears);
  await context.kernel.execute([...put(moving, note.parent, note.bridge, 0), ...take(found, note.parent, note.parent)]);
  await writeNote(context.notes, { ...note, ...(await holdings(note.bridge, context)) });
  return moving.filter(({ implied }) => implied === undefined).map(({ text }) => text);
}

export async function settle(note: UplinkNote, context: FabricContext): Promise<void> {
  await writeNote(context.notes, { ...note, state: 'settled', deadline: undefined });
}

/** Keeps the note true to what the bridge holds, lifetimes aside, in case that somebody removes it. */
export async function refreshNote(note: UplinkNote, context: FabricContext): Promise<void> {
  const now = await holdings(note.bridge, context);
  const lasting = (found: readonly Found[]) =>
    found
      .filter(({ learnt }) => learnt === undefined)
      .map(({ text }) => text.replace(/ valid .*$/, ''))
      .join('\n');
  if (lasting(now.belongings) !== lasting(note.belongings)) await writeNote(context.notes, { ...note, ...now });
}

/**
 * Gives the NIC back with what the bridge holds now, and removes the bridge. Safe to repeat.
 *
 * @param why what the note remembers of it; absent: nothing is remembered.
 */
export async function returnUplink(note: UplinkNote, context: FabricContext, why?: string): Promise<void> {
  const host = await context.kernel.view();
  const there = (name: string) => host.links.some((link) => link.name === name);
  const underWay = note.state === 'moving' || note.state === 'returning';
  let last = note;
  if (there(note.parent) && note.state !== 'returned') {
    if (there(note.bridge)) {
      const held = underWay ? note : { ...note, ...(await holdings(note.bridge, context)) };
      // A bridge that somebody emptied must not cost the host its addresses.
      last = {
        ...(hasAddress(held.belongings) ? held : note),
        state: 'returning',
        ...(why === undefined ? {} : { why }),
      };
      await writeNote(context.notes, last);
      await context.kernel.execute(returnSteps(last));
    } else if (!hasAddress(await context.kernel.belongings(note.parent)) && (await isOfThisBoot(note))) {
      await context.kernel.execute(returnSteps(note));
    }
  }
  if (why === undefined) await deleteNote(context.notes, note.parent);
  else await writeNote(context.notes, { ...last, state: 'returned', why, deadline: undefined });
}

function hasAddress(found: readonly Found[]): boolean {
  return found.some(({ what, text }) => what === 'address' && !LINK_LOCAL.test(text));
}

async function holdings(
  link: string,
  { kernel }: FabricContext,
): Promise<Pick<UplinkNote, 'belongings' | 'of' | 'at'>> {
  return { belongings: [...(await kernel.belongings(link))], of: link, at: Date.now() };
}

async function survey(parent: string, bridge: string, host: HostView, context: FabricContext): Promise<UplinkNote> {
  checkUplink(parent, bridge, host);
  const { mac, mtu, running, up } = host.links.find((link) => link.name === parent)!;
  const [held, settings, generation, boot] = await Promise.all([
    holdings(parent, context),
    differingSettings(parent),
    addressGeneration(parent),
    bootId(),
  ]);
  return {
    parent,
    bridge,
    mac: mac!,
    mtu,
    running,
    up,
    state: 'moving',
    ...(boot === undefined ? {} : { boot }),
    ...held,
    settings: { ...settings },
    // One that was a port before makes none; what it did before that, a new interface does too.
    ...(generation === undefined ? {} : { addressGeneration: isTaken(parent, bridge, host) ? '0' : generation }),
  };
}

async function isOfThisBoot({ boot }: UplinkNote): Promise<boolean> {
  return boot === undefined || boot === (await bootId());
}

async function bootId(): Promise<string | undefined> {
  return (await readText('/proc/sys/kernel/random/boot_id'))?.trim();
}

const secondsSince = (note: UplinkNote) => Math.max(0, (Date.now() - note.at) / 1000);

function put(found: readonly Found[], of: string, link: string, age: number): KernelStep[] {
  return found
    .filter(({ implied }) => implied === undefined)
    .map(({ what, message, index }) => ({ make: { kind: 'belonging', link, what, of, message, index, age } }));
}

/**
 * Backwards: what is left when that is interrupted is the beginning, and what is put after it again stands in the old order
 * (among IPv4 addresses the first is the primary one). Routes that the kernel made with an address may outlive it.
 */
function take(found: readonly Found[], of: string, link: string): KernelStep[] {
  const { addresses, rest } = parts(found);
  const implied = rest.filter((one) => one.implied !== undefined);
  const chosen = rest.filter((one) => one.implied === undefined && one.learnt === undefined);
  return [...chosen.toReversed(), ...addresses.toReversed(), ...implied].map(({ what, message, index }) => ({
    unmake: { kind: 'belonging', link, what, of, message, index },
  }));
}

function parts(found: readonly Found[]): { readonly addresses: Found[]; readonly rest: Found[] } {
  return {
    addresses: found.filter(({ what }) => what === 'address'),
    // The learnt neighbours first: a route that leads to one needs not ask.
    rest: [
      ...found.filter(({ learnt }) => learnt !== undefined),
      ...found.filter(({ what, learnt }) => what !== 'address' && learnt === undefined),
    ],
  };
}

/**
 * The bridge takes the NIC's MAC, so the switch, the DHCP server and the neighbours see no change, and its MTU, which must not
 * sink with that of a container. Settings come before it is up: they decide what it does then.
 */
function takeSteps(note: UplinkNote): KernelStep[] {
  const { parent, bridge, belongings, addressGeneration: generation } = note;
  const { addresses, rest } = parts(belongings);
  const link = {
    kind: 'link',
    type: 'bridge',
    name: bridge,
    mac: parseMac(note.mac)!,
    mtu: note.mtu,
    stp: false,
    forwardDelay: 0,
    noLinkLocal: true,
    alias: aliasOf(parent),
  } as const;
  const age = secondsSince(note);
  return [
    { make: link },
    ...settingSteps(note.settings, bridge),
    { make: { ...link, up: true } },
    ...put(addresses, note.of, bridge, age),
    { make: { kind: 'link', type: 'adopted', name: parent, up: true, master: bridge } },
    ...put(rest, note.of, bridge, age),
    ...generationSteps(parent, generation === undefined ? undefined : NO_ADDRESSES),
    ...take(belongings, note.of, parent),
    // Where the NIC's link-local address was made by rule (and none by a secret of the NIC), the bridge follows the rule.
    ...generationSteps(
      bridge,
      generation === '0' && addresses.some(({ text }) => LINK_LOCAL.test(text)) ? '0' : undefined,
    ),
  ];
}

function returnSteps(note: UplinkNote): KernelStep[] {
  const { parent, bridge, belongings } = note;
  const { addresses, rest } = parts(belongings);
  const age = secondsSince(note);
  // Whoever is connected goes on at each step, even if we die there. As a port the NIC can already send; what comes in is
  // accepted on the bridge, as long as that has an address (fib_validate_source). A bridge without a port must have no route
  // any more.
  return [
    { make: { kind: 'link', type: 'adopted', name: parent, up: true } },
    ...put(addresses, note.of, parent, age),
    ...put(rest, note.of, parent, age),
    ...take(rest, note.of, bridge),
    { make: { kind: 'link', type: 'adopted', name: parent, master: null } },
    ...generationSteps(parent, note.addressGeneration),
    ...(note.up ? [] : [{ make: { kind: 'link', type: 'adopted', name: parent, up: false } } as const]),
    { unmake: { kind: 'link', type: 'bridge', name: bridge } },
  ];
}

function generationSteps(link: string, value: string | undefined): KernelStep[] {
  return value === undefined ? [] : [{ make: { kind: 'sysctl', path: generationPath(link), value } }];
}
