/** Match-all filters: RTM_NEWTFILTER and its relatives (linux/pkt_cls.h, linux/tc_act/tc_mirred.h). */

import type { Filter } from '../objects.ts';
import { getString, getU32, nestedAttributes, readAttributes, readU32, type Writer } from './attributes.ts';
import {
  NLM_F_CREATE,
  NLM_F_EXCL,
  RTM_DELTFILTER,
  RTM_GETTFILTER,
  RTM_NEWTFILTER,
  TC_ACT_STOLEN,
  TC_H_MIN_EGRESS,
  TC_H_MIN_INGRESS,
  TC_U32_TERMINAL,
  TCA_ACT_KIND,
  TCA_ACT_OPTIONS,
  TCA_EGRESS_REDIR,
  TCA_KIND,
  TCA_MIRRED_PARMS,
  TCA_OPTIONS,
  TCA_U32_ACT,
  TCA_U32_CLASSID,
  TCA_U32_SEL,
} from './constants.ts';
import { type Request, request } from './message.ts';
import { formatHandle, parseHandle, readHeader, writeHeader } from './tc.ts';

/** A filter's `root` is 0: the kernel then takes the root qdisc's handle. */
function parseFilterParent(text: string): number {
  switch (text) {
    case 'root':
      return 0;
    case 'ingress':
      return (0xffff0000 | TC_H_MIN_INGRESS) >>> 0;
    case 'egress':
      return (0xffff0000 | TC_H_MIN_EGRESS) >>> 0;
    default:
      return parseHandle(text);
  }
}

/** Where a filter hangs, as `Filter.parent` names it; a root qdisc by its handle. */
export function formatFilterParent(parent: number): string {
  if (parent >>> 16 !== 0xffff) return formatHandle(parent);
  return (parent & 0xffff) === TC_H_MIN_EGRESS ? 'egress' : 'ingress';
}

export interface FilterRecord {
  readonly link: number;
  readonly parent: number;
  readonly priority: number;
  readonly protocol: Filter['protocol'] | undefined;
  readonly matchesAll: boolean;
  /** Index of the link that traffic is redirected to. */
  readonly redirect: number | undefined;
  readonly classid: number | undefined;
}

/** linux/if_ether.h: ETH_P_… */
const protocols = { all: 0x0003, ip: 0x0800, ipv6: 0x86dd } as const;

/** Priority above, protocol in network byte order below. */
function filterInfo(filter: Filter): number {
  const protocol = protocols[filter.protocol ?? 'all'];
  const bytes = Uint8Array.of(protocol >>> 8, protocol & 255);
  return ((filter.priority << 16) | new Uint16Array(bytes.buffer)[0]!) >>> 0;
}

/**
 * Adds a match-all filter: u32 with a mask of zeros, which kernels have had for ever and which are built without matchall
 * too. Where there is one already, another is added: to be asked first.
 */
export function newFilter(filter: Filter, link: number, redirect: number | undefined): Request {
  return request(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, (writer) => {
    writeFilterHeader(writer, filter, link);
    writer.attributeString(TCA_KIND, 'u32');
    writer.nested(TCA_OPTIONS, () => {
      // `struct tc_u32_sel` with one key: mask, value, offset, offset mask.
      const selector = new Uint8Array(32);
      selector[0] = TC_U32_TERMINAL;
      selector[2] = 1;
      writer.attribute(TCA_U32_SEL, selector);
      if ('classid' in filter.action) {
        writer.attributeU32(TCA_U32_CLASSID, parseHandle(filter.action.classid));
      } else if (redirect !== undefined) {
        writer.nested(TCA_U32_ACT, () => writeRedirect(writer, redirect));
      }
    });
  });
}

function writeRedirect(writer: Writer, link: number): void {
  // Actions are numbered from 1, in the order they are taken.
  writer.nested(1, () => {
    writer.attributeString(TCA_ACT_KIND, 'mirred');
    writer.nested(TCA_ACT_OPTIONS, () => {
      // `struct tc_mirred`: index, capab, action, refcnt, bindcnt, eaction, ifindex.
      const mirred = Uint32Array.of(0, 0, TC_ACT_STOLEN, 0, 0, TCA_EGRESS_REDIR, link);
      writer.attribute(TCA_MIRRED_PARMS, new Uint8Array(mirred.buffer));
    });
  });
}

/** Deletes everything of that priority and protocol in that place. */
export function deleteFilter(filter: Filter, link: number): Request {
  return request(RTM_DELTFILTER, 0, (writer) => {
    writeFilterHeader(writer, filter, link);
    writer.attributeString(TCA_KIND, 'u32');
  });
}

function writeFilterHeader(writer: Writer, filter: Filter, link: number): void {
  writeHeader(writer, { link, handle: 0, parent: parseFilterParent(filter.parent), info: filterInfo(filter) });
}

/** To be dumped: the filters in one place. */
export function getFilters(link: number, parent: string): Request {
  return request(RTM_GETTFILTER, 0, (writer) =>
    writeHeader(writer, { link, handle: 0, parent: parseFilterParent(parent), info: 0 }),
  );
}

/** Decodes a filter; undefined for what is about a priority or a hash table as a whole. */
export function readFilter({ body }: { readonly body: Uint8Array }): FilterRecord | undefined {
  const header = readHeader(body);
  const attributes = readAttributes(body.subarray(20));
  const options = nestedAttributes(attributes, TCA_OPTIONS);
  const type = getString(attributes, TCA_KIND) ?? '';
  const selector = options.get(TCA_U32_SEL);
  if (type === 'u32' ? selector === undefined : options.size === 0) return undefined;
  const first = nestedAttributes(nestedAttributes(options, TCA_U32_ACT), 1);
  const mirred =
    getString(first, TCA_ACT_KIND) === 'mirred'
      ? nestedAttributes(first, TCA_ACT_OPTIONS).get(TCA_MIRRED_PARMS)
      : undefined;
  const low = new Uint8Array(Uint16Array.of(header.info & 0xffff).buffer);
  const ether = (low[0]! << 8) | low[1]!;
  return {
    link: header.link,
    parent: header.parent,
    priority: header.info >>> 16,
    protocol: (Object.keys(protocols) as (keyof typeof protocols)[]).find((name) => protocols[name] === ether),
    matchesAll: type === 'u32' && selector !== undefined && selector.length >= 20 && readU32(selector, 16) === 0,
    redirect:
      mirred !== undefined && mirred.length >= 28 && readU32(mirred, 20) === TCA_EGRESS_REDIR
        ? readU32(mirred, 24)
        : undefined,
    classid: getU32(options, TCA_U32_CLASSID),
  };
}
