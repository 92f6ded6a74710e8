/** The kernel's refusals, as sentences that name the object. */

import { constants } from 'node:os';
import { formatAddress } from '../../model/address.ts';
import { BerthError, type ErrorCode } from '../../model/errors.ts';
import { formatPrefix } from '../../model/prefix.ts';
import type { KernelObject } from '../objects.ts';

/** A request that the kernel answered with an error, as the codec reports it: without knowing what it was for. */
export class Refusal extends Error {
  readonly errno: number;
  /** The extended acknowledgement's sentence, when there is one. */
  readonly reason: string | undefined;

  constructor(errno: number, reason?: string) {
    super(reason ?? errnoName(errno));
    this.name = 'Refusal';
    this.errno = errno;
    this.reason = reason;
  }
}

const names = new Map(Object.entries(constants.errno).map(([name, value]) => [value, name]));
// One number, two names: these are the ones that kernel documentation uses.
names.set(constants.errno.EOPNOTSUPP, 'EOPNOTSUPP');
names.set(constants.errno.EAGAIN, 'EAGAIN');
// Node does not know this one (asm-generic/errno.h).
names.set(54, 'EXFULL');

export function errnoName(errno: number): string {
  return names.get(errno) ?? `errno ${errno}`;
}

/** Without an extended acknowledgement, what rtnetlink usually means by the number. */
const meanings: Readonly<Record<string, string>> = {
  EPERM: 'not permitted',
  ENOENT: 'no such thing',
  ESRCH: 'no such thing',
  ENXIO: 'no such device or address',
  EAGAIN: 'no answer in time',
  ENOMEM: 'out of memory',
  EACCES: 'permission denied',
  EBUSY: 'busy',
  EEXIST: 'exists already',
  ENODEV: 'no such device',
  EINVAL: 'invalid argument',
  ERANGE: 'out of range',
  ELOOP: 'it would be a loop',
  EOPNOTSUPP: 'not supported',
  EAFNOSUPPORT: 'address family not supported',
  EPROTONOSUPPORT: 'protocol not supported',
  EADDRINUSE: 'address in use',
  EADDRNOTAVAIL: 'address not available',
  ENETDOWN: 'network is down',
  ENETUNREACH: 'network is unreachable',
  EHOSTUNREACH: 'no route to the next hop',
  ENOBUFS: 'out of buffers',
  // BR_MAX_PORTS (net/bridge/br_private.h).
  EXFULL: 'a bridge has at most 1023 ports',
};

/** Sentences with which the kernel says that a part of it is missing although the number is a general one. */
const lacking = [
  'Unknown device type', // rtnl_newlink
  'Specified qdisc kind is unknown', // sch_api.c
  'TC classifier not found', // cls_api.c
  'Failed to load TC action module', // act_api.c
  'IPv6 is disabled', // addrconf.c
];

/**
 * What the user reads, such as `cannot make the veth bv1234: the kernel says 'Invalid master device' (EINVAL)`.
 *
 * @param doing `make`, `change`, `remove`, `read`.
 */
export function refusalAsError(refusal: Refusal, doing: string, what: string): BerthError {
  const name = errnoName(refusal.errno);
  const reason = refusal.reason ?? meanings[name];
  const says = reason === undefined ? `the kernel says ${name}` : `the kernel says '${reason}' (${name})`;
  return new BerthError(codeFor(refusal), `cannot ${doing} ${what}: ${says}`, { cause: refusal });
}

function codeFor(refusal: Refusal): ErrorCode {
  if (refusal.reason !== undefined && lacking.some((sentence) => refusal.reason!.startsWith(sentence))) {
    return 'KERNEL_LACKS';
  }
  switch (refusal.errno) {
    case constants.errno.ENODEV:
      return 'INTERFACE_UNKNOWN';
    case constants.errno.EOPNOTSUPP:
    case constants.errno.EAFNOSUPPORT:
    case constants.errno.EPROTONOSUPPORT:
      return 'KERNEL_LACKS';
    case constants.errno.EAGAIN:
    case constants.errno.EINTR:
    case constants.errno.ENOBUFS:
    case constants.errno.ENOMEM:
      return 'KERNEL_BUSY';
    default:
      return 'KERNEL_REFUSED';
  }
}

/** An object by name, as it stands in a sentence: `the veth bv1234`, `the address 10.1.0.1/24 on br0`. */
export function describeObject(object: KernelObject): string {
  const where = object.netns === undefined ? '' : ` in the network namespace ${object.netns}`;
  return `the ${describe(object)}${where}`;
}

function describe(object: KernelObject): string {
  switch (object.kind) {
    case 'link':
      return `${object.type === 'adopted' || object.type === 'nic' ? 'interface' : object.type} ${object.name}`;
    case 'address':
      return `address ${formatPrefix(object.address)} on ${object.link}`;
    case 'route': {
      const via = object.via === undefined ? '' : ` via ${formatAddress(object.via)}`;
      const link = object.link === undefined ? '' : ` on ${object.link}`;
      return `route to ${formatPrefix(object.destination)}${via}${link}`;
    }
    case 'rule':
      return `IPv${object.family} routing rule ${object.priority}`;
    case 'neighbour':
      return `${object.proxy === true ? 'proxy ' : ''}neighbour ${formatAddress(object.address)} on ${object.link}`;
    case 'belonging':
      return `${object.what} of ${object.of} on ${object.link}`;
    case 'virtual-function':
      return `virtual function ${object.number} of ${object.link}`;
    case 'fdb': {
      const dst = object.dst === undefined ? '' : ` to ${formatAddress(object.dst)}`;
      return `forwarding entry ${object.mac}${dst} on ${object.link}`;
    }
    case 'qdisc':
      return `${object.discipline.type} qdisc on ${object.link} (${object.parent})`;
    case 'class':
      return `traffic class ${object.classid} on ${object.link}`;
    case 'filter':
      return `filter ${object.priority} on ${object.link} (${object.parent})`;
    case 'sysctl':
      return `setting ${object.path}`;
    case 'nft-table':
      return `nftables table ${object.family} ${object.name}`;
    case 'nft-element':
      return `element ${object.element} of the nftables set ${object.table} ${object.set}`;
    case 'forward-accept':
      return `forwarding rule ${object.input ?? '*'} to ${object.output ?? '*'}`;
    case 'ovs-port':
      return `port ${object.name} of the Open vSwitch bridge ${object.bridge}`;
  }
}
