/** Turns the kernel's notifications into events that name declared objects. */

import type { Mac } from '../../model/mac.ts';
import { type KernelObject, type Netns, type ObjectKey, objectKey } from '../objects.ts';
import { readAddress } from './address.ts';
import { readU32 } from './attributes.ts';
import * as rt from './constants.ts';
import { formatFilterParent, readFilter } from './filter.ts';
import { readLink } from './link.ts';
import type { Message } from './message.ts';
import { readFdbEntry, readNeighbour } from './neighbour.ts';
import { readQdisc } from './qdisc.ts';
import { readRoute } from './route.ts';
import { readRule } from './rule.ts';
import { formatHandle } from './tc.ts';
import { readClass } from './traffic-class.ts';

/** A link as an event tells of it. */
export interface LinkState {
  readonly index: number;
  readonly name: string;
  readonly type?: string;
  readonly master: string | null;
  readonly mtu: number;
  readonly up: boolean;
  readonly running: boolean;
  readonly alias: string;
  readonly mac?: Mac;
}

export type RtnetlinkEvent =
  /** Events did not fit in the socket's buffer: everything must be looked at anew. */
  | { readonly lost: true }
  | {
      readonly lost?: false;
      readonly removed: boolean;
      readonly kind: KernelObject['kind'];
      /** The object that was touched, in the words in which it would be declared; its other fields may have changed as well. */
      readonly key: ObjectKey;
      /** Where; absent: in the namespace of whoever listens. */
      readonly netns?: Netns;
      /** The link that it is, or that it is on. */
      readonly link?: string;
      /** For a link that is there: how it is now. */
      readonly state?: LinkState;
    };

export interface Decoder {
  decode(message: Message): RtnetlinkEvent[];
  /** At the end of a burst: forgets the names of links that are gone, which messages about what was on them still needed. */
  settle(): void;
}

/**
 * Turns notifications into events.
 *
 * @param names of the links by index; kept up to date.
 * @param netns where all of it happens; absent: in the namespace of whoever listens.
 */
