/** Ethernet addresses. */

import { createHash } from 'node:crypto';
import type { Address } from './address.ts';

declare const brand: unique symbol;

/** Six octets in lower-case hexadecimal with colons; the one textual form, so equality is `===`. */
export type Mac = string & { readonly [brand]: 'Mac' };

/**
 * Parses `aa:bb:…` or `aa-bb-…` in any case. Undefined when it is not six octets, is all zeros, or has the group bit
 * set (IEEE 802: the kernel refuses a multicast address on a link, `is_valid_ether_addr`).
 */
export function parseMac(text: string): Mac | undefined {
  if (!/^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/.test(text) && !/^[0-9a-fA-F]{2}(-[0-9a-fA-F]{2}){5}$/.test(text)) {
    return undefined;
  }
  const canonical = text.toLowerCase().replaceAll('-', ':');
  const group = (Number.parseInt(canonical.slice(0, 2), 16) & 1) === 1;
  return group || canonical === '00:00:00:00:00:00' ? undefined : (canonical as Mac);
}

export function macBytes(mac: Mac): Uint8Array {
  return Uint8Array.from(mac.split(':'), (octet) => Number.parseInt(octet, 16));
}

export function macFromBytes(bytes: Uint8Array): Mac {
  if (bytes.length !== 6) throw new RangeError(`a MAC address has 6 bytes, not ${bytes.length}`);
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':') as Mac;
}

/**
 * `02:42:` and the IPv4 address: the same address always comes back with the same MAC, so neighbours that remember it are
 * not misled (moby#30238). The scheme is the engine's own (libnetwork `netutils.GenerateMACFromIP`). For IPv6 the last
 * four octets of the address are used.
 */
export function macFromAddress(address: Address): Mac {
  const low = Number(address.value & 0xffffffffn);
  return macFromBytes(Uint8Array.of(0x02, 0x42, low >>> 24, (low >>> 16) & 255, (low >>> 8) & 255, low & 255));
}

/** `02:42:` and what follows from an identity, such as an endpoint's id: for what has no address that it could follow from. */
export function macFromIdentity(identity: string): Mac {
  const digest = createHash('sha256').update(identity).digest();
  return macFromBytes(Uint8Array.of(0x02, 0x42, ...digest.subarray(0, 4)));
}

/**
 * A locally administered address that follows from a text, such as a host name: 02 and the first five octets of the text's
 * MD5 digest, a line end included. The scheme is pipework's `U:text`, so who moves over keeps the address, and with it the DHCP lease.
 */
export function macFromText(text: string): Mac {
  const digest = createHash('md5').update(`${text}\n`).digest();
  return macFromBytes(Uint8Array.of(0x02, ...digest.subarray(0, 5)));
}
