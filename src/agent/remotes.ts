/** What leads from segments to other hosts, in the kernel. A change on one host costs no more than what that host has. */

import type { FabricContext, Neighbour, RemotePart } from '../fabric/fabric.ts';
import { fabricOf } from '../fabric/fabrics.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Network } from '../model/network.ts';
import { createMoves } from './moves.ts';
import { owners } from './owners.ts';

export interface Remotes {
  /** Whether anything has been heard of the other hosts of a segment. */
  knows(segment: string): boolean;
  /** Makes it as it is now; while that is not known, what is there stays. @throws BerthError as `Kernel.apply`. */
  apply(segment: string, network: Network): Promise<void>;
  /** Says what must be there, for the next audit. */
  declare(segment: string, network: Network): void;
  remove(segment: string): Promise<void>;
  /** A container of ours is on a segment no more. */
  left(segment: string, container: Neighbour): void;
}

/** What a host's part followed from, when it was applied, and who was there. */
type Basis = Pick<RemotePart, 'of' | 'neighbours'>;

export function createRemotes(kernel: Kernel, context: () => FabricContext): Remotes {
  const segments = new Map<string, Map<string, Basis>>();
  /** Segments on which nothing is but what this process has made. */
  const clean = new Set<string>();
  const moves = createMoves(kernel);

  const desired = (network: Network) => fabricOf(network.fabric).desiredRemotes?.(network, context());

  function basesOf(segment: string): Map<string, Basis> {
    let bases = segments.get(segment);
    if (bases === undefined) {
      bases = new Map();
      segments.set(segment, bases);
    }
    return bases;
  }

  return {
    knows: (segment) => segments.has(segment),

    async apply(segment, network) {
      const parts = desired(network);
      if (parts === undefined) return;
      const bases = basesOf(segment);
      const changed = [...parts].filter(([host, { of }]) => !isSame(of, bases.get(host)?.of));
      const gone = [...bases.keys()].filter((host) => !parts.has(host));
      const come = changed.map(([host, { link, neighbours }]) => {
        const before = bases.get(host)?.neighbours ?? [];
        for (const neighbour of without(before, neighbours)) moves.left(segment, neighbour);
        return { link, neighbours: without(neighbours, before) };
      });
      for (const host of gone) for (const neighbour of bases.get(host)!.neighbours) moves.left(segment, neighbour);
      const growth = ([host, { of }]: (typeof changed)[number]) => of.length - (bases.get(host)?.of.length ?? 0);
      // What has moved is at its new host before it leaves the old one.
      for (const group of [changed.filter((part) => growth(part) >= 0), changed.filter((part) => growth(part) < 0)]) {
        await all(
          group.map(async ([host, { of, neighbours, objects }]) => {
            await kernel.apply(owners.remote(segment, host), objects());
            bases.set(host, { of, neighbours });
          }),
        );
      }
      await all(
        gone.map(async (host) => {
          await kernel.remove(owners.remote(segment, host));
          bases.delete(host);
        }),
      );
      // Whoever asks because of it is answered as it is now.
      for (const { link, neighbours } of come) await moves.came(segment, link, neighbours);
      if (clean.has(segment)) return;
      const found = await fabricOf(network.fabric).foundRemotes?.(network, context());
      if (found === undefined) return;
      // What is declared stays.
      await kernel.remove(owners.stray(segment), found);
      clean.add(segment);
    },

    declare(segment, network) {
      const parts = desired(network);
      if (parts === undefined) return;
      const bases = basesOf(segment);
      for (const [host, { of, neighbours, objects }] of parts) {
        kernel.declare(owners.remote(segment, host), objects());
        bases.set(host, { of, neighbours });
      }
    },

    async remove(segment) {
      const hosts = [...(segments.get(segment)?.keys() ?? [])];
      segments.delete(segment);
      moves.forget(segment);
      await all(hosts.map((host) => kernel.remove(owners.remote(segment, host))));
    },

    left: moves.left,
  };
}

function isSame(a: readonly unknown[], b: readonly unknown[] | undefined): boolean {
  return b !== undefined && a.length === b.length && a.every((value, index) => value === b[index]);
}

function without(all: readonly Neighbour[], those: readonly Neighbour[]): readonly Neighbour[] {
  const known = new Set(those);
  return all.filter((one) => !known.has(one));
}

/** One host's failure keeps nobody else's from being done. @throws the first. */
async function all(work: readonly Promise<void>[]): Promise<void> {
  const results = await Promise.allSettled(work);
  const failure = results.find((result) => result.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
}
