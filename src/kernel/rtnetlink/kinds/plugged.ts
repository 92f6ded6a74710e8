/** Links that were made for a container, or lent to one: where they are now, and how they come back. */

import type { Link, NicLink } from '../../objects.ts';
import { Refusal } from '../errors.ts';
import { changeLink, getLinks, type LinkRecord, moveLink, readLink } from '../link.ts';
import type { Session } from '../session.ts';
import { meansAbsent } from '../socket.ts';

/** The namespace of the calling thread, which is the one that a session without another name is in. */
const OURS = '/proc/thread-self/ns/net';

export interface Place {
  readonly record: LinkRecord;
  readonly session: Session;
}

export function pluggedOf(link: Link): Extract<Link, { type: 'macvlan' }>['plugged'] {
  return 'plugged' in link ? link.plugged : undefined;
}

/**
 * Where a link is: in the container that it was plugged into, under its name there, or here under its own, where the engine
 * puts it back when it unplugs the container. The container's place comes first; usually there is one place at most.
 */
export function placesOf(link: Link, session: Session): readonly Place[] {
  const there = placeInContainer(link, session);
  // When a namespace goes, the kernel puts its NICs into the first one, under another name if theirs is taken (default_device_exit_net).
  const record = session.links.byName(link.name) ?? (link.type === 'nic' ? marked(link, session) : undefined);
  return [...(there === undefined ? [] : [there]), ...(record === undefined ? [] : [{ record, session }])];
}

/** Where a link is as it should be: one that we bring to the container ourselves has no place here. */
export function standingPlacesOf(link: Link, session: Session): readonly Place[] {
  const places = placesOf(link, session);
  return link.type === 'nic' && link.deliver === true ? places.filter((place) => place.session !== session) : places;
}

/** Puts a NIC into its container, under its name there. @throws Refusal */
export function deliverNic({ plugged }: NicLink, { index }: LinkRecord, session: Session): void {
  if (typeof plugged !== 'object') return;
  session.withNamespace(plugged.netns, (fd) => session.socket.do(moveLink(index, fd, plugged.name)));
}

function placeInContainer(link: Link, session: Session): Place | undefined {
  const plugged = pluggedOf(link);
  if (typeof plugged !== 'object') return undefined;
  const there = session.elsewhere(plugged.netns);
  if (there === undefined) return undefined;
  const named = there.links.byName(plugged.name);
  // Under this name there may be another interface by now, and ours under another one: it bears our mark.
  const record = named?.alias === link.alias ? named : marked(link, there);
  if (record === undefined) return undefined;
  return link.type === 'nic' || record.type === link.type ? { record, session: there } : undefined;
}

function marked({ alias }: Link, { socket }: Session): LinkRecord | undefined {
  if (alias === undefined) return undefined;
  return socket.dump(getLinks(), readLink).find((record) => record.alias === alias);
}

/**
 * Brings a NIC back: from the container if it is still in there, under its own name, with the MAC address, the MTU and the
 * state that it had. Safe to repeat; one that is nowhere, such as one that was pulled, is left alone.
 *
 * @throws Refusal
 */
export function returnNic(link: NicLink, session: Session): void {
  const there = placeInContainer(link, session);
  if (there !== undefined) {
    session.withNamespace(OURS, (fd) => send(there.session, [moveLink(there.record.index, fd, link.name)]));
  }
  const { socket } = session;
  const back = socket.dump(getLinks(), readLink).find(({ alias, name }) => alias === link.alias || name === link.name);
  // Under its name and without our mark it has been given back already, or is another one by now.
  if (back === undefined || back.alias !== link.alias) return;
  const { mac, mtu, up, alias } = link.before;
  send(session, [
    ...changeLink(back.index, { up: false }),
    ...(back.name === link.name ? [] : [moveLink(back.index, undefined, link.name)]),
    ...(back.mac === mac ? [] : changeLink(back.index, { mac })),
    ...changeLink(back.index, { mtu, alias }),
    ...(up ? changeLink(back.index, { up }) : []),
  ]);
}

function send({ socket }: Session, requests: Parameters<Session['socket']['request']>[0]): void {
  for (const { errno, message } of socket.request(requests)) {
    // The engine may be bringing it back at the same moment.
    if (errno !== 0 && !meansAbsent(errno)) throw new Refusal(errno, message);
  }
}
