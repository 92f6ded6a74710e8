/** What each call of the agent's API does. */

import { fabricOf } from '../fabric/fabrics.ts';
import { formatAddress, parseAddress } from '../model/address.ts';
import { BerthError, type ErrorCode } from '../model/errors.ts';
import { nearest } from '../model/nearest.ts';
import type { Endpoint } from '../model/network.ts';
import { networkOfPool, type Pool } from '../model/pool.ts';
import { samePrefix } from '../model/prefix.ts';
import type { EndpointView, StatusView } from './api.ts';
import type { ApiHandler } from './api-server.ts';
import { readAttachRequest } from './attach-request.ts';
import type { AttachedEndpoint, Attachments } from './attachments.ts';
import type { Auditor } from './auditor.ts';
import { type HostHandlerParts, hostHandlers } from './cluster/host-handlers.ts';
import type { Collector } from './collector.ts';
import type { Conflicts } from './conflicts/conflicts.ts';
import type { Dhcp } from './dhcp/manager.ts';
import type { Leases } from './leases.ts';
import type { Lifecycle } from './lifecycle.ts';
import type { Names } from './names.ts';
import type { NeutronService } from './neutron/service.ts';
import { reachHandlers } from './reach/handlers.ts';
import type { Reaching } from './reach/reaching.ts';
import type { Registration } from './registration.ts';
import { reservationHandlers } from './reservation-handlers.ts';
import type { State } from './state.ts';
import { uplinkHandlers } from './uplink-handlers.ts';
import {
  attachmentView,
  dhcpLeaseView,
  driftView,
  endpointView,
  leaseView,
  namedView,
  networkView,
  poolView,
  reservedView,
} from './views.ts';
import { within } from './within.ts';

/** Milliseconds that a command waits for an engine that is slow to tell names. */
const MOST_PATIENCE = 1000;

export interface HandlerParts {
  readonly state: State;
  readonly lifecycle: Lifecycle;
  readonly attachments: Attachments;
  readonly leases: Leases;
  readonly names: Names;
  readonly dhcp: Pick<Dhcp, 'leases'>;
  readonly conflicts: Pick<Conflicts, 'of'>;
  readonly registration: Pick<Registration, 'states' | 'statesOf'>;
  readonly auditor: Auditor;
  readonly collector: Collector;
  readonly hosts: HostHandlerParts;
  readonly reaching: Pick<Reaching, 'parties' | 'ping'>;
  /** Absent: no plugin is for it. */
  readonly neutron?: Pick<NeutronService, 'collect' | 'pools' | 'leases'> | undefined;
  status(): StatusView;
}

function detailsOf(endpoint: Endpoint, { networks }: Pick<State, 'networks'>): EndpointView['details'] {
  const network = networks.get(endpoint.network);
  return network === undefined ? undefined : fabricOf(network.fabric).details?.(endpoint);
}

