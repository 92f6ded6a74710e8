/**
 * In the place of two drivers of the kernel thread, in a guest whose kernel has nftables for bridges only, and that has no engine: what is
 * declared is remembered, and nothing filtered. VLANs need no filter to be apart.
 */

import type { ObjectDriver } from '../../../src/kernel/driver.ts';
import { type KernelObject, type ObjectKind, objectKey } from '../../../src/kernel/objects.ts';

function remembering(...kinds: readonly ObjectKind[]): ObjectDriver {
  const made = new Map<string, KernelObject>();
  const keyOf = (object: KernelObject) => `${object.netns ?? ''} ${objectKey(object)}`;
  return {
    kinds,
    find: (wanted) =>
      new Map(
        wanted.flatMap((object) => {
          const found = made.get(keyOf(object));
          return found === undefined ? [] : [[objectKey(object), found]];
        }),
      ),
    make: (object) => void made.set(keyOf(object), object),
    unmake: (object) => void made.delete(keyOf(object)),
    close: () => {},
  };
}

/** For `src/kernel/nftables/driver.ts`. */
export const createNftDriver = (): ObjectDriver => remembering('nft-table', 'nft-element');

/** For `src/kernel/forward-accept.ts`: there is no chain of an engine, and to ask iptables for it takes such a guest a second. */
export const createForwardAcceptDriver = (): ObjectDriver => remembering('forward-accept');
