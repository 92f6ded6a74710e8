/** rtnetlink as an object driver: links, addresses, routes, rules, neighbours, forwarding entries, traffic control. */

import { randomInt } from 'node:crypto';
import { BerthError } from '../../model/errors.ts';
import type { ObjectDriver } from '../driver.ts';
import type { Found, HostNeighbour, HostView } from '../kernel.ts';
import type {
  Belonging,
  FdbEntry,
  Filter,
  KernelObject,
  Link,
  LinkAddress,
  MadeLink,
  Neighbour,
  Netns,
  ObjectKey,
  Qdisc,
  Route,
  Rule,
  TrafficClass,
  VirtualFunction,
} from '../objects.ts';
import { openSyscalls, type Syscalls } from '../syscalls.ts';
import { readBelongings } from './belongings.ts';
import { deviceOf } from './device.ts';
import { describeObject, Refusal, refusalAsError } from './errors.ts';
import { addressKind } from './kinds/address.ts';
import { belongingKind } from './kinds/belonging.ts';
import { fdbKind, fdbRequest } from './kinds/fdb.ts';
import { filterKind } from './kinds/filter.ts';
import { groupBy, type Kind } from './kinds/kind.ts';
import { isCommon, linkKind } from './kinds/link.ts';
import { neighbourKind, neighbourRequest } from './kinds/neighbour.ts';
import { pluggedOf } from './kinds/plugged.ts';
import { qdiscKind } from './kinds/qdisc.ts';
import { routeKind } from './kinds/route.ts';
import { ruleKind } from './kinds/rule.ts';
import { classKind } from './kinds/traffic-class.ts';
import { virtualFunctionKind } from './kinds/virtual-function.ts';
import { changeLink, deleteLinkGroup } from './link.ts';
import { openSessions, type Session, UnknownLink, UnknownNamespace } from './session.ts';
import { readEntries, readNeighbours, readView } from './view.ts';

/** What rtnetlink speaks of. */
export type RtnetlinkObject =
  | Link
  | LinkAddress
  | Route
  | Rule
  | Neighbour
  | Belonging
  | VirtualFunction
  | FdbEntry
  | Qdisc
  | TrafficClass
  | Filter;

type RtnetlinkKind = RtnetlinkObject['kind'];
type Kinds = { readonly [K in RtnetlinkKind]: Kind<Extract<RtnetlinkObject, { kind: K }>> };

const kinds = [
  'link',
  'address',
  'route',
  'rule',
  'neighbour',
  'belonging',
  'virtual-function',
  'fdb',
  'qdisc',
  'class',
  'filter',
] as const;

export interface RtnetlinkOptions {
  /** Absent: koffi's. */
  readonly syscalls?: Syscalls;
  /**
   * Whether the link that stands under this name, with another type or an attribute that cannot be changed, is ours and may
   * be replaced. Absent: none is.
   */
  readonly replace?: (link: MadeLink) => boolean;
  /** Called right before links that are not wanted any more are deleted. */
  readonly deleting?: () => void;
}

export interface RtnetlinkDriver extends ObjectDriver {
  /**
   * Many at once, in the order given; neighbours and forwarding entries that follow each other go in one send.
   *
   * @throws BerthError about the first that fails: those before it are made, those after it are not.
   */
  makeAll(objects: readonly KernelObject[]): void;
  unmakeAll(objects: readonly KernelObject[]): void;
  /**
   * What there is, in a namespace (absent: our own).
   *
   * @throws BerthError KERNEL_REFUSED when there is no such namespace.
   */
  view(netns?: Netns): HostView;
  /** What hangs on a link of our own namespace. @throws BerthError INTERFACE_UNKNOWN */
  belongings(link: string): readonly Found[];
  /** Those of a link of our own namespace, as in `Kernel`. @throws BerthError */
  neighbours(link: string): readonly HostNeighbour[];
  entries(link: string): readonly (FdbEntry | Neighbour)[];
}

/**
 * Opens the driver. Everything it does blocks the thread: deleting one veth takes 15 ms in the kernel.
 *
 * @throws BerthError when there is no netlink.
 */
