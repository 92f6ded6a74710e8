/** What a namespace has, as everything above the kernel sees it. */

import type { Mac } from '../../model/mac.ts';
import type { HostAddress, HostLink, HostNeighbour, HostRoute, HostView } from '../kernel.ts';
import type { FdbEntry, Neighbour } from '../objects.ts';
import { getAddresses, readAddress } from './address.ts';
import { IFF_LOOPBACK, IFF_LOWER_UP, IFF_UP, RT_SCOPE_HOST, RT_SCOPE_LINK } from './constants.ts';
import { getLink, getLinks, type LinkRecord, readLink } from './link.ts';
import { getFdb, getNeighbours, readFdbEntry, readNeighbour } from './neighbour.ts';
import { getRoutes, readRoute } from './route.ts';
import type { NetlinkSocket } from './socket.ts';

/**
 * Reads links, addresses and routes of the socket's namespace: three dumps.
 *
 * @param device says what a NIC is a device of, where the kernel does not.
 * @throws Refusal
 */
export function readView(socket: NetlinkSocket, device?: (link: string) => string | undefined): HostView {
  const records = socket.dump(getLinks(), readLink);
  const names = new Map(records.map((record) => [record.index, record.name]));
  const addresses = socket.dump(getAddresses(), (message): HostAddress | undefined => {
    const record = readAddress(message);
    const link = record === undefined ? undefined : names.get(record.link);
    if (record === undefined || link === undefined) return undefined;
    return {
      link,
      address: record.address,
      scope: record.scope === RT_SCOPE_HOST ? 'host' : record.scope === RT_SCOPE_LINK ? 'link' : 'global',
      ...(record.validSeconds === undefined ? {} : { validSeconds: record.validSeconds }),
      ...(record.preferredSeconds === undefined ? {} : { preferredSeconds: record.preferredSeconds }),
    };
  });
  const routes = socket.dump(getRoutes(0), (message): HostRoute | undefined => {
    const record = readRoute(message);
    if (record === undefined) return undefined;
    const link = record.link === undefined ? undefined : names.get(record.link);
    return {
      table: record.table,
      destination: record.destination,
      ...(link === undefined ? {} : { link }),
      ...(record.via === undefined ? {} : { via: record.via }),
      ...(record.source === undefined ? {} : { source: record.source }),
      metric: record.metric,
      protocol: record.protocol,
      scope: record.scope,
      type: record.type,
    };
  });
  return { links: records.map((record) => hostLink(record, names, device)), addresses, routes };
}

/** Reads the neighbours of a link that the kernel is sure of. None when there is no such link. @throws Refusal */
export function readNeighbours(socket: NetlinkSocket, link: string): readonly HostNeighbour[] {
  const index = socket.get(getLink(link), readLink)?.index;
  if (index === undefined) return [];
  return socket.dump(getNeighbours(index, false), (message) => {
    const record = readNeighbour(message);
    if (record?.link !== index || record.mac === undefined || !(record.reachable || record.permanent)) return undefined;
    return { address: record.address, mac: record.mac as Mac };
  });
}

/**
 * What somebody wrote down on a link: permanent neighbours, and as a port or a VXLAN device, where forwarding leads. None when there is
 * no such link. @throws Refusal
 */
export function readEntries(socket: NetlinkSocket, link: string): readonly (FdbEntry | Neighbour)[] {
  const index = socket.get(getLink(link), readLink)?.index;
  if (index === undefined) return [];
  const neighbours = socket.dump(getNeighbours(index, false), (message): Neighbour | undefined => {
    const record = readNeighbour(message);
    if (record?.link !== index || record.mac === undefined || !record.permanent) return undefined;
    return { kind: 'neighbour', link, address: record.address, mac: record.mac as Mac };
  });
  const forwarding = socket.dump(getFdb(index), (message): FdbEntry | undefined => {
    const record = readFdbEntry(message);
    if (record?.link !== index || !record.fixed || record.local) return undefined;
    const { mac, dst, vlan } = record;
    return {
      kind: 'fdb',
      link,
      mac,
      ...(dst === undefined ? {} : { dst }),
      ...(vlan === undefined ? {} : { vlan }),
    };
  });
  return [...neighbours, ...forwarding];
}

function hostLink(
  record: LinkRecord,
  names: ReadonlyMap<number, string>,
  deviceOf: ((link: string) => string | undefined) | undefined,
): HostLink {
  const isNic = record.type === undefined && (record.flags & IFF_LOOPBACK) === 0;
  const device = record.device ?? (isNic ? deviceOf?.(record.name) : undefined);
  const master = record.master === undefined ? undefined : names.get(record.master);
  return {
    index: record.index,
    name: record.name,
    ...(record.type === undefined ? {} : { type: record.type }),
    mtu: record.mtu,
    ...(record.mac === undefined ? {} : { mac: record.mac }),
    up: (record.flags & IFF_UP) !== 0,
    running: (record.flags & IFF_LOWER_UP) !== 0,
    loopback: (record.flags & IFF_LOOPBACK) !== 0,
    ...(master === undefined ? {} : { master }),
    ...(record.link === undefined ? {} : { linkIndex: record.link }),
    ...(record.alias === undefined ? {} : { alias: record.alias }),
    ...(device === undefined ? {} : { device }),
  };
}
