/** `berth network|endpoint|attachment|pool|lease|reservation|name|uplink ls|inspect`, and `berth network confirm`. */

import type {
  AttachmentView,
  EndpointView,
  HostView,
  LeaseView,
  NamedView,
  NetworkView,
  PoolView,
  RemovedHostView,
  ReservationView,
  UplinkView,
} from '../agent/api.ts';
import { nearest } from '../model/nearest.ts';
import { type ExitCode, exitCode, Failure } from './failure.ts';
import type { Session } from './session.ts';
import { age, type Column, describe, hostState, shortId, table } from './table.ts';

export type ResourceKind =
  | 'host'
  | 'network'
  | 'endpoint'
  | 'attachment'
  | 'pool'
  | 'lease'
  | 'reservation'
  | 'name'
  | 'uplink';

interface Resource<T> {
  readonly path: string;
  readonly id: (view: T) => string;
  /** Everything that a user may call it by. */
  readonly names: (view: T) => readonly string[];
  readonly columns: (style: { readonly id: (id: string) => string; readonly now: number }) => readonly Column<T>[];
}

const network: Resource<NetworkView> = {
  path: '/v1/networks',
  id: (view) => view.id,
  names: (view) => (view.name === undefined ? [view.id] : [view.name, view.id]),
  columns: ({ id, now }) => [
    { title: 'ID', text: (row) => id(row.id) },
    { title: 'NAME', text: (row) => row.name ?? '' },
    { title: 'PLUGIN', text: (row) => row.plugin },
    { title: 'FABRIC', text: (row) => row.fabric },
    { title: 'SUBNET', text: (row) => row.subnets.map(({ subnet }) => subnet).join(', ') },
    { title: 'GATEWAY', text: (row) => row.subnets.flatMap(({ gateway }) => gateway ?? []).join(', ') },
    { title: 'MTU', text: (row) => String(row.mtu ?? ''), right: true },
    { title: 'ENDPOINTS', text: (row) => String(row.endpoints), right: true },
    { title: 'AGE', text: (row) => age(row.createdAt, now), right: true },
  ],
};

const endpoint: Resource<EndpointView> = {
  path: '/v1/endpoints',
  id: (view) => view.id,
  names: (view) => (view.container === undefined ? [view.id] : [view.container, view.id]),
  columns: ({ id, now }) => [
    { title: 'ID', text: (row) => id(row.id) },
    { title: 'CONTAINER', text: (row) => row.container ?? '' },
    { title: 'NETWORK', text: (row) => row.networkName ?? id(row.network) },
    { title: 'ADDRESS', text: (row) => row.addresses.join(', ') },
    { title: 'MAC', text: (row) => row.mac },
    { title: 'LINK', text: (row) => row.link },
    { title: 'PHASE', text: (row) => row.phase },
    { title: 'AGE', text: (row) => age(row.createdAt, now), right: true },
  ],
};

const attachment: Resource<AttachmentView> = {
  path: '/v1/attachments',
  id: (view) => view.id,
  names: (view) => [view.container, view.id],
  columns: ({ id, now }) => [
    { title: 'ID', text: (row) => id(row.id) },
    { title: 'CONTAINER', text: (row) => row.container },
    { title: 'INTERFACE', text: (row) => row.interface },
    { title: 'NETWORK', text: (row) => (row.adHoc ? optionsOf(row) : (row.networkName ?? id(row.network))) },
    { title: 'ADDRESS', text: (row) => row.addresses.join(', ') },
    { title: 'GATEWAY', text: (row) => row.gateways.join(', ') },
    { title: 'MAC', text: (row) => row.mac },
    { title: 'STATE', text: (row) => (row.problem === undefined ? row.state : 'failed') },
    { title: 'AGE', text: (row) => age(row.createdAt, now), right: true },
  ],
};

/** What stands for the name of a network that was made for one container. */
function optionsOf({ networkOptions }: AttachmentView): string {
  return Object.entries(networkOptions)
    .map(([key, value]) => `${key}=${value}`)
    .join(' ');
}

const pool: Resource<PoolView> = {
  path: '/v1/pools',
  id: (view) => view.id,
  names: (view) => [view.id, view.subnet],
  columns: ({ id, now }) => [
    { title: 'ID', text: (row) => row.id },
    { title: 'SUBNET', text: (row) => row.subnet },
    { title: 'RANGE', text: (row) => row.range ?? '' },
    { title: 'LEASES', text: (row) => String(row.leases), right: true },
    { title: 'SIZE', text: (row) => row.size, right: true },
    { title: 'NETWORKS', text: (row) => row.networks.map(id).join(', ') },
    { title: 'STATE', text: (row) => (row.released ? 'released' : 'open') },
    { title: 'AGE', text: (row) => age(row.createdAt, now), right: true },
  ],
};

const lease: Resource<LeaseView> = {
  path: '/v1/leases',
  id: (view) => view.address,
  names: (view) => [view.address],
  columns: ({ id, now }) => [
    { title: 'ADDRESS', text: (row) => row.address },
    { title: 'POOL', text: (row) => row.pool },
    { title: 'KIND', text: (row) => row.kind },
    { title: 'CONTAINER', text: (row) => row.container ?? '' },
    { title: 'ENDPOINT', text: (row) => (row.endpoint === undefined ? '' : id(row.endpoint)) },
    { title: 'MAC', text: (row) => row.mac ?? '' },
    { title: 'AGE', text: (row) => age(row.createdAt, now), right: true },
  ],
};

