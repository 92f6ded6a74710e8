/**
 * What hangs on a link, kept as the messages in which the kernel describes it, and said again of another link. Only what names
 * the link is changed (its index, its name), and what the kernel does not take back: states, counters, ends of lifetimes. So
 * nothing is lost that this code does not know.
 */

import type { Found } from '../kernel.ts';
import type { Belonging } from '../objects.ts';
import { getAddresses, readAddress } from './address.ts';
import { getString, getU32, readAttributes, readU16, readU32, Writer } from './attributes.ts';
import * as rt from './constants.ts';
import type { Message, Request } from './message.ts';
import { getNeighbours, readNeighbour } from './neighbour.ts';
import { getRoutes, readRoute } from './route.ts';
import { getRules, readRule } from './rule.ts';
import type { Session } from './session.ts';
import { addressText, neighbourText, routeText, ruleText } from './text.ts';

/** Length of the family's structure, before the attributes. */
const structure = { address: 8, route: 12, rule: 12, neighbour: 12 } as const;

/** INFINITY_LIFE_TIME. */
const FOREVER = 0xffffffff;
/** States of a neighbour that was found by asking; the last two ask again, and would have to begin anew. */
const LEARNT = rt.NUD_REACHABLE | rt.NUD_STALE | rt.NUD_DELAY | rt.NUD_PROBE;
const ASKING = rt.NUD_DELAY | rt.NUD_PROBE;
/** Routes' lifetimes are counted in clock ticks (USER_HZ), which are these everywhere. */
const TICKS = 100;

/**
 * In an order in which all of it can be put elsewhere: addresses in the kernel's own order, routes on the link before those
 * through a gateway.
 *
 * @throws UnknownLink, Refusal
 */
export function readBelongings(link: string, { socket, links }: Session): Found[] {
  const index = links.indexOf(link);
  const found = (what: Found['what'], { body }: Message, text: string): Found => ({
    what,
    message: Buffer.from(body).toString('base64'),
    index,
    text,
  });

  const addresses = socket.dump(getAddresses(index), (message) => {
    const record = readAddress(message);
    if (record?.link !== index) return undefined;
    return { family: record.address.address.family, found: found('address', message, addressText(record)) };
  });
  const ofFamily = (wanted: 4 | 6) => addresses.filter(({ family }) => family === wanted).map((entry) => entry.found);

  const routes = socket.dump(getRoutes(0), (message) => {
    const record = readRoute(message);
    if (record === undefined || record.type !== 'unicast') return undefined;
    if (record.link !== index && !hopsOf(message.body).includes(index)) return undefined;
    const route = found('route', message, routeText(record));
    const implied = record.protocol === rt.RTPROT_KERNEL;
    const advertised = record.protocol === rt.RTPROT_RA;
    const known = { ...route, ...(implied && { implied }), ...(advertised && { advertised }) };
    return { direct: record.via === undefined, found: known };
  });
  const rules = ([4, 6] as const).flatMap((family) =>
    socket.dump(getRules(family), (message) => {
      const record = readRule(message);
      const attributes = readAttributes(message.body.subarray(structure.rule));
      const output = getString(attributes, rt.FRA_OIFNAME);
      if (record === undefined || (record.inputLink !== link && output !== link)) return undefined;
      return found('rule', message, ruleText(record, output));
    }),
  );
  const neighbours = [false, true].flatMap((proxy) =>
    socket.dump(getNeighbours(index, proxy), (message) => {
      const record = readNeighbour(message);
      if (record?.link !== index || record.proxy !== proxy) return undefined;
      const neighbour = found('neighbour', message, neighbourText(record));
      if (record.permanent || proxy) return neighbour;
      const learnt = (readU16(message.body, 8) & LEARNT) !== 0 && record.mac !== undefined;
      return learnt ? { ...neighbour, learnt } : undefined;
    }),
  );
  return [
    ...ofFamily(4),
    // The kernel puts a new IPv6 address before those that are there (ipv6_link_dev_addr).
    ...ofFamily(6).reverse(),
    ...routes.filter(({ direct }) => direct).map((entry) => entry.found),
    ...routes.filter(({ direct }) => !direct).map((entry) => entry.found),
    ...rules,
    ...neighbours,
  ];
}

