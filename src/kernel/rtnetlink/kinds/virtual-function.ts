/** Virtual functions of NICs: found, set, and taken out of their VLAN. */

import { objectKey, type VirtualFunction } from '../../objects.ts';
import type { Session } from '../session.ts';
import { changeVirtualFunction, getVirtualFunctions, readVirtualFunctions } from '../virtual-function.ts';
import { groupBy, type Kind } from './kind.ts';

function functionsOf(link: string, { links, socket }: Session): ReturnType<typeof readVirtualFunctions> {
  const index = links.byName(link)?.index;
  if (index === undefined) return new Map();
  return socket.get(getVirtualFunctions(index), readVirtualFunctions) ?? new Map();
}

export const virtualFunctionKind: Kind<VirtualFunction> = {
  find(wanted, session, found) {
    for (const [link, group] of groupBy(wanted, (each) => each.link)) {
      const there = functionsOf(link, session);
      for (const each of group) {
        const state = there.get(each.number);
        if (state !== undefined) found.set(objectKey(each), { ...each, ...state });
      }
    }
  },

  make({ link, number, mac, vlan }, { socket, links }) {
    socket.do(changeVirtualFunction(links.indexOf(link), number, { mac, vlan }));
  },

  unmake({ link, number, mac, vlan }, session) {
    // With another address it is somebody else's by now.
    const current = functionsOf(link, session).get(number);
    if (vlan === 0 || current?.mac !== mac || current.vlan !== vlan) return;
    session.socket.do(changeVirtualFunction(session.links.indexOf(link), number, { vlan: 0 }));
  },
};
