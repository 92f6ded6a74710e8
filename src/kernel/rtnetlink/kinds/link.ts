/** Links: found, made, changed, unmade. */

import { constants } from 'node:os';
import { sameAddress } from '../../../model/address.ts';
import { BerthError } from '../../../model/errors.ts';
import { type Link, type MadeLink, objectKey, type VethLink } from '../../objects.ts';
import { ETHTOOL_STXCSUM, IFF_UP, IN6_ADDR_GEN_MODE_NONE } from '../constants.ts';
import { describeObject, Refusal } from '../errors.ts';
import {
  changeLink,
  createLink,
  deleteLink,
  getLinks,
  type LinkChange,
  type LinkRecord,
  type LinkReferences,
  PORT_FLAGS,
  readLink,
  setsAddressGeneration,
  setsProtoDown,
} from '../link.ts';
import { VXLAN_PORT } from '../link-details.ts';
import type { Outcome, Request } from '../message.ts';
import { type LinkTable, openLinkTable, type Session, UnknownLink, UnknownNamespace } from '../session.ts';
import { meansAbsent } from '../socket.ts';
import { type Kind, withoutUndefined } from './kind.ts';
import { deliverNic, placesOf, pluggedOf, returnNic, standingPlacesOf } from './plugged.ts';
import { renameLink } from './rename.ts';

/** ETH_DATA_LEN: with which Ethernet links begin. */
const DEFAULT_MTU = 1500;

/**
 * @param owns whether the link that stands under this name with another type or identity is ours to replace.
 * @param deleting called right before one that is not wanted any more is deleted.
 */
export function linkKind(owns: (link: MadeLink) => boolean, deleting: () => void): Kind<Link> {
  return {
    find(wanted, session, found) {
      for (const link of wanted) {
        const [place] = standingPlacesOf(link, session);
        if (place !== undefined)
          found.set(
            objectKey(link),
            isForeign(link, place.record) ? link : foundLink(link, place.record, session.links),
          );
        // The engine has it, and nobody knows where: nothing can be said against it.
        else if (pluggedOf(link) === 'somewhere') found.set(objectKey(link), link);
      }
    },

    make(link, session) {
      if (link.type === 'adopted') {
        const record = session.links.byName(link.name);
        if (record !== undefined) change(link, record, session);
        else if (link.formerly === undefined) throw new UnknownLink(link.name);
        else change(link, renameLink(link.formerly, link.name, session), session);
        return;
      }
      const [place] = pluggedOf(link) === undefined ? [] : placesOf(link, session);
      if (link.type === 'nic') {
        if (place === undefined) throw new UnknownLink(link.name);
        // With our mark first: by that it is found again wherever it is.
        change(link, place.record, place.session, session.links);
        if (link.deliver === true && place.session === session) deliverNic(link, place.record, session);
        return;
      }
      if (place !== undefined && isForeign(link, place.record)) return;
      if (place !== undefined && unchangeable(link, place.record, session.links) === undefined) {
        change(link, place.record, place.session, session.links);
        return;
      }
      // Creation is tried first: it is the common case, and one question fewer.
      if (create(link, session)) return;
      const record = openLinkTable(session.socket).byName(link.name);
      if (record === undefined) throw new Refusal(constants.errno.EEXIST);
      if (isForeign(link, record)) return;
      const obstacle = unchangeable(link, record, session.links);
      if (obstacle === undefined) {
        change(link, record, session);
        return;
      }
      if (!owns(link)) {
        throw new BerthError('KERNEL_REFUSED', `cannot make ${describeObject(link)}: ${obstacle}`);
      }
      session.socket.do(deleteLink(record.index));
      create(link, session);
    },

    unmake(link, session) {
      if (link.type === 'adopted') return;
      if (link.type === 'nic') {
        returnNic(link, session);
        return;
      }
      for (const { record, session: there } of placesOf(link, session)) {
        // Another type of link under this name is not the one that was made.
        if (record.type !== link.type || isForeign(link, record)) continue;
        if (isCommon(link) && hasPorts(record, there)) continue;
        deleting();
        const [outcome] = there.socket.request([deleteLink(record.index)]);
        if (outcome!.errno !== 0 && !meansAbsent(outcome!.errno)) throw new Refusal(outcome!.errno, outcome!.message);
      }
    },
  };
}

