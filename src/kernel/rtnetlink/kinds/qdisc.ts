/** Qdiscs: found, made, unmade. */

import { constants } from 'node:os';
import { type KernelObject, objectKey, type Qdisc } from '../../objects.ts';
import { TC_H_INGRESS } from '../constants.ts';
import { Refusal } from '../errors.ts';
import { deleteQdisc, getQdiscs, newQdisc, type QdiscRecord, readQdisc, tbfParameters } from '../qdisc.ts';
import { meansAbsent, type NetlinkSocket } from '../socket.ts';
import { bytesIn, formatHandle, nearlySame, parseHandle } from '../tc.ts';
import { groupBy, type Kind, withoutUndefined } from './kind.ts';

const { EINVAL, EOPNOTSUPP } = constants.errno;

export const qdiscKind: Kind<Qdisc> = {
  find(wanted, { socket, links }, found) {
    const byLink = groupBy(qdiscs(socket), (record) => record.link);
    for (const qdisc of wanted) {
      const index = links.byName(qdisc.link)?.index;
      const record = index === undefined ? undefined : at(qdisc, byLink.get(index) ?? []);
      if (record !== undefined) found.set(objectKey(qdisc), foundQdisc(qdisc, record));
    }
  },

  make(qdisc, { socket, links }) {
    const link = links.indexOf(qdisc.link);
    const [outcome] = socket.request([newQdisc(qdisc, link)]);
    if (outcome!.errno === 0) return;
    const refusal = new Refusal(outcome!.errno, outcome!.message);
    // The kernel changes no HTB, and nothing in place of another type with the same handle.
    if (refusal.errno !== EINVAL && refusal.errno !== EOPNOTSUPP) throw refusal;
    const there = at(qdisc, ofLink(socket, link));
    if (there === undefined || there.parent === TC_H_INGRESS) throw refusal;
    if (there.type === qdisc.discipline.type && sameDiscipline(qdisc.discipline, there)) return;
    socket.do(deleteQdisc({ ...qdisc, handle: formatHandle(there.handle), discipline: asFound(there) }, link));
    socket.do(newQdisc(qdisc, link));
  },

  unmake(qdisc, { socket, links }) {
    const link = links.byName(qdisc.link)?.index;
    if (link === undefined) return;
    const [outcome] = socket.request([deleteQdisc(qdisc, link)]);
    const { errno, message } = outcome!;
    // EINVAL: a qdisc of another type or handle has taken the place.
    if (errno !== 0 && errno !== EINVAL && !meansAbsent(errno)) throw new Refusal(errno, message);
  },
};

function qdiscs(socket: NetlinkSocket): QdiscRecord[] {
  return socket.dump(getQdiscs(), readQdisc);
}

function ofLink(socket: NetlinkSocket, link: number): QdiscRecord[] {
  return qdiscs(socket).filter((record) => record.link === link);
}

/** The qdisc that somebody put in this place; what the kernel puts there by itself has no handle. */
function at(qdisc: Qdisc, records: readonly QdiscRecord[]): QdiscRecord | undefined {
  const parent = parseHandle(qdisc.parent);
  return records.find((record) => record.parent === parent && record.handle !== 0);
}

function sameDiscipline(wanted: Qdisc['discipline'], record: QdiscRecord): boolean {
  if (wanted.type !== record.type) return false;
  if (wanted.type === 'tbf') {
    const parameters = tbfParameters(wanted);
    const { tbf } = record;
    return (
      tbf !== undefined &&
      tbf.rate === parameters.rate &&
      tbf.limit === parameters.limit &&
      nearlySame(tbf.bufferTicks, parameters.bufferTicks)
    );
  }
  if (wanted.type === 'htb') return (wanted.defaultClass ?? 0) === record.htb?.defaultClass;
  return true;
}

function foundQdisc(wanted: Qdisc, record: QdiscRecord): KernelObject {
  const sameHandle = wanted.handle !== undefined && parseHandle(wanted.handle) === record.handle;
  return withoutUndefined({
    ...wanted,
    handle: sameHandle ? wanted.handle : formatHandle(record.handle),
    discipline: sameDiscipline(wanted.discipline, record) ? wanted.discipline : asFound(record),
  }) as unknown as KernelObject;
}

function asFound(record: QdiscRecord): Qdisc['discipline'] {
  if (record.tbf !== undefined) {
    const { rate, bufferTicks, limit } = record.tbf;
    const burst = bytesIn(bufferTicks, rate);
    return { type: 'tbf', rate: rate * 8, burst, latencyMs: Math.round(((limit - burst) * 1000) / rate) };
  }
  if (record.htb !== undefined) return { type: 'htb', defaultClass: record.htb.defaultClass };
  return { type: record.type } as Qdisc['discipline'];
}