export function openRtnetlinkDriver(options: RtnetlinkOptions = {}): RtnetlinkDriver {
  const sessions = explained(
    () => openSessions(options.syscalls ?? openSyscalls()),
    'open',
    () => 'a netlink socket',
  );
  const deleting = options.deleting ?? (() => undefined);
  const byKind: Kinds = {
    link: linkKind(options.replace ?? (() => false), deleting),
    address: addressKind,
    route: routeKind,
    rule: ruleKind,
    neighbour: neighbourKind,
    belonging: belongingKind,
    'virtual-function': virtualFunctionKind,
    fdb: fdbKind,
    qdisc: qdiscKind,
    class: classKind,
    filter: filterKind,
  };
  // The table gives each kind its own type of object; the compiler cannot follow that through a lookup.
  const kindOf = (object: KernelObject) => byKind[object.kind as RtnetlinkKind] as unknown as Kind<KernelObject>;

  function sessionFor(object: KernelObject): Session {
    const session = sessions.at(object.netns);
    if (session === undefined) throw new UnknownNamespace(object.netns!);
    return session;
  }

  function make(object: KernelObject): void {
    explained(
      () => kindOf(object).make(object, sessionFor(object)),
      'make',
      () => describeObject(object),
    );
  }

  function unmake(object: KernelObject): void {
    explained(
      () => {
        const session = sessions.at(object.netns);
        // With a namespace goes everything in it.
        if (session !== undefined) kindOf(object).unmake(object, session);
      },
      'remove',
      () => describeObject(object),
    );
  }

  return {
    kinds,

    find(wanted, netns) {
      const found = new Map<ObjectKey, KernelObject>();
      const session = explained(
        () => sessions.at(netns),
        'read',
        () => `the network namespace ${netns}`,
      );
      if (session === undefined) return found;
      for (const [kind, group] of groupBy(wanted, (object) => object.kind)) {
        explained(
          () => kindOf(group[0]!).find(group, session, found),
          'read',
          () => (group.length === 1 ? describeObject(group[0]!) : `the objects of the kind ${kind}`),
        );
      }
      return found;
    },

    make,
    unmake,

    makeAll(objects) {
      for (const run of runs(objects)) {
        if (run.length === 1) make(run[0]!);
        else makeTogether(run, sessionFor, unmake);
      }
    },

    unmakeAll(objects) {
      const links = objects.filter((object): object is Link => object.kind === 'link' && object.type !== 'adopted');
      for (const [netns, group] of groupBy(links, (link) => link.netns)) unmakeLinks(group, netns);
      // What hangs on a link has gone with it by now, and is quickly found not to be there.
      for (const object of objects) if (object.kind !== 'link') unmake(object);
    },

    view(netns) {
      return explained(
        () => {
          const session = sessions.at(netns);
          if (session === undefined) throw new UnknownNamespace(netns!);
          return readView(session.socket, netns === undefined ? deviceOf : undefined);
        },
        'read',
        () => (netns === undefined ? 'the links, addresses and routes' : `the network namespace ${netns}`),
      );
    },

    belongings: (link) =>
      explained(
        () => readBelongings(link, sessions.at(undefined)!),
        'read',
        () => `what ${link} has`,
      ),

    neighbours: (link) =>
      explained(
        () => readNeighbours(sessions.at(undefined)!.socket, link),
        'read',
        () => `the neighbours on ${link}`,
      ),

    entries: (link) =>
      explained(
        () => readEntries(sessions.at(undefined)!.socket, link),
        'read',
        () => `the forwarding entries of ${link}`,
      ),

    close: () => sessions.close(),
  };

  function unmakeLinks(group: readonly Link[], netns: Netns | undefined): void {
    if (group.length > 1) {
      const session = explained(
        () => sessions.at(netns),
        'read',
        () => `the network namespace ${netns}`,
      );
      if (session === undefined) return;
      const records = group.flatMap((link) => {
        // One that may be in a container is looked for there, too; one that others use, for what they have on it.
        if (isApart(link)) return [];
        const record = session.links.byName(link.name);
        return record?.type === link.type ? [record] : [];
      });
      // Nobody else uses this group, so nothing else is deleted with it.
      const number = randomInt(2 ** 30, 2 ** 31);
      session.socket.request(records.flatMap((record) => changeLink(record.index, { group: number })));
      deleting();
      const [outcome] = session.socket.request([deleteLinkGroup(number)]);
      if (outcome!.errno === 0) group = group.filter(isApart);
    }
    // Of what is left, bridges come after what is plugged into them.
    for (const link of group.toSorted((a, b) => Number(isCommon(a)) - Number(isCommon(b)))) unmake(link);
  }
}

/** Neighbours and forwarding entries that follow each other in one namespace go into one send: 2.5 µs rather than 8 each. */
function* runs(objects: readonly KernelObject[]): Generator<KernelObject[]> {
  let run: KernelObject[] = [];
  for (const object of objects) {
    const previous = run.at(-1);
    const joins = previous !== undefined && isEntry(previous) && isEntry(object) && previous.netns === object.netns;
    if (!joins && run.length > 0) {
      yield run;
      run = [];
    }
    run.push(object);
  }
  if (run.length > 0) yield run;
}

function isEntry(object: KernelObject): object is Neighbour | FdbEntry {
  return object.kind === 'fdb' || object.kind === 'neighbour';
}

/** Links that are not deleted with others in one go. */
const isApart = (link: Link): boolean => pluggedOf(link) !== undefined || isCommon(link);

function makeTogether(
  run: readonly KernelObject[],
  sessionFor: (object: KernelObject) => Session,
  unmake: (object: KernelObject) => void,
): void {
  const first = run[0]!;
  const session = explained(
    () => sessionFor(first),
    'make',
    () => describeObject(first),
  );
  const requests = run.filter(isEntry).map((object) =>
    explained(
      () => (object.kind === 'fdb' ? fdbRequest(object, session.links) : neighbourRequest(object, session.links)),
      'make',
      () => describeObject(object),
    ),
  );
  const outcomes = explained(
    () => session.socket.request(requests),
    'make',
    () => `${run.length} forwarding entries`,
  );
  const failed = outcomes.findIndex((outcome) => outcome.errno !== 0);
  if (failed < 0) return;
  // The kernel has gone on after the one that failed; whoever called will think that it stopped there.
  for (const [position, object] of run.entries()) {
    if (position > failed && outcomes[position]!.errno === 0) unmake(object);
  }
  const { errno, message } = outcomes[failed]!;
  throw refusalAsError(new Refusal(errno, message), 'make', describeObject(run[failed]!));
}

/** Runs `action`; what the kernel refuses becomes a sentence about `what`. */
function explained<T>(action: () => T, doing: string, what: () => string): T {
  try {
    return action();
  } catch (error) {
    if (error instanceof Refusal) throw refusalAsError(error, doing, what());
    if (error instanceof UnknownLink) {
      throw new BerthError('INTERFACE_UNKNOWN', `cannot ${doing} ${what()}: ${error.message}`, { cause: error });
    }
    if (error instanceof UnknownNamespace) {
      throw new BerthError('KERNEL_REFUSED', `cannot ${doing} ${what()}: ${error.message}`, { cause: error });
    }
    throw error;
  }
}
