/**
 * Which declared objects a kernel event makes suspect. Pure.
 *
 * The daemon's own changes cause events like anybody's. Of these, only the last one of each object is looked at, and only
 * for what contradicts the declaration, so that starting a container does not cause an audit.
 */

import { satisfies } from './compare.ts';
import type { TableChange } from './nftables/events.ts';
import type { KernelObject, Link, ObjectKey } from './objects.ts';
import type { Reconciler } from './reconciler.ts';
import type { LinkState, RtnetlinkEvent } from './rtnetlink/events.ts';

type Declared = Pick<Reconciler, 'declared' | 'dependents'>;
type ObjectEvent = Exclude<RtnetlinkEvent, { lost: true }>;

/** Objects that others' events concern. Each event counts: a link that went down and up again has lost its routes. */
export function suspectsOfOthers(events: readonly ObjectEvent[], declared: Declared): Set<ObjectKey> {
  const suspects = new Set<ObjectKey>();
  for (const event of events) {
    for (const key of event.kind === 'link' ? ofLink(event, declared) : ofObject(event, declared)) suspects.add(key);
  }
  return suspects;
}

/** Objects that are not as declared after our own changes: somebody else changed them meanwhile. */
export function suspectsOfOurs(events: readonly ObjectEvent[], declared: Declared): Set<ObjectKey> {
  const last = new Map(events.map((event) => [event.key, event]));
  const suspects = new Set<ObjectKey>();
  for (const event of last.values()) {
    if (event.kind === 'link') {
      for (const key of ofLink(event, declared)) suspects.add(key);
    } else if (event.removed && declared.declared(event.key) !== undefined) {
      suspects.add(event.key);
    }
  }
  return suspects;
}

function* ofLink(event: ObjectEvent, { declared, dependents }: Declared): Iterable<ObjectKey> {
  const wanted = declared(event.key);
  if (event.removed) {
    yield* dependents.onLink(event.link!, event.netns);
  } else if (event.state === undefined) {
    // As a bridge port: only its settings as such are not told otherwise.
    if (wanted?.kind === 'link' && wanted.port !== undefined) yield event.key;
  } else if (!event.state.up) {
    // The kernel drops the routes of a link that goes down, and of IPv4 routes says nothing (fib_disable_ip).
    if (wanted === undefined || !agrees(wanted, event.state)) yield* dependents.onLink(event.link!, event.netns);
  } else if (wanted !== undefined && !agrees(wanted, event.state)) {
    yield event.key;
  }
}

function* ofObject(event: ObjectEvent, { declared, dependents }: Declared): Iterable<ObjectKey> {
  if (declared(event.key) !== undefined) yield event.key;
  const taken = event.removed ? takenAlong.get(event.kind) : undefined;
  if (taken === undefined || event.link === undefined) return;
  for (const key of dependents.onLink(event.link, event.netns)) if (taken.has(declared(key)?.kind)) yield key;
}

/**
 * What the kernel drops from a link without a word when something else goes: the classes and filters of a qdisc, the IPv4
 * routes of the last address (fib_del_ifaddr, fib_disable_ip).
 */
const takenAlong: ReadonlyMap<KernelObject['kind'], ReadonlySet<KernelObject['kind'] | undefined>> = new Map([
  ['qdisc', new Set<KernelObject['kind'] | undefined>(['qdisc', 'class', 'filter'])],
  ['address', new Set<KernelObject['kind'] | undefined>(['route'])],
]);

/** Whether a link's state, as far as events tell of it, is as declared. */
function agrees(wanted: KernelObject, state: LinkState): boolean {
  if (wanted.kind !== 'link') return false;
  const { mtu, mac, up, master, alias } = wanted;
  const common = { kind: 'link', type: 'adopted', name: wanted.name } as const;
  const told = Object.fromEntries(
    Object.entries({ mtu, mac, up, master, alias }).filter(([, value]) => value !== undefined),
  );
  const found = { ...common, ...state, type: 'adopted' } as unknown as Link;
  return satisfies({ ...common, ...told } as Link, found);
}

/** Objects that others' changes of tables concern. */
export function suspectsOfTables(changes: readonly TableChange[], { declared, dependents }: Declared): Set<ObjectKey> {
  const suspects = new Set<ObjectKey>();
  for (const { family, name, chain } of changes) {
    for (const key of dependents.onTable(family, name)) {
      // The engine works in this table all the time, but not in this chain.
      if (declared(key)?.kind !== 'forward-accept' || chain === 'DOCKER-USER') suspects.add(key);
    }
  }
  return suspects;
}
