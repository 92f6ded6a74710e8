/** Whether Keystone and Neutron answer, as the calls show that are made anyway: nobody asks them for this. */

import type { Exchange } from '../../openstack/api.ts';
import type { ServiceName } from '../../openstack/failure.ts';
import type { Events } from '../events.ts';
import type { OpenstackServiceView } from './status-view.ts';

export interface Reachability {
  /** To be told of every exchange. */
  observe(exchange: Exchange): void;
  view(): readonly OpenstackServiceView[];
  /** A sentence for each that does not serve us. */
  problems(): readonly string[];
}

export interface ReachabilityParts {
  readonly events: Pick<Events, 'emit'>;
  /** It has answered again after it had not. */
  back(service: ServiceName): void;
  now(): number;
}

type State = OpenstackServiceView['state'];

interface Known {
  readonly state: State;
  readonly since: number;
  readonly asked: number;
  readonly problem?: string;
}

/** Keystone refuses who asks for a token; it is a token that Neutron refuses, and another one is got then. */
const REFUSALS = new Set([401, 403, 404]);

export function createReachability({ events, back, now }: ReachabilityParts): Reachability {
  const services = new Map<ServiceName, Known>();

  /** Undefined where the exchange has ended without finding out. */
  function judged({
    service,
    status,
    failure,
    isAway,
    template,
  }: Exchange): Pick<Known, 'state' | 'problem'> | undefined {
    if (isAway) return { state: 'away', problem: failure ?? `it answers ${status}` };
    if (status === undefined) return undefined;
    if (service === 'Keystone' && REFUSALS.has(status))
      return { state: 'refuses', problem: `${template} answers ${status}` };
    return { state: 'answers' };
  }

  return {
    observe(exchange) {
      const { service } = exchange;
      const found = judged(exchange);
      if (found === undefined) return;
      const before = services.get(service);
      const asked = now();
      const isSame = before?.state === found.state;
      services.set(service, { ...found, since: isSame ? before.since : asked, asked });
      if (isSame) return;
      if (found.state !== 'answers')
        events.emit('neutron.unreachable', `${service} ${sentence[found.state]}: ${found.problem}`);
      else if (before !== undefined) {
        events.emit('neutron.reachable', `${service} answers again`);
        back(service);
      }
    },

    view: () =>
      (['Keystone', 'Neutron'] as const).flatMap((name) => {
        const known = services.get(name);
        if (known === undefined) return [];
        const { state, since, asked, problem } = known;
        return {
          name,
          state,
          since: new Date(since).toISOString(),
          asked: new Date(asked).toISOString(),
          ...(problem === undefined ? {} : { problem }),
        };
      }),

    problems: () =>
      [...services].flatMap(([service, { state, since, problem }]) =>
        state === 'answers'
          ? []
          : `${service} ${sentence[state]} since ${new Date(since).toISOString().slice(0, 19)}Z: ${problem}`,
      ),
  };
}

const sentence: Readonly<Record<State, string>> = {
  answers: 'answers',
  away: 'does not answer',
  refuses: 'refuses who we are',
};
