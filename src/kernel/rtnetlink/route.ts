/** Routes: RTM_NEWROUTE and its relatives (`struct rtmsg`, linux/rtnetlink.h). */

import { type Address, addressBytes, addressFromBytes, type Family } from '../../model/address.ts';
import type { Prefix } from '../../model/prefix.ts';
import type { Route } from '../objects.ts';
import { getU32, readAttributes, readU16, readU32, type Writer } from './attributes.ts';
import {
  AF_INET,
  AF_INET6,
  NLM_F_CREATE,
  NLM_F_REPLACE,
  RT_SCOPE_HOST,
  RT_SCOPE_LINK,
  RT_SCOPE_NOWHERE,
  RT_SCOPE_UNIVERSE,
  RTA_DST,
  RTA_GATEWAY,
  RTA_MULTIPATH,
  RTA_OIF,
  RTA_PREFSRC,
  RTA_PRIORITY,
  RTA_TABLE,
  RTA_VIA,
  RTM_DELROUTE,
  RTM_F_CLONED,
  RTM_GETROUTE,
  RTM_NEWROUTE,
  RTN_BLACKHOLE,
  RTN_LOCAL,
  RTN_UNICAST,
  RTN_UNREACHABLE,
  RTNH_F_ONLINK,
} from './constants.ts';
import { type Request, request } from './message.ts';

export const MAIN_TABLE = 254;
/** rtnetlink protocol number with which Berth marks what it makes. */
export const BERTH_PROTOCOL = 186;

export interface RouteRecord {
  readonly table: number;
  readonly destination: Prefix;
  readonly link: number | undefined;
  readonly via: Address | undefined;
  readonly source: Address | undefined;
  readonly metric: number;
  readonly protocol: number;
  readonly onlink: boolean;
  readonly scope: 'universe' | 'link' | 'host';
  readonly type: 'unicast' | 'blackhole' | 'unreachable' | 'local' | 'other';
}

const types = { unicast: RTN_UNICAST, blackhole: RTN_BLACKHOLE, unreachable: RTN_UNREACHABLE } as const;
const scopes = { universe: RT_SCOPE_UNIVERSE, link: RT_SCOPE_LINK, host: RT_SCOPE_HOST } as const;

/** The metric that a route has when none is declared; the kernel's own default in IPv6 (IP6_RT_PRIO_USER). */
export function metricOf(route: Route): number {
  return route.metric ?? (route.destination.address.family === 4 ? 0 : 1024);
}

/** Without a next hop the destination is on the link, as `ip route` assumes. IPv6 knows no scopes. */
function scopeOf(route: Route): number {
  if (route.destination.address.family === 6) return RT_SCOPE_UNIVERSE;
  if (route.scope !== undefined) return scopes[route.scope];
  return route.via === undefined && (route.type ?? 'unicast') === 'unicast' ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
}

interface Header {
  readonly table: number;
  readonly protocol: number;
  readonly scope: number;
  readonly type: number;
  readonly flags: number;
}

function writeHeader(writer: Writer, { address, length }: Prefix, header: Header): void {
  writer
    .u8(address.family === 4 ? AF_INET : AF_INET6)
    .u8(length)
    .u8(0)
    .u8(0)
    // RTA_TABLE has the whole number; 252 (compat) stands for those that do not fit.
    .u8(header.table < 256 ? header.table : 252)
    .u8(header.protocol)
    .u8(header.scope)
    .u8(header.type)
    .u32(header.flags);
}

function writeWhere(writer: Writer, route: Route, link: number | undefined): void {
  const { destination, via } = route;
  if (destination.length > 0) writer.attribute(RTA_DST, addressBytes(destination.address));
  if (link !== undefined) writer.attributeU32(RTA_OIF, link);
  if (via !== undefined && via.family === destination.address.family) {
    writer.attribute(RTA_GATEWAY, addressBytes(via));
  } else if (via !== undefined) {
    // IPv4 through an IPv6 next hop (RFC 5549): `struct rtvia`.
    writer.nested(RTA_VIA, () => writer.u16(via.family === 4 ? AF_INET : AF_INET6).raw(addressBytes(via)));
  }
  writer.attributeU32(RTA_PRIORITY, metricOf(route));
  writer.attributeU32(RTA_TABLE, route.table ?? MAIN_TABLE);
}

