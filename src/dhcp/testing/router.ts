/** What a router advertises, for tests. */

import { addressBytes, parseAddress } from '../../model/address.ts';
import { macFromBytes } from '../../model/mac.ts';
import { parsePrefix } from '../../model/prefix.ts';
import { encodePacket, groupMac, ICMPV6 } from '../v6/packet.ts';

export interface Advertised {
  readonly managed?: boolean;
  readonly otherwise?: boolean;
  /** On the link: the flag L. */
  readonly onLink?: readonly string[];
  /** For addresses of one's own: the flags L and A. */
  readonly autonomous?: readonly string[];
}

export function advertisementOf({ managed, otherwise, onLink = [], autonomous = [] }: Advertised): Uint8Array {
  const everybody = parseAddress('ff02::1')!;
  const option = (prefix: string, flags: number) => {
    const { address, length } = parsePrefix(prefix)!;
    const lifetimes = [0, 1, 0x51, 0x80, 0, 0, 0x38, 0x40];
    return [3, 4, length, flags, ...lifetimes, 0, 0, 0, 0, ...addressBytes(address)];
  };
  const flags = (managed ? 0x80 : 0) | (otherwise ? 0x40 : 0);
  const payload = Uint8Array.from([
    134,
    0,
    0,
    0,
    64,
    flags,
    7,
    8,
    ...Array<number>(8).fill(0),
    ...onLink.flatMap((prefix) => option(prefix, 0x80)),
    ...autonomous.flatMap((prefix) => option(prefix, 0xc0)),
  ]);
  return encodePacket(
    {
      sourceMac: macFromBytes(Uint8Array.of(0x0a, 0, 0, 0, 0, 1)),
      destinationMac: groupMac(everybody),
      source: parseAddress('fe80::1')!,
      destination: everybody,
      protocol: ICMPV6,
      hopLimit: 255,
      payload,
    },
    2,
  );
}
