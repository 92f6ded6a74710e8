/**
 * What changes in the packet filter of our own namespace, and whether somebody else changed it. Message numbers and
 * attributes are those of linux/netfilter/nf_tables.h and nfnetlink.h.
 */

import { constants } from 'node:os';
import { BerthError } from '../../model/errors.ts';
import { align4, getString, readAttributes, readU16, readU32 } from '../rtnetlink/attributes.ts';
import {
  AF_NETLINK,
  MSG_DONTWAIT,
  SO_RCVBUFFORCE,
  SOCK_CLOEXEC,
  SOCK_RAW,
  SOL_SOCKET,
} from '../rtnetlink/constants.ts';
import { HEADER_LENGTH } from '../rtnetlink/message.ts';
import type { Syscalls } from '../syscalls.ts';
import { type Table, tableName } from './text.ts';

export interface TableChange extends Table {
  /** Of a chain or a rule. */
  readonly chain?: string;
}

export interface TableEvents {
  /**
   * Runs a write of our own to these tables. The kernel reports it, before the write returns, like anybody's: these reports
   * are dropped, unless somebody else changed one of the tables in between.
   */
  ownWrite(tables: readonly Table[], write: () => void): void;
  close(): void;
}

export interface TableListener {
  /** Somebody changed these tables. A table may be named several times. */
  changed(changes: readonly TableChange[]): void;
  /** The kernel dropped reports: anything may have changed. */
  lost(): void;
}

const NETLINK_NETFILTER = 12;
const NFNLGRP_NFTABLES = 7;
const NFNL_SUBSYS_NFTABLES = 10;
const NFT_MSG_NEWCHAIN = 3;
const NFT_MSG_DELCHAIN = 5;
const NFT_MSG_NEWRULE = 6;
const NFT_MSG_DELRULE = 8;
const NFT_MSG_NEWGEN = 15;
const NFT_MSG_TRACE = 17;
/** NFTA_TABLE_NAME, NFTA_CHAIN_TABLE, NFTA_RULE_TABLE, NFTA_SET_TABLE, …: the table is the first attribute of them all. */
const NFTA_TABLE = 1;
const NFTA_CHAIN_NAME = 3;
const NFTA_RULE_CHAIN = 2;
/** struct nfgenmsg */
const FAMILY_HEADER = 4;

/** NFPROTO_…, linux/netfilter.h */
const families: ReadonlyMap<number, Table['family']> = new Map([
  [1, 'inet'],
  [2, 'ip'],
  [5, 'netdev'],
  [7, 'bridge'],
  [10, 'ip6'],
]);

/** A transaction of ten thousand elements is reported in as many messages, all before anybody can read one. */
const RECEIVE_BUFFER = 8 * 1024 * 1024;

interface Report {
  readonly portid: number;
  readonly change: TableChange;
}

/**
 * @param receiveBuffer bytes that may wait to be read.
 * @throws BerthError KERNEL_LACKS
 */
export function watchTables(syscalls: Syscalls, listener: TableListener, receiveBuffer = RECEIVE_BUFFER): TableEvents {
  const fd = openSocket(syscalls, receiveBuffer);
  const buffer = new Uint8Array(64 * 1024);

  /** Everything that waits; undefined when something was lost. */
  function drain(): Report[] | undefined {
    const reports: Report[] = [];
    let lost = false;
    for (;;) {
      const length = syscalls.recv(fd, buffer, MSG_DONTWAIT);
      if (length === -constants.errno.EINTR) continue;
      if (length === -constants.errno.ENOBUFS) {
        lost = true;
        continue;
      }
      if (length <= 0) return lost ? undefined : reports;
      reports.push(...readReports(buffer.subarray(0, length)));
    }
  }

  function tell(reports: readonly Report[] | undefined): void {
    if (reports === undefined) listener.lost();
    else if (reports.length > 0) listener.changed(reports.map((report) => report.change));
  }

  const stop = syscalls.whenReadable(fd, () => tell(drain()));

  return {
    ownWrite(tables, write) {
      tell(drain());
      try {
        write();
      } finally {
        tell(othersOf(drain(), tables));
      }
    },
    close() {
      stop();
      syscalls.close(fd);
    },
  };
}

/** Without our own: the reports on these tables, if all of them have one origin, the socket that wrote (`nlmsg_pid`). */
function othersOf(reports: readonly Report[] | undefined, tables: readonly Table[]): readonly Report[] | undefined {
  const names = new Set(tables.map(tableName));
  const onTables = new Set(reports?.filter((report) => names.has(tableName(report.change))));
  const origins = new Set([...onTables].map((report) => report.portid));
  return origins.size > 1 ? reports : reports?.filter((report) => !onTables.has(report));
}

function openSocket(syscalls: Syscalls, receiveBuffer: number): number {
  const fd = syscalls.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
  if (fd < 0) throw new BerthError('KERNEL_LACKS', `cannot listen to nftables: errno ${-fd}`);
  syscalls.setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, new Uint8Array(Int32Array.of(receiveBuffer).buffer));
  // struct sockaddr_nl: family, padding, port (the kernel's choice), groups.
  const address = new Uint8Array(12);
  new Uint16Array(address.buffer, 0, 1)[0] = AF_NETLINK;
  new Uint32Array(address.buffer, 8, 1)[0] = 1 << (NFNLGRP_NFTABLES - 1);
  const bound = syscalls.bind(fd, address);
  if (bound < 0) {
    syscalls.close(fd);
    throw new BerthError('KERNEL_LACKS', `cannot listen to nftables: errno ${-bound}`);
  }
  return fd;
}

function readReports(datagram: Uint8Array): Report[] {
  const reports: Report[] = [];
  for (let at = 0; at + HEADER_LENGTH + FAMILY_HEADER <= datagram.length; ) {
    const length = readU32(datagram, at);
    if (length < HEADER_LENGTH + FAMILY_HEADER || at + length > datagram.length) break;
    const change = readChange(readU16(datagram, at + 4), datagram.subarray(at + HEADER_LENGTH, at + length));
    if (change !== undefined) reports.push({ portid: readU32(datagram, at + 12), change });
    at += align4(length);
  }
  return reports;
}

function readChange(type: number, body: Uint8Array): TableChange | undefined {
  const message = type & 0xff;
  if (type >> 8 !== NFNL_SUBSYS_NFTABLES || message === NFT_MSG_NEWGEN || message === NFT_MSG_TRACE) return undefined;
  const family = families.get(body[0]!);
  const attributes = readAttributes(body.subarray(FAMILY_HEADER));
  const name = getString(attributes, NFTA_TABLE);
  if (family === undefined || name === undefined) return undefined;
  const chain = getString(attributes, chainAttribute(message));
  return chain === undefined ? { family, name } : { family, name, chain };
}

/** 0 is no attribute's number. */
function chainAttribute(message: number): number {
  if (message === NFT_MSG_NEWCHAIN || message === NFT_MSG_DELCHAIN) return NFTA_CHAIN_NAME;
  return message === NFT_MSG_NEWRULE || message === NFT_MSG_DELRULE ? NFTA_RULE_CHAIN : 0;
}
