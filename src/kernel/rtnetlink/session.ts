/** A socket in a network namespace, and the links there by name and index, for the length of one call. */

import { statSync } from 'node:fs';
import { openNamespaces } from '../namespace.ts';
import { O_CLOEXEC, O_RDONLY, type Syscalls } from '../syscalls.ts';
import { getLink, getLinks, type LinkRecord, readLink } from './link.ts';
import { checked, type NetlinkSocket, openSocket } from './socket.ts';

export interface Session {
  readonly socket: NetlinkSocket;
  readonly links: LinkTable;
  /** Runs with an open descriptor of a network namespace, for IFLA_NET_NS_FD. @throws Refusal */
  withNamespace<T>(path: string, action: (fd: number) => T): T;
  /** A session in another namespace. Undefined when the namespace is gone. @throws Refusal, BerthError */
  elsewhere(netns: string): Session | undefined;
}

export interface LinkTable {
  byName(name: string): LinkRecord | undefined;
  byIndex(index: number): LinkRecord | undefined;
  /** @throws UnknownLink */
  indexOf(name: string): number;
}

/** A link that something refers to is not there. */
export class UnknownLink extends Error {
  readonly link: string;

  constructor(link: string) {
    super(`there is no interface ${link}`);
    this.name = 'UnknownLink';
    this.link = link;
  }
}

/** A network namespace that something refers to is not there. */
export class UnknownNamespace extends Error {
  constructor(path: string) {
    super(`there is no network namespace ${path}`);
    this.name = 'UnknownNamespace';
  }
}

/** As many single questions (10 µs each) as are certainly cheaper than a dump of a host with many links. */
const QUESTIONS = 32;

/**
 * Finds links one by one while that is cheaper, then reads all of them. Remembers what it has seen, so it is only good
 * for as long as nothing changes: one call.
 */
export function openLinkTable(socket: NetlinkSocket): LinkTable {
  const names = new Map<string, LinkRecord | undefined>();
  const indexes = new Map<number, LinkRecord | undefined>();
  let questions = 0;
  let complete = false;

  function remember(record: LinkRecord | undefined): LinkRecord | undefined {
    if (record !== undefined) {
      names.set(record.name, record);
      indexes.set(record.index, record);
    }
    return record;
  }

  function ask(target: string | number): LinkRecord | undefined {
    if (complete) return undefined;
    questions += 1;
    if (questions <= QUESTIONS) return remember(socket.get(getLink(target), readLink));
    for (const record of socket.dump(getLinks(), readLink)) remember(record);
    complete = true;
    return typeof target === 'string' ? names.get(target) : indexes.get(target);
  }

  const table: LinkTable = {
    byName(name) {
      if (!names.has(name)) names.set(name, ask(name));
      return names.get(name);
    },
    byIndex(index) {
      if (!indexes.has(index)) indexes.set(index, ask(index));
      return indexes.get(index);
    },
    indexOf(name) {
      const record = table.byName(name);
      if (record === undefined) throw new UnknownLink(name);
      return record.index;
    },
  };
  return table;
}

export interface Sessions {
  /** A session in a namespace (absent: our own). Undefined when the namespace is gone. @throws Refusal, BerthError */
  at(netns: string | undefined): Session | undefined;
  close(): void;
}

/**
 * Keeps the socket of our own namespace; those of others for the rest of the turn of the event loop only. A socket keeps
 * its namespace alive: holding on to a container's would keep the container's links, and all they stand on, after the
 * container has gone. Opening one anew takes 30 µs.
 */
export function openSessions(syscalls: Syscalls): Sessions {
  const own = openSocket(syscalls);
  const namespaces = openNamespaces(syscalls);
  const others = new Map<string, { readonly identity: string; readonly socket: NetlinkSocket }>();
  let sweep: NodeJS.Immediate | undefined;

  function release(): void {
    for (const { socket } of others.values()) socket.close();
    others.clear();
    sweep = undefined;
  }

  function socketAt(netns: string): NetlinkSocket | undefined {
    // The path may by now be another namespace, or a plain file that one was mounted on.
    const identity = identityOf(netns);
    const known = others.get(netns);
    if (known !== undefined) {
      if (known.identity === identity) return known.socket;
      known.socket.close();
      others.delete(netns);
    }
    if (identity === undefined) return undefined;
    const socket = namespaces.within(netns, () => openSocket(syscalls));
    others.set(netns, { identity, socket });
    sweep ??= setImmediate(release);
    return socket;
  }

  const self: Sessions = {
    at(netns) {
      const socket = netns === undefined ? own : socketAt(netns);
      if (socket === undefined) return undefined;
      return {
        socket,
        links: openLinkTable(socket),
        withNamespace(path, action) {
          if (identityOf(path) === undefined) throw new UnknownNamespace(path);
          const fd = checked(syscalls.open(path, O_RDONLY | O_CLOEXEC));
          try {
            return action(fd);
          } finally {
            syscalls.close(fd);
          }
        },
        elsewhere: (path) => self.at(path),
      };
    },
    close() {
      if (sweep !== undefined) clearImmediate(sweep);
      release();
      own.close();
      namespaces.close();
    },
  };
  return self;
}

/** Device and inode of a namespace's file; undefined when there is none, or when it is an ordinary file. */
function identityOf(path: string): string | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  const own = statSync('/proc/self/ns/net');
  return found.dev === own.dev ? `${found.ino}` : undefined;
}
