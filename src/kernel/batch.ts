/**
 * The order in which a difference is applied. Pure.
 *
 * Making: sysctls, then the packet filter, then links (a bridge before its ports, a parent before its children), then their limits,
 * then what else stands on links. So a policy is in the kernel before the link that it guards is up (fail closed), and whatever an object
 * refers to is there before it. Removing is the same order backwards.
 */

import type { KernelObject, ObjectKind } from './objects.ts';

/** Rank of what is made by kind; `rank` refines it. */
const ranks: Readonly<Record<ObjectKind, number>> = {
  sysctl: 0,
  'nft-table': 1,
  'nft-element': 2,
  'forward-accept': 3,
  // Before it is given to anybody.
  'virtual-function': 3.5,
  link: 4,
  qdisc: 6.6,
  class: 6.7,
  filter: 6.9,
  address: 7,
  route: 8,
  rule: 10,
  neighbour: 11,
  belonging: 11,
  fdb: 12,
  // Last: what is sent through it must be guarded and shaped by then.
  'ovs-port': 17,
};

const linkSysctl = /^net\/(?:ipv4|ipv6|mpls)\/(?:conf|neigh)\/([^/]+)\//;

function rank(object: KernelObject): number {
  switch (object.kind) {
    case 'sysctl':
      // Before addresses: disable_ipv6 and accept_dad decide whether and how one can be added.
      return carrier(object) === undefined ? ranks.sysctl : 5;
    case 'nft-table':
      // Its chains hook onto devices, which must be there.
      return object.family === 'netdev' ? 6 : ranks[object.kind];
    case 'nft-element':
      return object.family === 'netdev' ? 6.5 : ranks[object.kind];
    case 'route':
      // A gateway must be reachable by a route that is there already.
      return object.via === undefined || object.onlink === true ? 8 : 9;
    case 'qdisc':
      return object.parent.includes(':') ? 6.8 : ranks[object.kind];
    case 'link':
      // In a container such a one is set up, which its limits must not be late for.
      return object.type === 'adopted' && object.netns !== undefined ? 6.95 : ranks[object.kind];
    default:
      return ranks[object.kind];
  }
}

/** The link on which an object stands: when that link goes, the kernel takes the object with it. */
export function carrier(object: KernelObject): string | undefined {
  switch (object.kind) {
    case 'address':
    case 'neighbour':
    case 'belonging':
    case 'virtual-function':
    case 'fdb':
    case 'qdisc':
    case 'class':
    case 'filter':
    case 'route':
      return object.link;
    case 'sysctl': {
      const link = linkSysctl.exec(object.path)?.[1];
      return link === 'all' || link === 'default' ? undefined : link;
    }
    default:
      return undefined;
  }
}

/** Names of the links, in the object's namespace, that must be there before it: what a change of one of them can break. */
export function needs(object: KernelObject): readonly string[] {
  const names: string[] = [];
  const on = carrier(object);
  if (on !== undefined) names.push(on);
  if (object.kind === 'link') {
    if (typeof object.master === 'string') names.push(object.master);
    if ('parent' in object && object.parent !== undefined) names.push(object.parent);
  }
  if (object.kind === 'filter' && 'redirect' in object.action) names.push(object.action.redirect);
  // The bridge as a link is its local port.
  if (object.kind === 'ovs-port') names.push(object.name, object.bridge);
  return names;
}

/** The order in which these objects are made. */
export function makeOrder(objects: Iterable<KernelObject>): KernelObject[] {
  const list = [...objects];
  const ranked = list.map((object, index) => ({ object, index, rank: rank(object) }));
  ranked.sort((a, b) => a.rank - b.rank || a.index - b.index);
  const sorted = ranked.map((entry) => entry.object);
  placeInOrder(sorted, ranks.link, linkName, linkNeeds);
  placeInOrder(sorted, ranks.class, className, classNeeds);
  return sorted;
}

/** The order in which these objects are removed: backwards, so that nothing is taken from under something else. */
export function unmakeOrder(objects: Iterable<KernelObject>): KernelObject[] {
  return makeOrder(objects).reverse();
}

/** Of objects that are to be removed, those that the kernel removes by itself, together with the link that carries them. */
export function goWithTheirLink(objects: Iterable<KernelObject>): Set<KernelObject> {
  const list = [...objects];
  const links = new Set<string>();
  for (const object of list)
    if (object.kind === 'link' && object.type !== 'adopted' && object.type !== 'nic')
      links.add(place(object, object.name));
  return new Set(
    list.filter((object) => {
      const link = carrier(object);
      return link !== undefined && links.has(place(object, link));
    }),
  );
}

/** A name together with the namespace in which it is one. */
export function place(object: KernelObject, name: string): string {
  return `${object.netns ?? ''}\0${name}`;
}

function linkName(object: KernelObject): string {
  return object.kind === 'link' ? place(object, object.name) : '';
}

function linkNeeds(object: KernelObject): string[] {
  return needs(object).map((name) => place(object, name));
}

function className(object: KernelObject): string {
  return object.kind === 'class' ? place(object, `${object.link} ${object.classid}`) : '';
}

function classNeeds(object: KernelObject): string[] {
  return object.kind === 'class' ? [place(object, `${object.link} ${object.parent}`)] : [];
}

/**
 * Reorders the run of one rank within a sorted list so that each object comes after those it needs, otherwise stable. A
 * circle (a link that names itself) is left as it is: the kernel refuses it with a better sentence than we could.
 */
function placeInOrder(
  list: KernelObject[],
  ranked: number,
  name: (object: KernelObject) => string,
  needed: (object: KernelObject) => readonly string[],
): void {
  const start = list.findIndex((object) => rank(object) === ranked);
  if (start < 0) return;
  const run = list.filter((object) => rank(object) === ranked);
  const byName = new Map(run.map((object) => [name(object), object]));
  const done = new Set<KernelObject>();
  const visit = (object: KernelObject): void => {
    if (done.has(object)) return;
    done.add(object);
    for (const other of needed(object)) {
      const before = byName.get(other);
      if (before !== undefined) visit(before);
    }
    ordered.push(object);
  };
  const ordered: KernelObject[] = [];
  for (const object of run) visit(object);
  list.splice(start, run.length, ...ordered);
}