export function apiHandlers(parts: HandlerParts): Readonly<Record<string, ApiHandler>> {
  const { state, lifecycle, attachments, leases, dhcp, names, conflicts, auditor, collector } = parts;

  const viewNetwork = (network: Parameters<typeof networkView>[0]) =>
    networkView(network, state.endpointsOf(network.id).length, lifecycle.objectsOf(network), names);
  const viewEndpoint = (endpoint: Parameters<typeof endpointView>[0]) =>
    endpointView(endpoint, lifecycle.objectsOfEndpoint(endpoint), names, {
      conflicts: conflicts.of(endpoint.id),
      called: parts.registration.statesOf(endpoint.id),
      details: detailsOf(endpoint, state),
    });
  const viewPool = (pool: Parameters<typeof poolView>[0]) =>
    poolView(pool, leases.of(pool.id).length, [...state.networks.values()]);

  const viewAttachment = (endpoint: AttachedEndpoint) =>
    attachmentView(
      endpoint,
      state.networks.get(endpoint.network),
      lifecycle.objectsOfEndpoint(endpoint),
      attachments.problem(endpoint.id),
      names,
    );

  const findNetwork = (wanted: string) =>
    pick([...state.networks.values()], wanted, ({ id }) => [id, names.network(id)], 'NETWORK_UNKNOWN', 'network');

  const pickPool = <Item extends { readonly id: string }>(all: readonly Item[], wanted: string): Item =>
    pick(all, wanted, ({ id }) => [id], 'POOL_UNKNOWN', 'pool');
  const findPool = (wanted: string) => pickPool(leases.pools(), wanted);
  const viewPools = () => [...leases.pools().map(viewPool), ...(parts.neutron?.pools() ?? [])];

  /** Reserved addresses that nobody has: one for each subnet, whatever pools there are on it. */
  const reservedIn = (pools: readonly Pool[]) =>
    leases.reservations.all().flatMap((reservation) => {
      const { subnet, address, network } = reservation;
      const pool = pools.find(
        (one) => samePrefix(one.subnet, subnet) && (network ?? networkOfPool(one)) === networkOfPool(one),
      );
      return pool === undefined || leases.leaseOf(subnet, address, network) !== undefined
        ? []
        : [reservedView(reservation, pool)];
    });

  /** Names come with the engine's events, a moment late: who asks just after a `docker` command need not know that. */
  async function learnNew(nameless: boolean): Promise<void> {
    if (nameless)
      await within(
        MOST_PATIENCE,
        collector.learnNames().catch(() => undefined),
      );
  }
  const learnNetworks = () =>
    learnNew([...state.networks.values()].some(({ id, adHoc }) => !adHoc && names.network(id) === undefined));
  const learnContainers = () =>
    learnNew(
      [...state.endpoints.values()].some(({ id, phase }) => phase === 'attached' && names.container(id) === undefined),
    );

  return {
    'GET status': () => Promise.resolve(parts.status()),

    'GET networks': async ({ path }) => {
      await learnNetworks();
      return path[1] === undefined ? [...state.networks.values()].map(viewNetwork) : viewNetwork(findNetwork(path[1]));
    },

    'POST networks': async ({ path }) => {
      if (path[1] === undefined || path[2] !== 'confirm')
        throw new BerthError('UNKNOWN_METHOD', 'a network can only be confirmed here');
      await learnNetworks();
      const network = findNetwork(path[1]);
      await lifecycle.confirm(network);
      return viewNetwork(network);
    },

    'GET endpoints': async ({ path }) => {
      await learnContainers();
      const all = [...state.endpoints.values()];
      if (path[1] === undefined) return all.map(viewEndpoint);
      return viewEndpoint(pick(all, path[1], ({ id }) => [id, names.container(id)], 'ENDPOINT_UNKNOWN', 'endpoint'));
    },

    'GET names': async ({ path }) => {
      await learnContainers();
      const all = parts.registration.states().map((name) => namedView(name, names));
      if (path[1] === undefined) return all;
      const wanted = path[1].replace(/\.$/, '').toLowerCase();
      const found = all.filter(({ name, container }) => name.toLowerCase() === wanted || container === path[1]);
      if (found.length > 0) return found;
      throw new BerthError('NOT_FOUND', `there is no name '${path[1].slice(0, 64)}' of a container here`);
    },

    'GET attachments': async ({ path }) => {
      await learnNetworks();
      if (path[1] === undefined) return attachments.all().map(viewAttachment);
      const named = attachments.all().filter(({ attachment }) => isContainer(attachment.container, path[1]!));
      if (named.length > 0) return named.map(viewAttachment);
      return viewAttachment(pick(attachments.all(), path[1], ({ id }) => [id], 'ATTACHMENT_UNKNOWN', 'attachment'));
    },

    'POST attachments': async ({ body }) => {
      const request = readAttachRequest(body);
      await learnNetworks();
      return viewAttachment(await attachments.attach(request, findNetwork));
    },

    'DELETE attachments': async ({ path }) => {
      const [, container = '', link] = path;
      const found = attachments
        .all()
        .filter(({ id, attachment }) => id === container || isContainer(attachment.container, container))
        .filter(({ attachment }) => link === undefined || attachment.interface === link);
      if (found.length === 0) {
        const on = link === undefined ? '' : ` with the interface ${link.slice(0, 64)}`;
        throw new BerthError('ATTACHMENT_UNKNOWN', `the container '${container.slice(0, 64)}' has no attachment${on}`);
      }
      const views = found.map(viewAttachment);
      for (const { id } of found) await attachments.detach(id);
      return views;
    },

    'GET pools': ({ path }) => {
      const all = viewPools();
      return Promise.resolve(path[1] === undefined ? all : pickPool(all, path.slice(1).join('/')));
    },

    'GET leases': async ({ path, query }) => {
      await learnContainers();
      const wanted = query.get('pool');
      const pool = wanted === null ? undefined : pickPool(viewPools(), wanted).id;
      const views = [
        ...leases.all().map((lease) => leaseView(lease, names)),
        ...dhcp.leases().map((lease) => dhcpLeaseView(lease, names)),
        ...(parts.neutron?.leases(names) ?? []),
      ].filter((lease) => pool === undefined || lease.pool === pool);
      if (path[1] === undefined)
        return [...views, ...reservedIn(leases.pools().filter(({ id }) => pool === undefined || id === pool))];
      const address = parseAddress(path[1]);
      if (address === undefined) throw new BerthError('BAD_ADDRESS', `'${path[1].slice(0, 64)}' is not an address`);
      const found = views.filter((lease) => lease.address === formatAddress(address));
      if (found.length === 0) throw new BerthError('NOT_FOUND', `the address ${path[1]} is not leased`);
      return found;
    },

    ...reservationHandlers({
      leases,
      names,
      findPool,
      findNetwork: async (wanted) => {
        await learnNetworks();
        return findNetwork(wanted);
      },
      now: Date.now,
    }),

    ...hostHandlers(parts.hosts),
    ...reachHandlers({ ...parts.reaching, learnContainers }),
    ...uplinkHandlers({ names, context: lifecycle.context, learnNetworks }),

    'POST audit': async ({ body }) => (await auditor.audit(body.repair === true)).map(driftView),
    'POST gc': async ({ body }) => {
      const apply = body.apply === true;
      const garbage = await collector.collect(apply);
      if (parts.neutron === undefined) return garbage;
      return [...garbage, ...(await parts.neutron.collect(await collector.networks(), apply))];
    },
  };
}

/** By its name, its id or, as Docker shows it, at least twelve characters of that. */
function isContainer(container: { readonly id: string; readonly name: string }, wanted: string): boolean {
  return container.name === wanted || (wanted.length >= 12 && container.id.startsWith(wanted));
}

/** The one thing whose name, id or unique beginning of an id this is. */
function pick<Item>(
  items: readonly Item[],
  wanted: string,
  namesOf: (item: Item) => (string | undefined)[],
  code: ErrorCode,
  what: string,
): Item {
  const exact = items.find((item) => namesOf(item).includes(wanted));
  if (exact !== undefined) return exact;
  const beginning = items.filter((item) => namesOf(item)[0]!.startsWith(wanted));
  if (beginning.length === 1) return beginning[0]!;
  const shown = wanted.slice(0, 64);
  if (beginning.length > 1)
    throw new BerthError(code, `${beginning.length} ${what}s have an id that begins with '${shown}'`);
  const like = nearest(
    wanted,
    items.flatMap(namesOf).filter((name) => name !== undefined),
  );
  throw new BerthError(
    code,
    `there is no ${what} '${shown}'${like.length > 0 ? `; did you mean ${like.join(' or ')}?` : ''}`,
  );
}
