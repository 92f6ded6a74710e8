/** The calls of the agent's API for `berth ping` and `berth test`. */

import { BerthError } from '../../model/errors.ts';
import type { PartyView } from '../api.ts';
import type { ApiHandler } from '../api-server.ts';
import type { Parties } from './parties.ts';
import type { Ping } from './ping.ts';

export interface ReachHandlerParts {
  readonly parties: Parties;
  readonly ping: Ping;
  /** Names of containers that have just begun may not be known yet. */
  learnContainers(): Promise<void>;
}

export function reachHandlers({
  parties,
  ping,
  learnContainers,
}: ReachHandlerParts): Readonly<Record<string, ApiHandler>> {
  const text = (body: Readonly<Record<string, unknown>>, field: string): string => {
    const value = body[field];
    if (typeof value === 'string' && value !== '') return value;
    throw new BerthError('BAD_REQUEST', `${field} is a text`);
  };

  return {
    'POST ping': async ({ body }) => {
      await learnContainers();
      const [from, to] = await parties.pair(text(body, 'from'), text(body, 'to'));
      return ping.ping(from, to);
    },

    'GET reach': async ({ path }) => {
      if (path[1] === undefined) throw new BerthError('UNKNOWN_METHOD', 'name a network');
      await learnContainers();
      return parties.on(path.slice(1).join('/'));
    },

    'POST reach': async ({ body }) => {
      const { members } = await parties.on(text(body, 'network'));
      const find = (id: unknown): PartyView => {
        const found = members.find(({ endpoint }) => endpoint === id);
        if (found !== undefined) return found;
        throw new BerthError(
          'ENDPOINT_UNKNOWN',
          `there is no endpoint ${String(id).slice(0, 64)} on that network any more`,
        );
      };
      if (!Array.isArray(body.targets)) throw new BerthError('BAD_REQUEST', 'targets is a list of endpoints');
      const known = new Set(members.map(({ endpoint }) => endpoint));
      return ping.reachFrom(find(body.from), body.targets.filter((id: string) => known.has(id)).map(find));
    },
  };
}
