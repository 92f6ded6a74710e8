/** What stands durably of a NIC that Berth made a bridge from: enough to finish or to undo the move after a crash at any point. */

import * as z from 'zod';
import type { Notes } from '../../fabric.ts';

const Found = z.object({
  what: z.enum(['address', 'route', 'rule', 'neighbour']),
  message: z.string(),
  index: z.number(),
  implied: z.literal(true).optional(),
  learnt: z.literal(true).optional(),
  advertised: z.literal(true).optional(),
  text: z.string(),
});

const Note = z.object({
  parent: z.string(),
  bridge: z.string(),
  mac: z.string(),
  mtu: z.number(),
  /** Whether it had a carrier: only one that had can lose it. */
  running: z.boolean(),
  /** Since which boot of the machine this is so (boot_id, random(4)): after another one whoever configures the NIC has done so anew. */
  boot: z.string().optional(),
  up: z.boolean().default(true),
  /**
   * `moving` and `returning`: under way, so that what the note says counts, not what is found. `trial` until `deadline`.
   * `returned`: given back because it was not confirmed, or was found to cut the host off; `why` says which.
   */
  state: z.enum(['moving', 'trial', 'settled', 'returning', 'returned']),
  /** Milliseconds since the epoch. */
  deadline: z.number().optional(),
  why: z.string().optional(),
  /** What goes from the one to the other, as it was found `at` that time (milliseconds since the epoch) on the link `of`. */
  belongings: z.array(Found),
  of: z.string(),
  at: z.number(),
  /** Settings of the NIC under /proc/sys/net that a new interface does not have, with NAME for its name. */
  settings: z.record(z.string(), z.string()),
  /** `addr_gen_mode` of the NIC, which makes itself no IPv6 address as long as it is a port. */
  addressGeneration: z.string().optional(),
});
export type UplinkNote = z.infer<typeof Note>;

const nameOf = (parent: string) => `uplink/${parent}`;

export async function readNote(notes: Notes, parent: string): Promise<UplinkNote | undefined> {
  const note = await notes.get(nameOf(parent));
  return note === undefined ? undefined : Note.parse(note);
}

export async function allNotes(notes: Notes): Promise<readonly UplinkNote[]> {
  return [...(await notes.list('uplink/')).values()].map((note) => Note.parse(note));
}

export async function writeNote(notes: Notes, note: UplinkNote): Promise<void> {
  // Through JSON: a field that is undefined is none.
  await notes.put(nameOf(note.parent), JSON.parse(JSON.stringify(note)));
}

export async function deleteNote(notes: Notes, parent: string): Promise<void> {
  await notes.delete(nameOf(parent));
}

const turns = new Map<string, Promise<unknown>>();

/** One at a time for a NIC: a confirmation that comes at the deadline finds it either settled or given back. */
export async function inTurn<Result>(parent: string, work: () => Promise<Result>): Promise<Result> {
  const before = turns.get(parent) ?? Promise.resolve();
  const mine = before.then(work, work);
  turns.set(parent, mine);
  try {
    return await mine;
  } finally {
    if (turns.get(parent) === mine) turns.delete(parent);
  }
}