export function createDecoder(names: Map<number, string>, netns?: Netns): Decoder {
  const gone = new Set<number>();
  const where = netns === undefined ? {} : { netns };

  function touched(object: KernelObject, removed: boolean, link?: string): Extract<RtnetlinkEvent, { kind: string }> {
    const key = objectKey({ ...object, ...where });
    return { removed, kind: object.kind, key, ...where, ...(link === undefined ? {} : { link }) };
  }

  function on(
    index: number,
    removed: boolean,
    identify: (link: string) => KernelObject | readonly KernelObject[],
  ): RtnetlinkEvent[] {
    const link = names.get(index);
    if (link === undefined) return [];
    return [identify(link)].flat().map((object) => touched(object, removed, link));
  }

  function link(message: Message): RtnetlinkEvent[] {
    const index = readU32(message.body, 4);
    if (message.body[0] === rt.AF_BRIDGE) {
      // About the link as a bridge port; RTM_DELLINK here means that it left its bridge.
      return on(index, false, linkNamed);
    }
    if (message.body[0] !== rt.AF_UNSPEC) return [];
    const record = readLink(message);
    const before = names.get(index);
    const events: RtnetlinkEvent[] = [];
    if (message.type === rt.RTM_DELLINK) {
      gone.add(index);
      return [touched(linkNamed(record.name), true, record.name)];
    }
    gone.delete(index);
    names.set(index, record.name);
    if (before !== undefined && before !== record.name) events.push(touched(linkNamed(before), true, before));
    const state: LinkState = {
      index,
      name: record.name,
      ...(record.type === undefined ? {} : { type: record.type }),
      master: record.master === undefined ? null : (names.get(record.master) ?? null),
      mtu: record.mtu,
      up: (record.flags & rt.IFF_UP) !== 0,
      running: (record.flags & rt.IFF_LOWER_UP) !== 0,
      alias: record.alias ?? '',
      ...(record.mac === undefined ? {} : { mac: record.mac }),
    };
    events.push({ ...touched(linkNamed(record.name), false, record.name), state });
    return events;
  }

  function neighbour(message: Message): RtnetlinkEvent[] {
    const removed = message.type === rt.RTM_DELNEIGH;
    const entry = readFdbEntry(message);
    if (entry !== undefined) {
      const { mac, dst, vlan } = entry;
      return on(entry.link, removed, (name) => ({
        kind: 'fdb',
        link: name,
        mac,
        ...(dst === undefined ? {} : { dst }),
        ...(vlan === undefined ? {} : { vlan }),
      }));
    }
    const record = readNeighbour(message);
    if (record === undefined) return [];
    const { address, proxy } = record;
    return on(record.link, removed, (name) => ({ kind: 'neighbour', link: name, address, proxy }));
  }

  return {
    decode(message) {
      switch (message.type) {
        case rt.RTM_NEWLINK:
        case rt.RTM_DELLINK:
          return link(message);
        case rt.RTM_NEWADDR:
        case rt.RTM_DELADDR: {
          const record = readAddress(message);
          if (record === undefined) return [];
          const { address } = record;
          return on(record.link, message.type === rt.RTM_DELADDR, (name) => ({ kind: 'address', link: name, address }));
        }
        case rt.RTM_NEWROUTE:
        case rt.RTM_DELROUTE: {
          const record = readRoute(message);
          if (record === undefined) return [];
          const { table, destination, metric } = record;
          const name = record.link === undefined ? undefined : names.get(record.link);
          return [touched({ kind: 'route', table, destination, metric }, message.type === rt.RTM_DELROUTE, name)];
        }
        case rt.RTM_NEWRULE:
        case rt.RTM_DELRULE: {
          const record = readRule(message);
          if (record === undefined) return [];
          const { family, priority, table, inputLink, mark } = record;
          const selects = {
            ...(inputLink === undefined ? {} : { inputLink }),
            ...(mark === undefined ? {} : { mark }),
          };
          return [touched({ kind: 'rule', family, priority, table, ...selects }, message.type === rt.RTM_DELRULE)];
        }
        case rt.RTM_NEWNEIGH:
        case rt.RTM_DELNEIGH:
          return neighbour(message);
        case rt.RTM_NEWQDISC:
        case rt.RTM_DELQDISC: {
          const record = readQdisc(message);
          return on(record.link, message.type === rt.RTM_DELQDISC, (name) => qdiscAt(name, record.type, record.parent));
        }
        case rt.RTM_NEWTCLASS:
        case rt.RTM_DELTCLASS: {
          const record = readClass(message);
          const classid = formatHandle(record.classid);
          const parent = formatHandle(record.parent);
          return on(record.link, message.type === rt.RTM_DELTCLASS, (name) => ({
            kind: 'class',
            link: name,
            parent,
            classid,
            rate: record.rate * 8,
          }));
        }
        case rt.RTM_NEWTFILTER:
        case rt.RTM_DELTFILTER:
          return filter(message);
        default:
          return [];
      }
    },
    settle() {
      for (const index of gone) names.delete(index);
      gone.clear();
    },
  };

  function filter(message: Message): RtnetlinkEvent[] {
    // The deletion of a whole priority comes without options.
    const record = readFilter(message) ?? {
      link: readU32(message.body, 4),
      parent: readU32(message.body, 12),
      priority: readU32(message.body, 16) >>> 16,
    };
    const parent = formatFilterParent(record.parent);
    // The root qdisc's filters may be declared by its handle, or as at the `root`.
    const parents = parent.endsWith(':') ? [parent, 'root'] : [parent];
    return on(record.link, message.type === rt.RTM_DELTFILTER, (name) =>
      parents.map((place) => ({
        kind: 'filter',
        link: name,
        parent: place,
        priority: record.priority,
        action: { classid: '0:' },
      })),
    );
  }
}

function linkNamed(name: string): KernelObject {
  return { kind: 'link', type: 'adopted', name };
}

function qdiscAt(link: string, type: string, parent: number): KernelObject {
  const place = parent === rt.TC_H_INGRESS ? type : formatHandle(parent);
  return { kind: 'qdisc', link, parent: place, discipline: { type: 'fq_codel' } };
}
