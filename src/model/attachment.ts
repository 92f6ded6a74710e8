/** A container that Berth plugs in itself, on the user's word (`berth attach`), whatever network its engine gave it. */

import type { Address } from './address.ts';

export interface Attachment {
  /** As the engine last told: its id, and its name without the slash. */
  readonly container: { readonly id: string; readonly name: string };
  /** When the container is removed, the attachment waits for the next one of that name. */
  readonly keep: boolean;
  /** What the interface is called in the container. */
  readonly interface: string;
  /** Where the container's default routes lead, instead of where they led before; at most one of each family. */
  readonly gateways: readonly Address[];
  /** The default routes that these have taken the place of, in the container as it runs now. */
  readonly displaced: readonly { readonly via: Address; readonly link: string }[];
  /** What was asked for, as canonical text, so that a repeated command is known for one. */
  readonly request: string;
}
