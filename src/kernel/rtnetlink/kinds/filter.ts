/** Match-all filters: found, made, unmade. */

import { constants } from 'node:os';
import { type Filter, type KernelObject, objectKey } from '../../objects.ts';
import { Refusal } from '../errors.ts';
import { deleteFilter, type FilterRecord, getFilters, newFilter, readFilter } from '../filter.ts';
import type { LinkTable } from '../session.ts';
import { meansAbsent, type NetlinkSocket } from '../socket.ts';
import { formatHandle, parseHandle } from '../tc.ts';
import { groupBy, type Kind } from './kind.ts';

const { EINVAL, EOPNOTSUPP, EPERM } = constants.errno;

export const filterKind: Kind<Filter> = {
  find(wanted, { socket, links }, found) {
    for (const group of groupBy(wanted, (filter) => `${filter.link} ${filter.parent}`).values()) {
      const { link, parent } = group[0]!;
      const index = links.byName(link)?.index;
      if (index === undefined) continue;
      const records = filters(socket, index, parent);
      for (const filter of group) {
        const record = records.find((candidate) => candidate.priority === filter.priority);
        if (record !== undefined) found.set(objectKey(filter), foundFilter(filter, record, links));
      }
    }
  },

  make(filter, { socket, links }) {
    const link = links.indexOf(filter.link);
    const redirect = 'redirect' in filter.action ? links.indexOf(filter.action.redirect) : undefined;
    const there = filters(socket, link, filter.parent).find((record) => record.priority === filter.priority);
    if (there !== undefined) {
      if (sameAction(filter, there, links) && there.protocol === (filter.protocol ?? 'all')) return;
      socket.do(deleteFilter({ ...filter, protocol: there.protocol ?? 'all' }, link));
    }
    socket.do(newFilter(filter, link, redirect));
  },

  unmake(filter, { socket, links }) {
    const link = links.byName(filter.link)?.index;
    if (link === undefined) return;
    const there = filters(socket, link, filter.parent).find((record) => record.priority === filter.priority);
    if (there !== undefined) socket.do(deleteFilter({ ...filter, protocol: there.protocol ?? 'all' }, link));
  },
};

/** The match-all filters in one place; none where there is no qdisc to hang them on. */
function filters(socket: NetlinkSocket, link: number, parent: string): FilterRecord[] {
  try {
    return socket
      .dump(getFilters(link, parent), readFilter)
      .filter((record) => record.link === link && record.matchesAll);
  } catch (error) {
    const none = [EINVAL, EOPNOTSUPP, EPERM];
    if (error instanceof Refusal && (none.includes(error.errno) || meansAbsent(error.errno))) return [];
    throw error;
  }
}

function sameAction({ action }: Filter, record: FilterRecord, links: LinkTable): boolean {
  if ('classid' in action) return record.classid === parseHandle(action.classid);
  return record.redirect !== undefined && links.byName(action.redirect)?.index === record.redirect;
}

function foundFilter(wanted: Filter, record: FilterRecord, links: LinkTable): KernelObject {
  const action = sameAction(wanted, record, links)
    ? wanted.action
    : record.redirect === undefined
      ? { classid: formatHandle(record.classid ?? 0) }
      : { redirect: links.byIndex(record.redirect)?.name ?? `interface ${record.redirect}` };
  return { ...wanted, protocol: record.protocol ?? 'all', action };
}
