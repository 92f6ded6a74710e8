/**
 * The kernel thread: does what the main thread asks, one thing at a time, and in between listens to what the kernel says
 * of its own accord.
 */

import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { asBerthError } from '../model/errors.ts';
import { announce } from './announce.ts';
import { createDriftWatch } from './drift-watch.ts';
import type { ObjectDriver } from './driver.ts';
import { createForwardAcceptDriver } from './forward-accept.ts';
import { openNamespaces } from './namespace.ts';
import { createNftDriver } from './nftables/driver.ts';
import { type TableEvents, watchTables } from './nftables/events.ts';
import { openOpenvswitch } from './openvswitch/openvswitch.ts';
import { createPacketListeners } from './packet/listeners.ts';
import type { Answer, Command, Outcome, PortNotice, Report } from './protocol.ts';
import { createReconciler, type Reconciler } from './reconciler.ts';
import { openResolverSockets, openResolverStream } from './resolver/sockets.ts';
import { type ContainerEvents, openContainerEvents } from './rtnetlink/container-events.ts';
import { openRtnetlinkDriver } from './rtnetlink/driver.ts';
import { openRtnetlinkEvents, type RtnetlinkEvent } from './rtnetlink/events.ts';
import { suspectsOfOthers, suspectsOfOurs, suspectsOfTables } from './suspects.ts';
import { openSyscalls } from './syscalls.ts';
import { createSysctlDriver } from './sysctl.ts';
import type { ThreadData, ThreadSettings } from './thread.ts';

/** Milliseconds for which changes of links, addresses and routes are collected before the main thread is told. */
const CHANGE_GATHER = 100;

interface KernelThread {
  handle(command: Exclude<Command, { type: 'close' }>): Answer;
  notice(notice: PortNotice): void;
  /** To be called after each command: takes in what it caused. */
  settle(): void;
  close(): void;
}

function openKernelThread(report: (report: Report) => void, settings: ThreadSettings): KernelThread {
  const syscalls = openSyscalls();
  const namespaces = openNamespaces(syscalls);
  // Listening begins before anything is read, so that no change falls in between.
  const links = openRtnetlinkEvents({ syscalls });
  const containers = listenToContainers();
  let tables: TableEvents | undefined;
  let wrote = false;
  /** A removal is running of which it has not been told yet that it deletes links. */
  let removing = false;

  const rtnetlink = openRtnetlinkDriver({
    syscalls,
    replace: (link) => reconciler.owns(link),
    deleting() {
      if (removing) report({ type: 'deleting' });
      removing = false;
    },
  });
  const nftables = createNftDriver({
    namespaces,
    ownWrite(names, write) {
      if (tables === undefined) write();
      else tables.ownWrite(names, write);
    },
  });
  const openvswitch = openOpenvswitch({
    syscalls,
    database: settings.ovsDatabase,
    declared: {
      declared: (key) => reconciler.declared(key),
      declaredOf: (kind) => reconciler.declaredOf(kind),
      onLink: (name) => reconciler.dependents.onLink(name),
    },
    suspect: (keys) => watch.suspect(keys),
    linkNames: () => new Set(rtnetlink.view().links.map(({ name }) => name)),
  });
  const reconciler: Reconciler = createReconciler([
    bracketed(rtnetlink, beforeWrite),
    nftables,
    bracketed(createSysctlDriver(namespaces), beforeWrite),
    bracketed(createForwardAcceptDriver({ namespaces }), beforeWrite),
    openvswitch,
  ]);
  const watch = createDriftWatch({
    audit: (keys) => {
      const drifts = reconciler.audit(keys === undefined ? { repair: true } : { repair: true, keys });
      settle();
      return drifts;
    },
    report: (drifts) => report({ type: 'drift', drifts }),
  });

  try {
    tables = watchTables(syscalls, {
      changed: (changes) => watch.suspect(suspectsOfTables(changes, reconciler)),
      lost: () => watch.suspectAll(),
    });
  } catch {
    // A kernel without nf_tables: whoever declares a table is told so then.
  }
  links.onReadable(() => takeIn('others'));
  containers?.onReadable(() => takeIn('others'));
  const ports = createPacketListeners(
    { syscalls, namespaces },
    {
      frames: (port, frames) => report({ type: 'frames', port, frames }),
      ended: (port, why) => report({ type: 'port-ended', port, refusal: refused(why).refusal }),
    },
  );

  function listenToContainers(): ContainerEvents | undefined {
    try {
      return openContainerEvents({ syscalls, wanted: (netns) => reconciler.dependents.isIn(netns) });
    } catch {
      // Without CAP_NET_BROADCAST: what changes in containers is found by audits.
      return undefined;
    }
  }

  let changeTimer: NodeJS.Timeout | undefined;
  function changed(): void {
    changeTimer ??= setTimeout(() => {
      changeTimer = undefined;
      report({ type: 'change' });
    }, CHANGE_GATHER);
  }

  function takeIn(whose: 'ours' | 'others'): void {
    const own = links.drain();
    const inside = containers?.drain();
    if (inside !== undefined && inside.arrived.length > 0) report({ type: 'arrived', links: inside.arrived });
    const events = [...own, ...(inside?.events ?? [])];
    if (events.some((event) => event.lost === true)) {
      watch.suspectAll();
      changed();
    }
    const told = events.filter((event) => event.lost !== true);
    if (own.some(isChange)) changed();
    watch.suspect(whose === 'ours' ? suspectsOfOurs(told, reconciler) : suspectsOfOthers(told, reconciler));
  }

  /** What has been said until now was about others. */
  function beforeWrite(): void {
    if (!wrote) takeIn('others');
    wrote = true;
  }

  function settle(): void {
    if (wrote) takeIn('ours');
    wrote = false;
    containers?.follow(reconciler.dependents.newNamespaces());
    if (reconciler.doubtful) watch.suspectAll();
  }

  return {
    handle(command) {
      switch (command.type) {
        case 'apply':
          reconciler.apply(command.owner, command.objects);
          return { type: 'done' };
        case 'remove': {
          removing = true;
          const errors = reconciler.remove(command.removals);
          removing = false;
          return {
            type: 'removed',
            each: errors.map((error) => (error === undefined ? { type: 'done' } : refused(error))),
          };
        }
        case 'declare':
          reconciler.declare(command.owner, command.objects);
          return { type: 'done' };
        case 'audit':
          return { type: 'drifts', drifts: reconciler.audit({ repair: command.repair }) };
        case 'execute':
          reconciler.execute(command.steps);
          return { type: 'done' };
        case 'announce':
          announce(command.announcement, { syscalls, namespaces });
          return { type: 'done' };
        case 'view':
          return { type: 'view', view: rtnetlink.view(command.netns) };
        case 'belongings':
          return { type: 'belongings', found: rtnetlink.belongings(command.link) };
        case 'neighbours':
          return { type: 'neighbours', neighbours: rtnetlink.neighbours(command.link) };
        case 'entries':
          return { type: 'entries', entries: rtnetlink.entries(command.link) };
        case 'open-port':
          return { type: 'port', ...ports.open(command.port, command.request, command.index) };
        case 'before-resolver':
          return {
            type: 'resolver-sockets',
            sockets: openResolverSockets({ syscalls, namespaces }, command.netns),
          };
        case 'resolver-stream':
          return { type: 'descriptor', fd: openResolverStream({ syscalls, namespaces }, command.netns) };
        case 'restore':
          for (const [owner, objects] of command.declared) reconciler.declare(owner, objects);
          watch.suspectAll();
          return { type: 'done' };
      }
    },
    notice(notice) {
      if (notice.type === 'send-frame') ports.send(notice.port, notice.frame);
      else if (notice.type === 'frames-taken') ports.resume(notice.port);
      else if (notice.type === 'flush-port') {
        // After this turn of the event loop, in which what has come in is read.
        setImmediate(() => report({ type: 'port-flushed', port: notice.port }));
      } else ports.close(notice.port);
    },
    settle,
    close() {
      clearTimeout(changeTimer);
      ports.closeAll();
      watch.close();
      tables?.close();
      links.close();
      containers?.close();
      reconciler.close();
      namespaces.close();
    },
  };
}

