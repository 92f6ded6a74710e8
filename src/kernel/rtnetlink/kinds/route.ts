/** Routes: found, made, unmade. */

import { sameAddress } from '../../../model/address.ts';
import { formatPrefix, samePrefix } from '../../../model/prefix.ts';
import { type KernelObject, objectKey, type Route } from '../../objects.ts';
import { Refusal } from '../errors.ts';
import {
  BERTH_PROTOCOL,
  deleteRoute,
  getRoutes,
  MAIN_TABLE,
  metricOf,
  newRoute,
  type RouteRecord,
  readRoute,
} from '../route.ts';
import type { LinkTable } from '../session.ts';
import { meansAbsent, type NetlinkSocket } from '../socket.ts';
import { groupBy, type Kind, withoutUndefined } from './kind.ts';

export const routeKind: Kind<Route> = {
  find(wanted, { socket, links }, found) {
    const groups = groupBy(wanted, (route) => `${route.destination.address.family} ${route.table ?? MAIN_TABLE}`);
    for (const group of groups.values()) {
      const byIdentity = groupBy(routesLike(socket, group[0]!), (record) =>
        identity(record.destination, record.metric),
      );
      for (const route of group) {
        const records = byIdentity.get(identity(route.destination, metricOf(route))) ?? [];
        // IPv6 may have several of one metric.
        const record = records.find((candidate) => leadsAs(route, candidate, links)) ?? records[0];
        if (record !== undefined) found.set(objectKey(route), foundRoute(route, record, links));
      }
    }
  },

  make(route, { socket, links }) {
    socket.do(newRoute(route, route.link === undefined ? undefined : links.indexOf(route.link)));
  },

  unmake(route, { socket, links }) {
    const link = route.link === undefined ? undefined : links.byName(route.link)?.index;
    // Routes go with their link.
    if (route.link !== undefined && link === undefined) return;
    // To the kernel, metric 0 in a deletion means any (fib_nh_match): somebody else's default route must not go for ours.
    if (metricOf(route) === 0 && !stands(route, socket)) return;
    const [outcome] = socket.request([deleteRoute(route, link)]);
    if (outcome!.errno !== 0 && !meansAbsent(outcome!.errno)) throw new Refusal(outcome!.errno, outcome!.message);
  },
};

function stands(route: Route, socket: NetlinkSocket): boolean {
  return routesLike(socket, route).some(
    (record) =>
      record.metric === metricOf(route) &&
      record.protocol === (route.protocol ?? BERTH_PROTOCOL) &&
      samePrefix(record.destination, route.destination),
  );
}

/** The routes of the same family and table. */
function routesLike(socket: NetlinkSocket, { destination, table = MAIN_TABLE }: Route): RouteRecord[] {
  const { family } = destination.address;
  try {
    return socket.dump(getRoutes(family, table), (message) => {
      const record = readRoute(message);
      return record?.table === table && record.destination.address.family === family ? record : undefined;
    });
  } catch (error) {
    // A table without routes is not there.
    if (error instanceof Refusal && meansAbsent(error.errno)) return [];
    throw error;
  }
}

function identity(destination: Route['destination'], metric: number): string {
  return `${formatPrefix(destination)} ${metric}`;
}

function leadsAs(route: Route, record: RouteRecord, links: LinkTable): boolean {
  const sameLink = route.link === undefined || links.byName(route.link)?.index === record.link;
  const sameHop = route.via === undefined || (record.via !== undefined && sameAddress(route.via, record.via));
  return sameLink && sameHop;
}

function foundRoute(wanted: Route, record: RouteRecord, links: LinkTable): KernelObject {
  return withoutUndefined({
    kind: 'route',
    netns: wanted.netns,
    destination: record.destination,
    table: record.table,
    metric: record.metric,
    protocol: record.protocol,
    // In IPv6 the kernel gives a blackhole the loopback interface.
    link: record.link === undefined || record.type !== 'unicast' ? undefined : links.byIndex(record.link)?.name,
    via: record.via,
    source: record.source,
    onlink: record.onlink,
    scope: record.destination.address.family === 6 ? wanted.scope : record.scope,
    type: record.type,
  }) as unknown as KernelObject;
}
