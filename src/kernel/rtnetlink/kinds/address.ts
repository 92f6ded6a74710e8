/** Addresses: found, made, unmade. */

import { constants } from 'node:os';
import { sameAddress } from '../../../model/address.ts';
import { formatPrefix } from '../../../model/prefix.ts';
import { type KernelObject, type LinkAddress, objectKey } from '../../objects.ts';
import { type AddressRecord, deleteAddress, getAddresses, newAddress, readAddress } from '../address.ts';
import { Refusal } from '../errors.ts';
import type { NetlinkSocket } from '../socket.ts';
import { meansAbsent } from '../socket.ts';
import { groupBy, type Kind, withoutUndefined } from './kind.ts';

/** As many links as it is cheaper to ask one by one than to read the addresses of all. */
const FEW = 8;

export const addressKind: Kind<LinkAddress> = {
  find(wanted, { socket, links }, found) {
    const byLink = groupBy(wanted, (address) => address.link);
    const all = byLink.size > FEW ? groupBy(addresses(socket, 0), (record) => record.link) : undefined;
    for (const [name, group] of byLink) {
      const index = links.byName(name)?.index;
      if (index === undefined) continue;
      const records = all === undefined ? addresses(socket, index) : (all.get(index) ?? []);
      const byText = new Map(records.map((record) => [formatPrefix(record.address), record]));
      for (const address of group) {
        const record = byText.get(formatPrefix(address.address));
        if (record !== undefined) found.set(objectKey(address), foundAddress(address, record));
      }
    }
  },

  make(address, { socket, links }) {
    const link = links.indexOf(address.link);
    const [outcome] = socket.request([newAddress(address, link, false)]);
    if (outcome!.errno === 0) return;
    if (outcome!.errno !== constants.errno.EEXIST) throw new Refusal(outcome!.errno, outcome!.message);

    const same = addresses(socket, link).filter((record) =>
      sameAddress(record.address.address, address.address.address),
    );
    const exact = same.find((record) => record.address.length === address.address.length);
    const flagDiffers =
      exact !== undefined && address.noPrefixRoute !== undefined && exact.noPrefixRoute !== address.noPrefixRoute;
    if (exact !== undefined && !flagDiffers) {
      socket.do(newAddress(address, link, true));
      return;
    }
    // IPv6 has an address once on a link whatever its prefix length, and IPv4 does not change this flag (inet_rtm_newaddr).
    for (const record of exact === undefined ? same : [exact]) socket.do(deleteAddress(record.address, link));
    socket.do(newAddress(address, link, false));
  },

  unmake(address, { socket, links }) {
    const link = links.byName(address.link)?.index;
    if (link === undefined) return;
    const [outcome] = socket.request([deleteAddress(address.address, link)]);
    const errno = outcome!.errno;
    if (errno === 0 || errno === constants.errno.EADDRNOTAVAIL || meansAbsent(errno)) return;
    throw new Refusal(errno, outcome!.message);
  },
};

function addresses(socket: NetlinkSocket, link: number): AddressRecord[] {
  // Where the kernel does not filter, what is of other links comes too.
  return socket.dump(getAddresses(link), (message) => {
    const record = readAddress(message);
    return link === 0 || record?.link === link ? record : undefined;
  });
}

function foundAddress(wanted: LinkAddress, record: AddressRecord): KernelObject {
  return withoutUndefined({
    ...wanted,
    noPrefixRoute: record.noPrefixRoute,
    validSeconds: lifetime(wanted.validSeconds, record.validSeconds),
    preferredSeconds: lifetime(wanted.preferredSeconds, record.preferredSeconds),
  }) as unknown as KernelObject;
}

/** A lifetime runs down by itself: what is left of the declared one is no difference. */
function lifetime(wanted: number | undefined, found: number | undefined): number | undefined {
  return wanted !== undefined && found !== undefined && found <= wanted ? wanted : found;
}