/** Whether others plug into a link as well. */
export const isCommon = (link: Link): boolean => link.type === 'bridge' && link.common === true;

/** Whether it is a bridge of somebody else's, which stands where ours would. */
const isForeign = (link: Link, record: LinkRecord): boolean =>
  isCommon(link) && record.type === 'bridge' && record.alias !== link.alias;

function hasPorts({ index }: LinkRecord, { socket }: Session): boolean {
  return socket.dump(getLinks(), readLink).some(({ master }) => master === index);
}

/** A link in the terms of the declared one; `links` are those that its parent and its master are among. */
function foundLink(wanted: Link, record: LinkRecord, links: LinkTable): Link {
  const plugged = pluggedOf(wanted);
  const common = {
    kind: 'link',
    // The engine renames it, and the container may give it another MAC: that is no difference.
    name: plugged === undefined ? record.name : wanted.name,
    netns: wanted.netns,
    mtu: record.mtu,
    mac: plugged === undefined ? record.mac : wanted.mac,
    plugged,
    up: (record.flags & IFF_UP) !== 0,
    protoDown: record.protoDown,
    master: masterName(record, links),
    alias: record.alias ?? '',
    // Where there is no IPv6, there is no link-local address either.
    noLinkLocal: record.addressGeneration === undefined || record.addressGeneration === IN6_ADDR_GEN_MODE_NONE,
    port: foundPort(wanted, record),
  };
  return withoutUndefined({ ...common, ...foundDetails(wanted, record, links) }) as unknown as Link;
}

function masterName(record: LinkRecord, links: LinkTable): string | null {
  return record.master === undefined ? null : (links.byIndex(record.master)?.name ?? null);
}

/** Only the settings that are declared: the others are not compared. */
function foundPort(wanted: Link, { port }: LinkRecord): Link['port'] {
  if (wanted.port === undefined || port === undefined) return undefined;
  const declared = PORT_FLAGS.filter((flag) => wanted.port?.[flag] !== undefined);
  return Object.fromEntries(declared.map((flag) => [flag, port[flag]]));
}

function foundDetails(wanted: Link, record: LinkRecord, links: LinkTable): Record<string, unknown> {
  if (wanted.type === 'adopted') return { type: 'adopted', formerly: wanted.formerly };
  if (wanted.type === 'nic') return { type: 'nic', before: wanted.before, deliver: wanted.deliver };
  const details: Record<string, unknown> = { ...record.details, type: record.type ?? 'physical' };
  // The engine moves and renames the other end: that is no difference.
  if (wanted.type === 'veth' && record.type === 'veth') details.peer = wanted.peer;
  // Who else plugs in is not the bridge's to tell.
  if (isCommon(wanted)) details.common = true;
  details.parent = 'parent' in wanted ? parentName(record, links, pluggedOf(wanted) !== undefined) : undefined;
  return details;
}

/** @param given the link may be in a container, and its parent is with us. */
function parentName(record: LinkRecord, links: LinkTable, given = false): string | undefined {
  const index = record.details?.type === 'vxlan' ? record.details.parent : record.link;
  if (index === undefined || (record.linkNamespace !== undefined && !given)) return undefined;
  return links.byIndex(index)?.name;
}

