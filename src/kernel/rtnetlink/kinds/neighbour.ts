/** Permanent and proxy neighbours: found, made, unmade. */

import { formatAddress } from '../../../model/address.ts';
import { type KernelObject, type Neighbour, objectKey } from '../../objects.ts';
import { Refusal } from '../errors.ts';
import type { Request } from '../message.ts';
import { deleteNeighbour, getNeighbours, newNeighbour, readNeighbour } from '../neighbour.ts';
import type { LinkTable } from '../session.ts';
import { meansAbsent } from '../socket.ts';
import { groupBy, type Kind, withoutUndefined } from './kind.ts';

export const neighbourKind: Kind<Neighbour> = {
  find(wanted, { socket, links }, found) {
    for (const [name, ofLink] of groupBy(wanted, (neighbour) => neighbour.link)) {
      const index = links.byName(name)?.index;
      if (index === undefined) continue;
      for (const [proxy, group] of groupBy(ofLink, (neighbour) => neighbour.proxy === true)) {
        const records = socket.dump(getNeighbours(index, proxy), (message) => {
          const record = readNeighbour(message);
          return record?.link === index && record.proxy === proxy ? record : undefined;
        });
        const byText = new Map(records.map((record) => [formatAddress(record.address), record]));
        for (const neighbour of group) {
          const record = byText.get(formatAddress(neighbour.address));
          // What the kernel has learnt may be right today, and is not what was declared.
          if (record === undefined || (!proxy && !record.permanent)) continue;
          const mac = proxy ? neighbour.mac : record.mac;
          found.set(objectKey(neighbour), withoutUndefined({ ...neighbour, mac }) as unknown as KernelObject);
        }
      }
    }
  },

  make(neighbour, { socket, links }) {
    socket.do(neighbourRequest(neighbour, links));
  },

  unmake(neighbour, { socket, links }) {
    const link = links.byName(neighbour.link)?.index;
    if (link === undefined) return;
    const [outcome] = socket.request([deleteNeighbour(neighbour, link)]);
    if (outcome!.errno !== 0 && !meansAbsent(outcome!.errno)) throw new Refusal(outcome!.errno, outcome!.message);
  },
};

/** What makes a neighbour, to be sent with others. @throws UnknownLink */
export function neighbourRequest(neighbour: Neighbour, links: LinkTable): Request {
  return newNeighbour(neighbour, links.indexOf(neighbour.link));
}