/** The messages that put it onto a link; undefined when its lifetime is over. */
export function putBelonging(belonging: Belonging, to: number): Request | undefined {
  const { what, index, age = 0 } = belonging;
  const body = Buffer.from(belonging.message, 'base64');
  switch (what) {
    case 'address':
      return putAddress(body, belonging, to, age);
    case 'route':
      return putRoute(body, index, to, age);
    case 'rule':
      return { type: rt.RTM_NEWRULE, flags: rt.NLM_F_CREATE | rt.NLM_F_EXCL, body: ruleBody(body, belonging) };
    case 'neighbour':
      return { type: rt.RTM_NEWNEIGH, flags: rt.NLM_F_CREATE | rt.NLM_F_REPLACE, body: neighbourBody(body, to) };
  }
}

/** The message that takes it off a link, where it may stand for another reason than our having put it there. */
export function takeBelonging(belonging: Belonging, to: number): Request {
  const body = Buffer.from(belonging.message, 'base64');
  switch (belonging.what) {
    case 'address': {
      const kept = [rt.IFA_LOCAL, rt.IFA_ADDRESS];
      const taken = rewrite(body, structure.address, (type) => (kept.includes(type) ? undefined : null));
      return { type: rt.RTM_DELADDR, flags: 0, body: withU32(taken, 4, to) };
    }
    case 'route':
      return { type: rt.RTM_DELROUTE, flags: 0, body: routeBody(body, belonging.index, to) };
    case 'rule':
      return { type: rt.RTM_DELRULE, flags: 0, body: ruleBody(body, belonging) };
    case 'neighbour':
      return { type: rt.RTM_DELNEIGH, flags: 0, body: neighbourBody(body, to) };
  }
}

/**
 * IPv6 without duplicate address detection: it is the host's already, and must not stop to be for a second. Flags that tell of a
 * state are the kernel's to set.
 */
function putAddress(body: Uint8Array, { link, of }: Belonging, to: number, age: number): Request | undefined {
  const attributes = readAttributes(body.subarray(structure.address));
  const cache = attributes.get(rt.IFA_CACHEINFO);
  const left = (at: number) => {
    const seconds = cache === undefined || cache.length < 8 ? FOREVER : readU32(cache, at);
    return seconds === FOREVER ? FOREVER : Math.max(0, seconds - Math.round(age));
  };
  const [preferred, valid] = [left(0), left(4)];
  if (valid === 0) return undefined;
  const settable = rt.IFA_F_NOPREFIXROUTE | rt.IFA_F_MANAGETEMPADDR | rt.IFA_F_MCAUTOJOIN;
  const flags = ((getU32(attributes, rt.IFA_FLAGS) ?? 0) & settable) | (body[0] === rt.AF_INET6 ? rt.IFA_F_NODAD : 0);
  const kept = [rt.IFA_LOCAL, rt.IFA_ADDRESS, rt.IFA_BROADCAST, rt.IFA_RT_PRIORITY, rt.IFA_PROTO];
  const put = rewrite(body, structure.address, (type, payload, writer) => {
    if (kept.includes(type)) return undefined;
    if (type === rt.IFA_LABEL) {
      const label = getString(new Map([[type, payload]]), type)!;
      // `eth0:1` of eth0. A label has the length of a name (IFNAMSIZ), so a longer one is dropped.
      const moved = label === of || label.startsWith(`${of}:`) ? link + label.slice(of.length) : label;
      if (moved.length < 16) writer.attributeString(type, moved);
    }
    return null;
  });
  const writer = new Writer().raw(withU32(put, 4, to));
  if (flags !== 0) writer.attributeU32(rt.IFA_FLAGS, flags);
  writer.attribute(rt.IFA_CACHEINFO, new Uint8Array(Uint32Array.of(Math.min(preferred, valid), valid, 0, 0).buffer));
  const header = writer.bytes;
  header[2] = 0;
  return { type: rt.RTM_NEWADDR, flags: rt.NLM_F_CREATE | rt.NLM_F_REPLACE, body: header };
}