/** Why the link that is there can not become the declared one; undefined when it can. */
function unchangeable(link: MadeLink, record: LinkRecord, links: LinkTable): string | undefined {
  if (record.type !== link.type) return `there is a ${record.type ?? 'physical interface'} of this name already`;
  const { details } = record;
  const parent = parentName(record, links, pluggedOf(link) !== undefined) ?? 'none';
  if ('parent' in link && link.parent !== undefined && link.parent !== parent) {
    return `it is there already, on ${parent} rather than on ${link.parent}`;
  }
  if (link.type === 'vxlan' && details?.type === 'vxlan') {
    if (details.vni !== link.vni) return `it is there already, with the VNI ${details.vni} rather than ${link.vni}`;
    const port = link.udpPort ?? VXLAN_PORT;
    if (details.udpPort !== port) return `it is there already, on the port ${details.udpPort} rather than ${port}`;
  }
  if (link.type === 'vlan' && details?.type === 'vlan' && details.vlan !== link.vlan) {
    return `it is there already, with the VLAN ${details.vlan} rather than ${link.vlan}`;
  }
  if (link.type === 'macvlan' && details?.type === 'macvlan' && details.mode !== link.mode) {
    // macvlan_changelink: a passthru link neither begins nor ceases to be one.
    if (details.mode === 'passthru' || link.mode === 'passthru') {
      return `it is there already, in the mode ${details.mode} rather than ${link.mode}`;
    }
  }
  return undefined;
}

/** @returns false when there is something of this name already. */
function create(link: MadeLink, session: Session): boolean {
  const { socket, links } = session;
  const parent = 'parent' in link ? link.parent : undefined;
  const references: LinkReferences = {
    ...(typeof link.master === 'string' ? { master: links.indexOf(link.master) } : {}),
    ...(parent === undefined ? {} : { parent: links.indexOf(parent) }),
  };
  const peerNetns = link.type === 'veth' ? link.peer.netns : undefined;
  const plugged = pluggedOf(link);
  const place = typeof plugged === 'object' ? plugged : undefined;
  const there = place === undefined ? session : session.elsewhere(place.netns);
  if (there === undefined) throw new UnknownNamespace(place!.netns);
  const name = place?.name ?? link.name;
  const send = (all: LinkReferences) => socket.request([createLink({ ...link, name }, all)])[0]!;
  const within = (path: string, namespace: (fd: number) => LinkReferences) =>
    session.withNamespace(path, (fd) => send({ ...references, ...namespace(fd) }));
  const outcome =
    peerNetns !== undefined
      ? within(peerNetns, (peerNamespace) => ({ peerNamespace }))
      : place !== undefined
        ? within(place.netns, (namespace) => ({ namespace }))
        : send(references);
  if (outcome.errno === constants.errno.EEXIST && openLinkTable(there.socket).byName(name) !== undefined) return false;
  if (outcome.errno !== 0) throw new Refusal(outcome.errno, outcome.message ?? existsElsewhere(link, outcome));

  const rest: LinkChange = {
    ...(link.type === 'bridge' && link.mtu !== undefined ? { mtu: link.mtu } : {}),
    ...(link.alias ? { alias: link.alias } : {}),
    ...(link.noLinkLocal === undefined ? {} : { noLinkLocal: link.noLinkLocal }),
    ...(link.port === undefined ? {} : { port: link.port }),
    ...(link.protoDown === true ? { protoDown: true } : {}),
    ...(link.up === true ? { up: true } : {}),
  };
  try {
    apply(there, [...pinMtu(link), ...changeLink(name, rest)]);
    if (link.type === 'veth' && link.peer.txChecksum === false) switchOffTxChecksum(link.peer, session);
  } catch (error) {
    const made = openLinkTable(there.socket).byName(name);
    if (made !== undefined) there.socket.request([deleteLink(made.index)]);
    throw error;
  }
  return true;
}

/**
 * With it goes segmentation by the "hardware", which needs it (netdev_fix_features). A veth else hands over packets whose
 * checksums nobody has computed, as two kernels may that trust each other.
 */
function switchOffTxChecksum({ name, netns }: VethLink['peer'], session: Session): void {
  const there = netns === undefined ? session : session.elsewhere(netns);
  there?.socket.ethtool(name, ETHTOOL_STXCSUM, 0);
}

