/**
 * What lets others reach a container beyond its port: open ports in a security group, a floating IP, port forwardings. It is made when
 * the container starts, and goes after it in the background. All of it is in one record, written down before Neutron is asked.
 */

import type { PublishedPort, TransportPort } from '../../docker/driver.ts';
import { formatAddress } from '../../model/address.ts';
import { BerthError } from '../../model/errors.ts';
import type { EndpointId } from '../../model/ids.ts';
import type { Bounds } from '../../openstack/bounds.ts';
import { detailsOf } from '../../openstack/failure.ts';
import type { Neutron } from '../../openstack/neutron/neutron.ts';
import type { Book } from './book.ts';
import { AGAIN, type Departures } from './departures.ts';
import type { Groups } from './exposed.ts';
import {
  findFloatingIp,
  type Inside,
  lendFloatingIp,
  makeFloatingIp,
  removeFloatingIp,
  returnFloatingIp,
} from './floating.ts';
import type { PortWishes } from './options.ts';
import type { Place, Ports } from './ports.ts';
import { checkPublished, forwardingText, makeForwardings, planForwardings, removeForwardings } from './publish.ts';
import type { Forwarding, OutsideRecord, PortRecord } from './records.ts';
import { externalNetwork } from './router.ts';
import { leftToLook, mayYetBeDone } from './unanswered.ts';

export interface OutsideParts {
  readonly book: Pick<Book, 'ports' | 'outside'>;
  readonly neutron: Pick<Neutron, 'networks' | 'ports' | 'floatingIps' | 'portForwardings'>;
  readonly ports: Pick<Ports, 'amend'>;
  readonly groups: Groups;
  readonly departures: Departures;
  /** As what we make is known to be of this host. */
  readonly host: string;
  /** `process_external_connectivity` of kuryr.conf: exposed ports are opened, too. */
  readonly opensExposed: boolean;
  /** Milliseconds for which Neutron may still be at what it has not answered. */
  readonly settle: number;
  now(): number;
}

/** What one container wants. */
export interface OutsideWishes {
  readonly endpoint: EndpointId;
  readonly place: Place;
  /** `--internal`. */
  readonly internal: boolean;
  /** False: the security groups of its port do nothing. */
  readonly ownGroups?: boolean;
  readonly options: Pick<PortWishes, 'floatingIp' | 'floatingNetwork' | 'portSecurity'>;
  readonly published: readonly PublishedPort[];
  readonly exposed: readonly TransportPort[];
}

/** How the container is reached, for people. */
export interface OutsideView {
  readonly floatingIp?: string;
  /** Such as `80/tcp -> 172.24.4.9:8080`. */
  readonly published?: string[];
}

export interface Outside {
  /**
   * Asks nothing of Neutron, and writes nothing down, where nothing is wanted. Safe to repeat.
   *
   * @returns undefined where it is reached by its port alone.
   * @throws BerthError BAD_OPTION, NEUTRON_…, OPENSTACK_…: what was begun is undone, in the background.
   */
  open(wishes: OutsideWishes, bounds: Bounds): Promise<OutsideView | undefined>;
  /** The container is gone. Written down when it resolves; Neutron hears of it in the background. */
  close(endpoint: EndpointId): Promise<void>;
  recover(): Promise<void>;
}

