/** Established TCP connections of the host, as /proc/net tells them (proc(5)). */

import { join } from 'node:path';
import { type Address, addressFromBytes, formatAddress } from '../../../model/address.ts';
import { readText } from './managers/manager.ts';

export interface Connection {
  readonly local: string;
  readonly localPort: number;
  readonly remote: string;
  readonly remotePort: number;
}

const ESTABLISHED = '01';

/** Those to an address of the given ones, as text. @param root of the file system. */
export async function connectionsTo(addresses: ReadonlySet<string>, root = '/'): Promise<readonly Connection[]> {
  const tables = await Promise.all(
    ['tcp', 'tcp6'].map((name) => readText(join(root, 'proc/self/net', name)).then((text) => text ?? '')),
  );
  return tables.flatMap((table) =>
    table
      .split('\n')
      .slice(1)
      .flatMap((line): Connection[] => {
        const [, local, remote, state] = line.trim().split(/\s+/);
        if (state !== ESTABLISHED) return [];
        const [from, to] = [endOf(local!), endOf(remote!)];
        if (from === undefined || to === undefined || !addresses.has(from.address)) return [];
        return [{ local: from.address, localPort: from.port, remote: to.address, remotePort: to.port }];
      }),
  );
}

/** `0100007F:0016`: 32-bit words of the address in the byte order of the host, and the port. */
function endOf(text: string): { readonly address: string; readonly port: number } | undefined {
  const [words, port] = text.split(':');
  if (words === undefined || port === undefined || !/^([0-9A-F]{8}){1,4}$/.test(words)) return undefined;
  const bytes = Uint8Array.from(words.match(/.{8}/g)!.flatMap((word) => [...Buffer.from(word, 'hex').reverse()]));
  return { address: formatAddress(plain(addressFromBytes(bytes))), port: Number.parseInt(port, 16) };
}

/** An IPv4 connection on a socket of both families: `::ffff:192.168.1.2`. */
function plain(address: Address): Address {
  const mapped = address.family === 6 && address.value >> 32n === 0xffffn;
  return mapped ? { family: 4, value: address.value & 0xffffffffn } : address;
}