/**
 * A bridge takes the least MTU of its ports unless one has been set on it, and setting what is there already does not count
 * (br_change_mtu): a new bridge that shall have the default is given another first.
 */
function pinMtu(link: MadeLink): Request[] {
  return link.type === 'bridge' && link.mtu === DEFAULT_MTU ? changeLink(link.name, { mtu: DEFAULT_MTU - 1 }) : [];
}

function existsElsewhere(link: MadeLink, outcome: Outcome): string | undefined {
  if (outcome.errno !== constants.errno.EEXIST || link.type !== 'veth') return undefined;
  return `an interface ${link.peer.name} exists already`;
}

/**
 * Makes an existing link as declared; says nothing to the kernel about what is so already.
 *
 * @param session of the namespace that it is in.
 * @param links those that its parent and its master are among.
 */
function change(link: Link, record: LinkRecord, session: Session, links: LinkTable = session.links): void {
  const found = foundLink(link, record, links);
  const differs = <K extends keyof Link>(field: K) => link[field] !== undefined && link[field] !== found[field];
  const master = !differs('master') ? undefined : link.master === null ? 0 : links.indexOf(link.master!);
  // A port that joins another bridge starts with that one's defaults.
  const port = link.port !== undefined && (master !== undefined || portDiffers(link.port, found.port));
  apply(
    session,
    changeLink(record.index, {
      ...(differs('mtu') ? { mtu: link.mtu! } : {}),
      ...(differs('mac') ? { mac: link.mac! } : {}),
      ...(master === undefined ? {} : { master }),
      ...(differs('alias') ? { alias: link.alias! } : {}),
      ...(differs('noLinkLocal') ? { noLinkLocal: link.noLinkLocal! } : {}),
      ...(port ? { port: link.port! } : {}),
      ...(link.type !== 'adopted' && link.type !== 'nic' && detailsDiffer(link, record) ? { details: link } : {}),
      ...(differs('protoDown') ? { protoDown: link.protoDown! } : {}),
      ...(differs('up') ? { up: link.up! } : {}),
    }),
  );
}

function portDiffers(wanted: NonNullable<Link['port']>, found: Link['port']): boolean {
  return PORT_FLAGS.some((flag) => wanted[flag] !== undefined && wanted[flag] !== found?.[flag]);
}

/** Compares what `changeLink` can change of a type. */
function detailsDiffer(link: MadeLink, { details }: LinkRecord): boolean {
  const other = (wanted: unknown, found: unknown) => wanted !== undefined && wanted !== found;
  switch (link.type) {
    case 'bridge':
      return (
        details?.type === 'bridge' &&
        (other(link.stp, details.stp) ||
          other(link.forwardDelay, details.forwardDelay) ||
          other(link.vlanFiltering, details.vlanFiltering) ||
          other(link.multicastSnooping, details.multicastSnooping))
      );
    case 'vxlan':
      return (
        details?.type === 'vxlan' &&
        (other(link.learning, details.learning) ||
          other(link.ttl, details.ttl) ||
          (link.local !== undefined && (details.local === undefined || !sameAddress(link.local, details.local))))
      );
    case 'macvlan':
    case 'ipvlan':
      return details?.type === link.type && details.mode !== link.mode;
    case 'veth':
    case 'vlan':
    case 'ifb':
    case 'dummy':
      return false;
  }
}

/** Sends changes; that a link without IPv6 has no IPv6 address mode is no failure, nor that a carrier cannot be taken away. */
function apply({ socket }: Session, requests: readonly Request[]): void {
  for (const [position, outcome] of socket.request(requests).entries()) {
    if (outcome.errno === 0) continue;
    if (outcome.errno === constants.errno.EAFNOSUPPORT && setsAddressGeneration(requests[position]!)) continue;
    if (outcome.errno === constants.errno.EOPNOTSUPP && setsProtoDown(requests[position]!)) continue;
    throw new Refusal(outcome.errno, outcome.message);
  }
}
