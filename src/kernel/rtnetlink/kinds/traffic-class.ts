/** HTB classes: found, made, unmade. */

import { type KernelObject, objectKey, type TrafficClass } from '../../objects.ts';
import { TC_H_ROOT } from '../constants.ts';
import type { NetlinkSocket } from '../socket.ts';
import { bytesIn, formatHandle, nearlySame, parseHandle } from '../tc.ts';
import { type ClassRecord, classParameters, deleteClass, getClasses, newClass, readClass } from '../traffic-class.ts';
import { groupBy, type Kind, withoutUndefined } from './kind.ts';

export const classKind: Kind<TrafficClass> = {
  find(wanted, { socket, links }, found) {
    for (const [name, group] of groupBy(wanted, (wantedClass) => wantedClass.link)) {
      const index = links.byName(name)?.index;
      if (index === undefined) continue;
      const records = socket.dump(getClasses(index), readClass);
      for (const wantedClass of group) {
        const record = records.find((candidate) => candidate.classid === parseHandle(wantedClass.classid));
        if (record?.type === 'htb') found.set(objectKey(wantedClass), foundClass(wantedClass, record));
      }
    }
  },

  make(wanted, { socket, links }) {
    const link = links.indexOf(wanted.link);
    const there = classAt(wanted, link, socket);
    // A class that is there stays where it is in the tree, whatever the message says (htb_change_class).
    if (there !== undefined && !sameParent(wanted, there)) socket.do(deleteClass(wanted, link));
    socket.do(newClass(wanted, link));
  },

  unmake(wanted, { socket, links }) {
    const link = links.byName(wanted.link)?.index;
    if (link !== undefined && classAt(wanted, link, socket) !== undefined) socket.do(deleteClass(wanted, link));
  },
};

function classAt(wanted: TrafficClass, link: number, socket: NetlinkSocket): ClassRecord | undefined {
  return socket.dump(getClasses(link), readClass).find((record) => record.classid === parseHandle(wanted.classid));
}

/** A class directly under its qdisc is said to be at the root. */
function sameParent(wanted: TrafficClass, { parent }: ClassRecord): boolean {
  const declared = parseHandle(wanted.parent);
  return declared === parent || (parent === TC_H_ROOT && (declared & 0xffff) === 0);
}

function foundClass(wanted: TrafficClass, record: ClassRecord): KernelObject {
  const parameters = classParameters(wanted);
  const bits = (declared: number | undefined, expected: number, found: number) =>
    found === expected ? declared : found * 8;
  return withoutUndefined({
    ...wanted,
    parent: sameParent(wanted, record) ? wanted.parent : formatHandle(record.parent),
    rate: bits(wanted.rate, parameters.rate, record.rate),
    ceil: bits(wanted.ceil, parameters.ceil, record.ceil),
    burst: nearlySame(record.bufferTicks, parameters.bufferTicks)
      ? wanted.burst
      : bytesIn(record.bufferTicks, record.rate),
  }) as unknown as KernelObject;
}
