/** What `berth uplink` asks: NICs that bridges are made from, and what making one would change. */

import type { FabricContext } from '../fabric/fabric.ts';
import { bridgeName } from '../fabric/lan/uplink/bridge-name.ts';
import { allNotes, type UplinkNote } from '../fabric/lan/uplink/note.ts';
import { planUplink } from '../fabric/lan/uplink/plan.ts';
import { networksOn } from '../fabric/lan/uplink/trial.ts';
import { BerthError } from '../model/errors.ts';
import type { UplinkPlanView, UplinkView } from './api.ts';
import type { ApiHandler } from './api-server.ts';
import type { Names } from './names.ts';
import { iso } from './views.ts';

export interface UplinkParts {
  readonly names: Names;
  context(): FabricContext;
  learnNetworks(): Promise<void>;
}

export function uplinkHandlers({ names, context, learnNetworks }: UplinkParts): Readonly<Record<string, ApiHandler>> {
  const plan = (nic: string, query: URLSearchParams): Promise<UplinkPlanView> => {
    const session = query.get('session');
    const bridge = query.get('bridge') ?? bridgeName(nic);
    return planUplink({ nic, bridge, ...(session === null ? {} : { session }) }, context());
  };

  return {
    'GET uplinks': async ({ path, query }) => {
      const [, nic, what] = path;
      if (nic !== undefined && what === 'plan') return plan(nic, query);
      await learnNetworks();
      const now = context();
      const views = (await allNotes(now.notes)).map((note) => uplinkView(note, now, names));
      if (nic === undefined) return views;
      const found = views.find((view) => view.nic === nic || view.bridge === nic);
      if (found === undefined) {
        throw new BerthError('NOT_FOUND', `Berth has made no bridge from '${nic.slice(0, 64)}'`);
      }
      return found;
    },
  };
}

function uplinkView(note: UplinkNote, context: FabricContext, names: Names): UplinkView {
  const texts = (what: string) =>
    note.belongings
      .filter((one) => one.what === what && one.implied === undefined && one.learnt === undefined)
      .map(({ text }) => text);
  return {
    nic: note.parent,
    bridge: note.bridge,
    state: note.state,
    ...(note.state === 'trial' && note.deadline !== undefined ? { deadline: iso(note.deadline) } : {}),
    ...(note.why === undefined ? {} : { why: note.why }),
    mac: note.mac,
    mtu: note.mtu,
    networks: networksOn(note.parent, context).map(([{ id }]) => names.network(id) ?? id),
    addresses: texts('address'),
    routes: texts('route'),
    rules: texts('rule'),
    neighbours: texts('neighbour'),
    seenAt: iso(note.at),
  };
}
