/** Gives a link another name, and lets who knows the old one go on with it. */

import { constants } from 'node:os';
import { IFF_UP, IFLA_ALT_IFNAME, IFLA_IFNAME, IFLA_PROP_LIST, RTM_NEWLINKPROP, RTM_SETLINK } from '../constants.ts';
import { Refusal } from '../errors.ts';
import { changeLink, type LinkRecord, writeLinkHeader } from '../link.ts';
import { type Request, request } from '../message.ts';
import { openLinkTable, type Session, UnknownLink } from '../session.ts';

/**
 * The old name stays as an alternative one (since Linux 5.5; found like the first, __dev_get_by_name): the engine looks for the
 * interfaces that it named, when it is asked for statistics and when it stops a container. Before Linux 6.3 a link that is up
 * cannot be renamed (dev_change_name): it goes down for a moment, and loses its routes.
 *
 * @throws UnknownLink when there is none of the old name; Refusal when the new name is taken.
 */
export function renameLink(from: string, to: string, session: Session): LinkRecord {
  const { socket } = session;
  const record = session.links.byName(from);
  if (record === undefined) throw new UnknownLink(from);
  const { index } = record;
  const rename = naming(index, to);
  const [outcome] = socket.request([rename]);
  if (outcome!.errno === constants.errno.EBUSY && (record.flags & IFF_UP) !== 0) {
    for (const step of [...changeLink(index, { up: false }), rename, ...changeLink(index, { up: true })])
      socket.do(step);
  } else if (outcome!.errno !== 0) throw new Refusal(outcome!.errno, outcome!.message);
  socket.request([alternative(index, from)]);
  return openLinkTable(socket).byIndex(index) ?? record;
}

function naming(index: number, name: string): Request {
  return request(RTM_SETLINK, 0, (writer) => {
    writeLinkHeader(writer, { index });
    writer.attributeString(IFLA_IFNAME, name);
  });
}

function alternative(index: number, name: string): Request {
  return request(RTM_NEWLINKPROP, 0, (writer) => {
    writeLinkHeader(writer, { index });
    writer.nested(IFLA_PROP_LIST, () => writer.attributeString(IFLA_ALT_IFNAME, name));
  });
}
