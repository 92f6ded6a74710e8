/** What the main thread and the kernel thread say to each other. All of it survives structured cloning. */

import { BerthError, type ErrorCode } from '../model/errors.ts';
import type { Mac } from '../model/mac.ts';
import type { Announcement } from './announce.ts';
import type { Drift, Found, HostNeighbour, HostView, KernelStep, Owner } from './kernel.ts';
import type { FdbEntry, KernelObject, Neighbour, Netns } from './objects.ts';
import type { PacketRequest } from './packets.ts';
import type { Removal } from './reconciler.ts';
import type { ResolverSockets } from './resolver.ts';

export type Command =
  | { readonly type: 'apply'; readonly owner: Owner; readonly objects: readonly KernelObject[] }
  | { readonly type: 'remove'; readonly removals: readonly Removal[] }
  | { readonly type: 'declare'; readonly owner: Owner; readonly objects: readonly KernelObject[] }
  | { readonly type: 'audit'; readonly repair: boolean }
  | { readonly type: 'execute'; readonly steps: readonly KernelStep[] }
  | { readonly type: 'announce'; readonly announcement: Announcement }
  | { readonly type: 'view'; readonly netns: Netns | undefined }
  | { readonly type: 'belongings'; readonly link: string }
  | { readonly type: 'neighbours'; readonly link: string }
  | { readonly type: 'entries'; readonly link: string }
  | { readonly type: 'before-resolver'; readonly netns: Netns }
  | { readonly type: 'resolver-stream'; readonly netns: Netns }
  /** `index`: only this link will do, as when a port is opened again on a new thread. */
  | {
      readonly type: 'open-port';
      readonly port: number;
      readonly request: PacketRequest;
      readonly index: number | undefined;
    }
  /** To a thread that takes over from one that died: declare all this, and see to it soon. */
  | { readonly type: 'restore'; readonly declared: readonly (readonly [Owner, readonly KernelObject[]])[] }
  | { readonly type: 'close' };

/** To a port, in between; not answered. */
export type PortNotice =
  | { readonly type: 'send-frame'; readonly port: number; readonly frame: Uint8Array }
  /** No more frames are reported before the last ones have been taken. */
  | { readonly type: 'frames-taken'; readonly port: number }
  /** To be said back when all before it has been done. */
  | { readonly type: 'flush-port'; readonly port: number }
  | { readonly type: 'close-port'; readonly port: number };

/** An error as it crosses threads: a class does not. */
export interface Refusal {
  readonly code: ErrorCode;
  readonly message: string;
}

/** How one request ended. */
export type Outcome =
  | { readonly type: 'done' }
  | { readonly type: 'drifts'; readonly drifts: readonly Drift[] }
  | { readonly type: 'view'; readonly view: HostView }
  | { readonly type: 'belongings'; readonly found: readonly Found[] }
  | { readonly type: 'neighbours'; readonly neighbours: readonly HostNeighbour[] }
  | { readonly type: 'entries'; readonly entries: readonly (FdbEntry | Neighbour)[] }
  | { readonly type: 'port'; readonly mac: Mac; readonly index: number }
  | { readonly type: 'resolver-sockets'; readonly sockets: ResolverSockets }
  | { readonly type: 'descriptor'; readonly fd: number }
  | { readonly type: 'refused'; readonly refusal: Refusal };

/** `removed`: how each of the removals ended. */
export type Answer = Outcome | { readonly type: 'removed'; readonly each: readonly Outcome[] };

/** Commands are answered in order, one each; the rest comes when it happens. */
export type Report =
  | { readonly type: 'ready' }
  | { readonly type: 'unusable'; readonly refusal: Refusal }
  | { readonly type: 'answer'; readonly answer: Answer }
  /** Links are being deleted by the command that is running. */
  | { readonly type: 'deleting' }
  | { readonly type: 'drift'; readonly drifts: readonly Drift[] }
  | { readonly type: 'change' }
  | { readonly type: 'arrived'; readonly links: readonly string[] }
  | { readonly type: 'frames'; readonly port: number; readonly frames: readonly Uint8Array[] }
  | { readonly type: 'port-flushed'; readonly port: number }
  | { readonly type: 'port-ended'; readonly port: number; readonly refusal: Refusal };

export function unpackError(refusal: Refusal): BerthError {
  return new BerthError(refusal.code, refusal.message);
}