/** The driver, with a word before each write. */
function bracketed(driver: ObjectDriver, before: () => void): ObjectDriver {
  return {
    kinds: driver.kinds,
    find: (wanted, netns) => driver.find(wanted, netns),
    make(object) {
      before();
      driver.make(object);
    },
    unmake(object) {
      before();
      driver.unmake(object);
    },
    ...(driver.makeAll !== undefined && {
      makeAll(objects) {
        before();
        driver.makeAll!(objects);
      },
    }),
    ...(driver.unmakeAll !== undefined && {
      unmakeAll(objects) {
        before();
        driver.unmakeAll!(objects);
      },
    }),
    close: () => driver.close(),
  };
}

function isChange(event: RtnetlinkEvent): boolean {
  return event.lost !== true && (event.kind === 'link' || event.kind === 'address' || event.kind === 'route');
}

function isNotice(message: Command | PortNotice): message is PortNotice {
  return (
    message.type === 'send-frame' ||
    message.type === 'frames-taken' ||
    message.type === 'flush-port' ||
    message.type === 'close-port'
  );
}

function refused(thrown: unknown): Outcome & { type: 'refused' } {
  const { code, message } = asBerthError(thrown);
  return { type: 'refused', refusal: { code, message } };
}

function run(port: NonNullable<typeof parentPort>): void {
  const report = (report: Report): void => port.postMessage(report);
  const data = workerData as ThreadData;
  let thread: KernelThread;
  try {
    thread = openKernelThread(report, data);
  } catch (thrown) {
    report({ type: 'unusable', refusal: refused(thrown).refusal });
    port.close();
    return;
  }
  // A thread that does not know what it is at must not go on: the main thread starts another one.
  process.once('uncaughtException', () => {
    thread.close();
    setImmediate(() => process.exit(1));
  });
  const { farewell } = data;
  const asked = Atomics.waitAsync(farewell, 0, 0);
  void Promise.resolve(asked.value).then(() => {
    thread.close();
    Atomics.store(farewell, 1, 1);
    Atomics.notify(farewell, 1);
  });
  port.on('message', (command: Command | PortNotice) => {
    if (isNotice(command)) {
      thread.notice(command);
      return;
    }
    if (command.type === 'close') {
      thread.close();
      process.exit(0);
    }
    let answer: Answer;
    try {
      answer = thread.handle(command);
    } catch (thrown) {
      answer = refused(thrown);
    }
    report({ type: 'answer', answer });
    // After the answer: the caller need not wait for it.
    thread.settle();
  });
  report({ type: 'ready' });
}

if (!isMainThread && parentPort !== null) run(parentPort);