function putRoute(body: Uint8Array, from: number, to: number, age: number): Request | undefined {
  const cache = readAttributes(body.subarray(structure.route)).get(rt.RTA_CACHEINFO);
  // `struct rta_cacheinfo`: rta_expires is the third, signed; 0 for a route without an end.
  const ticks = cache === undefined || cache.length < 12 ? 0 : readU32(cache, 8) | 0;
  const writer = new Writer().raw(routeBody(body, from, to));
  if (ticks !== 0) {
    const seconds = Math.ceil(ticks / TICKS - age);
    if (seconds <= 0) return undefined;
    writer.attributeU32(rt.RTA_EXPIRES, seconds);
  }
  return { type: rt.RTM_NEWROUTE, flags: rt.NLM_F_CREATE | rt.NLM_F_REPLACE, body: writer.bytes };
}

const HOP_FLAGS = rt.RTNH_F_ONLINK | rt.RTNH_F_PERVASIVE;

/** Without RTA_NH_ID: the next hop that it stands for is written out beside it, and is bound to the old link. */
function routeBody(body: Uint8Array, from: number, to: number): Uint8Array {
  const dropped = [rt.RTA_CACHEINFO, rt.RTA_EXPIRES, rt.RTA_NH_ID];
  const written = rewrite(body, structure.route, (type, payload, writer) => {
    if (dropped.includes(type)) return null;
    if (type === rt.RTA_OIF) writer.attributeU32(type, to);
    else if (type === rt.RTA_MULTIPATH) writer.attribute(type, moveHops(payload, from, to));
    else return undefined;
    return null;
  });
  return withU32(written, 8, readU32(written, 8) & HOP_FLAGS);
}

/** Indexes of the links of a route with several next hops (`struct rtnexthop`). */
function hopsOf(body: Uint8Array): number[] {
  const several = readAttributes(body.subarray(structure.route)).get(rt.RTA_MULTIPATH);
  return several === undefined ? [] : [...hops(several)].map((at) => readU32(several, at + 4));
}

function* hops(several: Uint8Array): Generator<number> {
  for (let at = 0; at + 8 <= several.length; ) {
    const length = readU16(several, at);
    if (length < 8) return;
    yield at;
    at += (length + 3) & ~3;
  }
}

function moveHops(several: Uint8Array, from: number, to: number): Uint8Array {
  let moved: Uint8Array = Uint8Array.from(several);
  for (const at of hops(several)) {
    moved[at + 2] = moved[at + 2]! & HOP_FLAGS;
    if (readU32(several, at + 4) === from) moved = withU32(moved, at + 4, to);
  }
  return moved;
}

function ruleBody(body: Uint8Array, { link, of }: Belonging): Uint8Array {
  const written = rewrite(body, structure.rule, (type, payload, writer) => {
    if (type !== rt.FRA_IIFNAME && type !== rt.FRA_OIFNAME) return undefined;
    const name = getString(new Map([[type, payload]]), type)!;
    writer.attributeString(type, name === of ? link : name);
    return null;
  });
  return withU32(written, 8, readU32(written, 8) & rt.FIB_RULE_INVERT);
}

function neighbourBody(body: Uint8Array, to: number): Uint8Array {
  const dropped = [rt.NDA_CACHEINFO, rt.NDA_PROBES];
  const written = rewrite(body, structure.neighbour, (type) => (dropped.includes(type) ? null : undefined));
  const state = readU16(written, 8);
  const settled = (state & ASKING) !== 0 ? rt.NUD_STALE : state;
  return new Writer(written.length).raw(written.subarray(0, 4)).u32(to).u16(settled).raw(written.subarray(10)).bytes;
}

/** @param change what becomes of an attribute: undefined leaves it, null drops it or says that `change` has written another. */
function rewrite(
  body: Uint8Array,
  start: number,
  change: (type: number, payload: Uint8Array, writer: Writer) => undefined | null,
): Uint8Array {
  const writer = new Writer().raw(body.subarray(0, start));
  for (let at = start; at + 4 <= body.length; ) {
    const length = readU16(body, at);
    if (length < 4 || at + length > body.length) break;
    const type = readU16(body, at + 2);
    const payload = body.subarray(at + 4, at + length);
    if (change(type & 0x3fff, payload, writer) === undefined) writer.attribute(type, payload);
    at += (length + 3) & ~3;
  }
  return writer.bytes;
}

function withU32(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const writer = new Writer(bytes.length).raw(bytes);
  writer.patchU32(at, value);
  return writer.bytes;
}