/** Adds a route, or puts it in the place of the one with the same destination, metric and table. */
export function newRoute(route: Route, link: number | undefined): Request {
  return request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, (writer) => {
    writeHeader(writer, route.destination, {
      table: route.table ?? MAIN_TABLE,
      protocol: route.protocol ?? BERTH_PROTOCOL,
      scope: scopeOf(route),
      type: types[route.type ?? 'unicast'],
      flags: route.onlink === true ? RTNH_F_ONLINK : 0,
    });
    writeWhere(writer, route, link);
    if (route.source !== undefined) writer.attribute(RTA_PREFSRC, addressBytes(route.source));
  });
}

/** Deletes the route if it is as declared in protocol, link and next hop, so that another's in its place stays. */
export function deleteRoute(route: Route, link: number | undefined): Request {
  return request(RTM_DELROUTE, 0, (writer) => {
    writeHeader(writer, route.destination, {
      table: route.table ?? MAIN_TABLE,
      protocol: route.protocol ?? BERTH_PROTOCOL,
      scope: RT_SCOPE_NOWHERE,
      type: types[route.type ?? 'unicast'],
      flags: 0,
    });
    writeWhere(writer, route, link);
  });
}

/** To be dumped. @param table only of this one, where the kernel can filter (4.20); 0: of all. */
export function getRoutes(family: Family | 0, table = 0): Request {
  return request(RTM_GETROUTE, 0, (writer) => {
    writer.u8(family === 0 ? 0 : family === 4 ? AF_INET : AF_INET6);
    writer.u8(0).u8(0).u8(0).u8(0).u8(0).u8(0).u8(0).u32(0);
    if (table !== 0) writer.attributeU32(RTA_TABLE, table);
  });
}

/** Decodes RTM_NEWROUTE or RTM_DELROUTE; undefined for multicast routing and the cache of exceptions. */
export function readRoute({ body }: { readonly body: Uint8Array }): RouteRecord | undefined {
  if (body[0] !== AF_INET && body[0] !== AF_INET6) return undefined;
  if ((readU32(body, 8) & RTM_F_CLONED) !== 0) return undefined;
  const family: Family = body[0] === AF_INET ? 4 : 6;
  const attributes = readAttributes(body.subarray(12));
  const destination = attributes.get(RTA_DST);
  const source = attributes.get(RTA_PREFSRC);
  let hop = attributes;
  let link = getU32(attributes, RTA_OIF);
  let flags = readU32(body, 8);
  const several = attributes.get(RTA_MULTIPATH);
  if (several !== undefined && several.length >= 8) {
    // `struct rtnexthop`: the first one stands for all; what Berth declares has one.
    link = readU32(several, 4);
    flags |= several[2]!;
    hop = readAttributes(several.subarray(8, readU16(several, 0)));
  }
  const gateway = hop.get(RTA_GATEWAY) ?? hop.get(RTA_VIA)?.subarray(2);
  return {
    table: getU32(attributes, RTA_TABLE) ?? body[4]!,
    destination: {
      address: destination === undefined ? { family, value: 0n } : addressFromBytes(destination),
      length: body[1]!,
    },
    link,
    via: gateway === undefined ? undefined : addressFromBytes(gateway),
    source: source === undefined ? undefined : addressFromBytes(source),
    metric: getU32(attributes, RTA_PRIORITY) ?? 0,
    protocol: body[5]!,
    onlink: (flags & RTNH_F_ONLINK) !== 0,
    scope: body[6] === RT_SCOPE_LINK ? 'link' : body[6] === RT_SCOPE_HOST ? 'host' : 'universe',
    type: typeName(body[7]!),
  };
}

function typeName(type: number): RouteRecord['type'] {
  switch (type) {
    case RTN_UNICAST:
      return 'unicast';
    case RTN_LOCAL:
      return 'local';
    case RTN_BLACKHOLE:
      return 'blackhole';
    case RTN_UNREACHABLE:
      return 'unreachable';
    default:
      return 'other';
  }
}
