/** Which address a reverse name stands for: RFC 1035 §3.5, RFC 3596 §2.5. */

import { type Address, addressFromBytes } from '../../model/address.ts';
import { type DomainName, nameKey } from '../name.ts';

const V4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.in-addr\.arpa$/;
const V6 = /^((?:[0-9a-f]\.){32})ip6\.arpa$/;

/** Undefined for any other name, and for the reverse name of a whole prefix. */
export function addressOfReverse(name: DomainName): Address | undefined {
  const key = nameKey(name);
  const four = V4.exec(key);
  if (four !== null) {
    const bytes = four.slice(1).map(Number).toReversed();
    return bytes.some((byte) => byte > 255) ? undefined : addressFromBytes(Uint8Array.from(bytes));
  }
  const nibbles = V6.exec(key)?.[1]?.split('.').slice(0, 32).toReversed();
  if (nibbles === undefined) return undefined;
  const bytes = Array.from({ length: 16 }, (_, at) => Number.parseInt(nibbles[2 * at]! + nibbles[2 * at + 1]!, 16));
  return addressFromBytes(Uint8Array.from(bytes));
}
