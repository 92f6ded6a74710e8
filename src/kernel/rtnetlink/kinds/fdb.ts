/** Forwarding entries of bridges and VXLAN devices: found, made, unmade. */

import { sameAddress } from '../../../model/address.ts';
import { type FdbEntry, objectKey } from '../../objects.ts';
import { Refusal } from '../errors.ts';
import type { LinkRecord } from '../link.ts';
import type { Request } from '../message.ts';
import { deleteFdbEntry, type FdbRecord, getFdb, newFdbEntry, readFdbEntry } from '../neighbour.ts';
import { type LinkTable, UnknownLink } from '../session.ts';
import { meansAbsent } from '../socket.ts';
import { groupBy, type Kind } from './kind.ts';

export const fdbKind: Kind<FdbEntry> = {
  find(wanted, { socket, links }, found) {
    for (const [name, group] of groupBy(wanted, (entry) => entry.link)) {
      const link = links.byName(name);
      if (link === undefined) continue;
      const records = socket.dump(getFdb(link.index), (message) => {
        const record = readFdbEntry(message);
        return record?.link === link.index && record.fixed && (!record.local || isBridge(link)) ? record : undefined;
      });
      const byMac = groupBy(records, (record) => record.mac);
      for (const entry of group) {
        const candidates = byMac.get(entry.mac) ?? [];
        if (candidates.some((record) => isEntry(entry, record, link))) found.set(objectKey(entry), entry);
      }
    }
  },

  make(entry, { socket, links }) {
    socket.do(fdbRequest(entry, links));
  },

  unmake(entry, { socket, links }) {
    const link = links.byName(entry.link);
    if (link === undefined) return;
    const [outcome] = socket.request([deleteFdbEntry(entry, link.index, ofDevice(entry, link))]);
    if (outcome!.errno !== 0 && !meansAbsent(outcome!.errno)) throw new Refusal(outcome!.errno, outcome!.message);
  },
};

/** What makes an entry, to be sent with others. @throws UnknownLink */
export function fdbRequest(entry: FdbEntry, links: LinkTable): Request {
  const link = links.byName(entry.link);
  if (link === undefined) throw new UnknownLink(entry.link);
  return newFdbEntry(entry, link.index, ofDevice(entry, link));
}

/** Whether it is the device's own (`self`) rather than its bridge's (`master`): a remote VTEP is known to the device only. */
function ofDevice(entry: FdbEntry, link: LinkRecord): boolean {
  return entry.dst !== undefined || link.master === undefined;
}

/** Everything of an entry is in its key: it is there as declared, or it is not there. */
function isEntry(entry: FdbEntry, record: FdbRecord, link: LinkRecord): boolean {
  const sameDst =
    entry.dst === undefined ? record.dst === undefined : record.dst !== undefined && sameAddress(entry.dst, record.dst);
  return sameDst && record.vlan === entry.vlan && (record.self === ofDevice(entry, link) || record.local);
}

/** What ends at the bridge itself is listed with its ports' entries, as local (`fdb_insert_local`, net/bridge/br_fdb.c). */
function isBridge(link: LinkRecord): boolean {
  return link.type === 'bridge';
}