const reservation: Resource<ReservationView> = {
  path: '/v1/reservations',
  id: (view) => view.address,
  names: (view) => [view.address],
  columns: ({ now }) => [
    { title: 'ADDRESS', text: (row) => row.address },
    { title: 'SUBNET', text: (row) => row.subnet },
    { title: 'NETWORK', text: (row) => row.network ?? '' },
    { title: 'CONTAINER', text: (row) => row.container ?? '' },
    { title: 'MAC', text: (row) => row.mac ?? '' },
    { title: 'HELD BY', text: (row) => row.heldBy ?? '' },
    { title: 'AGE', text: (row) => age(row.createdAt, now), right: true },
  ],
};

const name: Resource<NamedView> = {
  path: '/v1/names',
  id: (view) => view.name,
  names: (view) => (view.container === undefined ? [view.name] : [view.name, view.container]),
  columns: ({ id }) => [
    { title: 'NAME', text: (row) => row.name },
    { title: 'CONTAINER', text: (row) => row.container ?? id(row.endpoint) },
    { title: 'VIA', text: (row) => row.via },
    { title: 'WHERE', text: (row) => row.where },
    { title: 'STATE', text: (row) => row.state },
    { title: 'PROBLEM', text: (row) => row.problem ?? '' },
  ],
};

const uplink: Resource<UplinkView> = {
  path: '/v1/uplinks',
  id: (view) => view.nic,
  names: (view) => [view.nic, view.bridge],
  columns: ({ id, now }) => [
    { title: 'NIC', text: (row) => row.nic },
    { title: 'BRIDGE', text: (row) => row.bridge },
    {
      title: 'STATE',
      text: (row) => (row.deadline === undefined ? row.state : `${row.state}, ${left(row.deadline, now)}`),
    },
    { title: 'NETWORKS', text: (row) => row.networks.map(id).join(', ') },
    { title: 'ADDRESSES', text: (row) => row.addresses.map((text) => text.split(' ')[0]).join(', ') },
  ],
};

/** Until a deadline. */
function left(deadline: string, now: number): string {
  return `${Math.max(0, Math.ceil((Date.parse(deadline) - now) / 1000))} s left`;
}

const host: Resource<HostView> = {
  path: '/v1/hosts',
  id: (view) => view.name,
  names: (view) => [view.name],
  columns: ({ now }) => [
    { title: 'HOST', text: (row) => row.name + (row.here ? ' (here)' : '') },
    { title: 'VTEP', text: (row) => row.vtep ?? '' },
    { title: 'AGENT', text: (row) => hostState(row, now) },
    { title: 'BERTH', text: (row) => row.version },
    { title: 'ENGINE', text: (row) => row.engine?.version ?? '' },
  ],
};

// The views differ by kind; each resource only ever meets views of its own.
const resources = {
  host,
  network,
  endpoint,
  attachment,
  pool,
  lease,
  reservation,
  name,
  uplink,
} as unknown as Readonly<Record<ResourceKind, Resource<unknown>>>;

/** All of a kind, as a table, as ids, or as JSON. */
export async function list(
  kind: ResourceKind,
  session: Session,
  options: Readonly<Record<string, unknown>>,
): Promise<ExitCode> {
  const { path, id, columns } = resources[kind];
  const filter = typeof options.pool === 'string' ? `?pool=${encodeURIComponent(options.pool)}` : '';
  const views = await session.client.get<readonly unknown[]>(path + filter);
  const short = options.trunc === false ? (text: string) => text : shortId;
  session.show(views, () => {
    if (options.quiet === true) return views.map((view) => `${short(id(view))}\n`).join('');
    return table(views, columns({ id: short, now: session.now() }));
  });
  return exitCode.ok;
}

/** Everything about the named ones; JSON is always an array, whatever their number. */
export async function inspect(kind: ResourceKind, session: Session, ids: readonly string[]): Promise<ExitCode> {
  const views: unknown[] = [];
  for (const id of ids) {
    const found = await find<unknown>(kind, session, id, (path) => session.client.get(path));
    // An address may be leased in several pools.
    views.push(...(Array.isArray(found) ? (found as unknown[]) : [found]));
  }
  session.show(views, () => views.map((view) => describe(view)).join('\n'));
  return exitCode.ok;
}

/** Keeps the bridge that Berth made of an uplink. */
export async function confirm(session: Session, id: string): Promise<ExitCode> {
  const view = await find<NetworkView>('network', session, id, (path) => session.client.post(`${path}/confirm`, {}));
  session.show(view, (it) => `${it.name ?? shortId(it.id)} is confirmed\n`);
  return exitCode.ok;
}

/** Removes a host that is gone for good from the cluster. */
export async function removeHosts(session: Session, hosts: readonly string[]): Promise<ExitCode> {
  const removed: RemovedHostView[] = [];
  for (const name of hosts) {
    removed.push(await find<RemovedHostView>('host', session, name, (path) => session.client.delete(path)));
  }
  session.show(removed, (views) =>
    views
      .map(
        ({ name, removed: { endpoints, leases } }) =>
          `${name} is removed, with ${counted(endpoints, 'endpoint')} and ${counted(leases, 'lease')}\n`,
      )
      .join(''),
  );
  return exitCode.ok;
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

/** Asks for one thing; when there is none of that name, the error lists those with a similar one. */
async function find<T>(
  kind: ResourceKind,
  session: Session,
  id: string,
  ask: (path: string) => Promise<T>,
): Promise<T> {
  const { path, names } = resources[kind];
  try {
    return await ask(`${path}/${encodeURIComponent(id)}`);
  } catch (error) {
    if (!(error instanceof Failure) || error.exitCode !== exitCode.notFound) throw error;
    const known = (await session.client.get<readonly unknown[]>(path)).flatMap(names);
    const near = nearest(id, known);
    if (near.length === 0) throw error;
    throw new Failure(`${error.message}\nsimilar: ${near.map(shortId).join(', ')}`, error);
  }
}
