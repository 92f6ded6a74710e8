/** Multicast groups that programs have joined on an interface: a membership is bound to it, and does not follow to a bridge. */

import { join } from 'node:path';
import { addressFromBytes, formatAddress } from '../../../model/address.ts';
import { readText } from './managers/manager.ts';

/** All hosts, all routers, and an address's own group (RFC 4291 2.7.1): the kernel joins them on each interface by itself. */
const OWN = /^(224\.0\.0\.1|ff0[12]::1|ff0[125]::2|ff02::6a|ff02::1:ff.*)$/;

/** As text, of both families. @param root of the file system. */
export async function joinedGroups(link: string, root = '/'): Promise<readonly string[]> {
  const [igmp = '', igmp6 = ''] = await Promise.all(
    ['igmp', 'igmp6'].map((name) => readText(join(root, 'proc/self/net', name))),
  );
  return [...groups4(igmp, link), ...groups6(igmp6, link)].filter((group) => !OWN.test(group));
}

/** Indented lines below that of the interface; the address is a 32-bit word in the byte order of the host. */
function groups4(table: string, link: string): string[] {
  let within = false;
  return table.split('\n').flatMap((line) => {
    const [, name] = /^\d+\s+(\S+)\s*:/.exec(line) ?? [];
    if (name !== undefined) within = name === link;
    const [, word] = /^\s+([0-9A-F]{8})\s/.exec(line) ?? [];
    if (!within || word === undefined) return [];
    return [formatAddress(addressFromBytes(Uint8Array.from(Buffer.from(word, 'hex').reverse())))];
  });
}

/** `2  eth0  ff0200000000000000000000000000fb  1 0000000C 0` */
function groups6(table: string, link: string): string[] {
  return table.split('\n').flatMap((line) => {
    const [, name, word] = line.trim().split(/\s+/);
    if (name !== link || !/^[0-9a-f]{32}$/.test(word ?? '')) return [];
    return [formatAddress(addressFromBytes(Uint8Array.from(Buffer.from(word!, 'hex'))))];
  });
}