export function createOutside(parts: OutsideParts): Outside {
  const { book, neutron, ports, groups, departures, host, opensExposed, settle, now } = parts;
  const { outside } = book;

  const markOf = (endpoint: EndpointId): string => `berth/${host}/${endpoint.slice(0, 12)}`;
  const nameOf = (endpoint: EndpointId): string => `floating IP of ${endpoint}`;

  function leave(endpoint: EndpointId): Promise<void> {
    return departures.begin(nameOf(endpoint), async (bounds) => {
      const record = outside.get(endpoint);
      if (record === undefined) return undefined;
      const { floating, forwardings, port } = record;
      let isSettled = true;
      if (floating?.origin === 'created')
        isSettled = await removeFloatingIp(parts, floating.id, markOf(endpoint), bounds);
      else if (floating?.id !== undefined) isSettled = await returnFloatingIp(parts, floating.id, port, bounds);
      if (forwardings !== undefined) await removeForwardings(parts, forwardings.floatingIp, port, bounds);
      // The group is the port's: it goes from there with it, and altogether when nobody needs it. So do forwardings that are yet to come.
      const left = isSettled ? undefined : leftToLook(record, settle, now());
      return left ?? ((await outside.delete(endpoint, record)) ? undefined : AGAIN);
    });
  }

  /** @param failure of what was asked for last, if it failed. */
  async function close(endpoint: EndpointId, failure?: unknown): Promise<void> {
    const record = outside.get(endpoint);
    if (record === undefined) return;
    const unanswered = mayYetBeDone(failure) ? { unanswered: now() } : {};
    try {
      await outside.put({ ...record, phase: 'leaving', ...unanswered });
    } finally {
      void leave(endpoint);
    }
  }

  /** What has just been given back is free again as soon as Neutron has heard of it. */
  async function waitFor(isSame: (record: OutsideRecord) => boolean, bounds: Bounds): Promise<void> {
    for (const record of outside.all())
      if (record.phase === 'leaving' && isSame(record) && !(await departures.done(nameOf(record.endpoint), bounds)))
        throw new BerthError(
          'OPENSTACK_TIMEOUT',
          'Neutron has not yet taken back what the container had that ended before',
        );
  }

  /** Of those that are opened, and on a network that leads outside. */
  function openPorts(wishes: OutsideWishes): readonly TransportPort[] {
    const { place, internal, options, exposed, published } = wishes;
    // In a virtual machine, what counts may be the groups of the machine's port.
    const isGuarded = (options.portSecurity ?? place.settings.portSecurity) !== false && wishes.ownGroups !== false;
    if (internal || !isGuarded) return [];
    return [...(opensExposed ? exposed : []), ...(place.settings.publish === undefined ? [] : published)];
  }

  /** @returns undefined where the container has none. */
  function floatingOf({ place, options, internal }: OutsideWishes) {
    const { publish, floatingNetwork } = place.settings;
    const wants = options.floatingIp !== undefined || (options.floatingNetwork ?? 'none') !== 'none';
    if (internal && wants) throw new BerthError('BAD_OPTION', 'an --internal network has no floating IPs');
    if (options.floatingIp !== undefined) return { lent: options.floatingIp };
    if (options.floatingNetwork === 'none') return undefined;
    if (options.floatingNetwork !== undefined) return { of: options.floatingNetwork };
    // That of the network is for published ports then.
    return floatingNetwork === undefined || publish === 'floating-ip' ? undefined : { of: floatingNetwork };
  }

  function insideOf({ port, addresses }: PortRecord): Inside {
    const v4 = addresses.find(({ on }) => on.address.family === 4);
    if (port !== undefined && v4 !== undefined) return { port, address: formatAddress(v4.on.address) };
    throw new BerthError('BAD_OPTION', 'floating IPs are for IPv4, and the container has no such address');
  }

  async function openGroup(record: OutsideRecord, port: PortRecord, open: readonly TransportPort[], bounds: Bounds) {
    for (let attempt = 1; ; attempt++) {
      const group = await groups.open(open, port.project, bounds);
      // Those of the port as it is now: a container may have chosen its own.
      const held = book.ports.get(port.key) ?? port;
      const own = held.groups ?? (await neutron.ports.get(record.port, bounds))?.security_groups ?? [];
      if (own.includes(group)) return;
      try {
        await ports.amend({ ...held, port: record.port }, { security_groups: [...own, group] }, bounds);
        return;
      } catch (error) {
        // Another host has removed it as nobody had it yet.
        if (detailsOf(error)?.type !== 'SecurityGroupNotFound' || attempt > 1) throw error;
        await groups.forget(record.group!);
      }
    }
  }

  async function openFloating(
    record: OutsideRecord,
    wanted: NonNullable<ReturnType<typeof floatingOf>>,
    inside: Inside,
    bounds: Bounds,
  ): Promise<OutsideRecord> {
    const { endpoint } = record;
    if (wanted.of !== undefined) {
      const network = typeof wanted.of === 'string' ? wanted.of : await externalNetwork(neutron, wanted.of, bounds);
      await outside.put({ ...record, floating: { origin: 'created' } });
      const made = await makeFloatingIp(parts, network, markOf(endpoint), inside, bounds);
      return { ...record, floating: { origin: 'created', id: made.id, address: made.floating_ip_address } };
    }
    const { lent } = wanted;
    await waitFor(
      ({ floating }) => ('uuid' in lent ? floating?.id === lent.uuid : floating?.address === lent.address),
      bounds,
    );
    const found = await findFloatingIp(parts, lent, bounds);
    const floating = { origin: 'adopted', id: found.id, address: found.floating_ip_address } as const;
    await outside.put({ ...record, floating });
    await lendFloatingIp(parts, found, inside, bounds);
    return { ...record, floating };
  }

  /** Those on the same floating IP. */
  async function openForwardings(
    record: OutsideRecord,
    { id, address }: { readonly id: string; readonly address: string },
    published: readonly PublishedPort[],
    inside: Inside,
    bounds: Bounds,
  ): Promise<OutsideRecord> {
    const isWanted = ({ protocol, external }: Forwarding) =>
      published.some(
        ({ protocol: same, port, outside: range = { first: port, last: port } }) =>
          same === protocol && range.first <= external && external <= range.last,
      );
    await waitFor(({ forwardings }) => forwardings?.floatingIp === id && forwardings.ports.some(isWanted), bounds);
    const taken = outside.all().flatMap(({ endpoint, forwardings }) => {
      const isOther = endpoint !== record.endpoint && forwardings?.floatingIp === id;
      return isOther ? forwardings.ports : [];
    });
    const planned = planForwardings(published, taken);
    const opened = { ...record, forwardings: { floatingIp: id, address, ports: [...planned] } };
    // Seen at once by whoever plans next.
    await outside.put(opened);
    await makeForwardings(parts, id, planned, inside, bounds);
    return opened;
  }

  return {
    async open(wishes, bounds) {
      const { endpoint, place, published } = wishes;
      const { settings } = place;
      const open = openPorts(wishes);
      const floating = floatingOf(wishes);
      const forwards = published.length > 0 && settings.publish === 'floating-ip';
      if (settings.publish !== undefined) checkPublished(published, settings.floatingIp?.address);
      if (open.length === 0 && floating === undefined && !forwards) return undefined;
      const known = outside.get(endpoint);
      if (known?.phase === 'held') return viewOf(known);
      await waitFor((record) => record.endpoint === endpoint, bounds);

      const port = book.ports.all().find((one) => one.endpoint === endpoint && one.phase === 'held');
      if (port?.port === undefined)
        throw new BerthError('ENDPOINT_UNKNOWN', `the endpoint ${endpoint.slice(0, 12)} has no port in Neutron`);
      if (floating !== undefined && forwards)
        throw new BerthError(
          'BAD_OPTION',
          'a container with a floating IP of its own publishes no ports through that of the network: all its ports are there already',
        );
      const group = open.length === 0 ? {} : { group: groups.keyOf(open, port.project) };
      let record: OutsideRecord = {
        endpoint,
        phase: 'making',
        network: place.network,
        port: port.port,
        ...group,
      };
      await outside.put(record);
      try {
        if (open.length > 0) await openGroup(record, port, open, bounds);
        if (floating !== undefined) record = await openFloating(record, floating, insideOf(port), bounds);
        if (forwards) record = await openForwardings(record, settings.floatingIp!, published, insideOf(port), bounds);
        await outside.put({ ...record, phase: 'held' });
        return viewOf(record);
      } catch (error) {
        // What the store says to that is not what went wrong.
        await close(endpoint, error).catch(() => {});
        throw error;
      }
    },

    close: (endpoint) => close(endpoint),

    async recover() {
      for (const record of outside.all()) {
        const { endpoint, phase } = record;
        if (phase === 'making') await outside.put({ ...record, unanswered: now() }).then(() => close(endpoint));
        else if (phase === 'leaving') void leave(endpoint);
      }
    },
  };
}

function viewOf({ floating, forwardings }: OutsideRecord): OutsideView | undefined {
  if (floating?.address === undefined && forwardings === undefined) return undefined;
  return {
    ...(floating?.address === undefined ? {} : { floatingIp: floating.address }),
    ...(forwardings && {
      published: forwardings.ports.map((port) => forwardingText(forwardings.address, port)),
    }),
  };
}
