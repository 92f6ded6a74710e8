/**
 * Makes containers known by name on their LANs, beside the plugin calls and never within one: compares which names there should
 * be with which have been registered, and has the difference made, again and again until it is.
 */

import { createHash } from 'node:crypto';
import type { EngineContainer } from '../docker/engine.ts';
import type { NamingPolicy, Notes } from '../fabric/fabric.ts';
import { fabricOf } from '../fabric/fabrics.ts';
import { printable } from '../fabric/options.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { asBerthError } from '../model/errors.ts';
import type { EndpointId, NetworkId } from '../model/ids.ts';
import type { Endpoint } from '../model/network.ts';
import type { Events } from './events.ts';
import type { HostFacts } from './host.ts';
import type { Metrics } from './metrics.ts';
import type { Names } from './names.ts';
import { type DnsEntry, type MdnsEntry, openBook } from './registration/book.ts';
import { createDnsNames } from './registration/dns-names.ts';
import { createMdnsNames } from './registration/mdns-names.ts';
import { createReports, type NameState } from './registration/reports.ts';
import {
  asLabel,
  dnsWishes,
  labelOf,
  mdnsWishes,
  type Named,
  servicesOf,
  strayServices,
} from './registration/wanted.ts';
import type { State } from './state.ts';

export interface RegistrationParts {
  readonly state: State;
  readonly names: Names;
  readonly events: Events;
  readonly metrics: Metrics;
  readonly notes: Notes;
  readonly host: HostFacts;
  readonly kernel: Pick<Kernel, 'packets'>;
  /** A container as the engine has it; undefined when it has none of that id. */
  container(id: string): Promise<EngineContainer | undefined>;
  /** By which this host is told from others, also when its records are lost. */
  readonly identity: string;
  /** Milliseconds between looks when nothing happens. */
  readonly interval: number;
}

export interface Registration {
  /** Begins: what was registered before and is wanted no more is taken back. */
  start(): void;
  /** The names of all endpoints, and those that are still to be taken back. */
  states(): readonly NameState[];
  statesOf(endpoint: EndpointId): readonly NameState[];
  close(): Promise<void>;
}

interface Entries {
  readonly dns?: DnsEntry;
  readonly mdns?: MdnsEntry;
}

/** Milliseconds: a Compose project starts or stops as one. */
const SETTLE = 50;
/** How many containers the engine is asked for at a time. */
const MOST_AT_ONCE = 8;
/** How often what was registered is looked at again: a server may have lost it. In looks. */
const VERIFY = 10;

/** @throws BerthError STORE_UNAVAILABLE, STORE_CORRUPT */
export async function createRegistration(parts: RegistrationParts): Promise<Registration> {
  const { state, names, events, metrics, notes, host } = parts;
  const book = await openBook(notes, (key) =>
    events.emit('name.unreadable', `the note ${key} of a registered name is not readable`),
  );
  const reports = createReports({ events, metrics, names });
  const owner = createHash('sha256').update(`berth names ${parts.identity}`).digest('hex').slice(0, 16);
  const dns = createDnsNames({ book, reports, owner });
  const mdns = createMdnsNames({ kernel: parts.kernel, book, reports, host: host.current });
  /** By id. One whose host name or labels change is another container. */
  const containers = new Map<string, EngineContainer>();
  /** Ids of those that the engine is being asked for. */
  const asking = new Set<string>();
  let soon: NodeJS.Timeout | undefined;
  let timer: NodeJS.Timeout | undefined;
  let looking = false;
  let again = false;
  let looks = 0;
  let closed = false;

  function kick(): void {
    if (closed) return;
    soon ??= setTimeout(() => {
      soon = undefined;
      void look();
    }, SETTLE).unref();
  }

  async function look(): Promise<void> {
    if (looking) {
      again = true;
      return;
    }
    looking = true;
    try {
      const policies = policiesNow();
      const before = entries();
      const wanted = [...state.endpoints.values()].flatMap((endpoint) => {
        const policy = policies.get(endpoint.network);
        if (policy === undefined || endpoint.phase !== 'attached') return [];
        return nameOf(endpoint, policy, before.get(endpoint.id)) ?? [];
      });
      dns.want(dnsWishes(wanted, (endpoint) => before.get(endpoint)?.dns?.name));
      await mdns.want(mdnsWishes(wanted));
    } catch (error) {
      events.emit('name.failed', `cannot work out the names of containers: ${asBerthError(error).message}`);
    } finally {
      looking = false;
      if (again) kick();
      again = false;
    }
  }

  /** Of the networks whose containers are made known. */
  function policiesNow(): ReadonlyMap<NetworkId, NamingPolicy> {
    const policies = new Map<NetworkId, NamingPolicy>();
    for (const network of state.networks.values()) {
      const policy = fabricOf(network.fabric).naming?.(network);
      if (policy?.mdns !== undefined || policy?.dns !== undefined) policies.set(network.id, policy);
    }
    return policies;
  }

  /** What has been registered, by endpoint. */
  function entries(): ReadonlyMap<string, Entries> {
    const found = new Map<string, Entries>();
    for (const entry of book.dns.values()) found.set(entry.endpoint, { dns: entry });
    for (const entry of book.mdns.values()) found.set(entry.endpoint, { ...found.get(entry.endpoint), mdns: entry });
    return found;
  }

  function nameOf(endpoint: Endpoint, policy: NamingPolicy, known: Entries = {}): Named | undefined {
    const container = containerOf(endpoint.id);
    const services = container === undefined ? [] : servicesOf(container.labels);
    const told = endpoint.options.hostname;
    const label = (told && asLabel(told)) || (container && labelOf(container)) || undefined;
    if (label !== undefined) return { endpoint, policy, label, services };
    // The engine does not say now, but it did: until it says otherwise, that is what it is called.
    const before = known.mdns ?? known.dns;
    return before && { endpoint, policy, label: before.label, services: known.mdns?.services ?? [] };
  }

  /** As far as it is known: an engine that hangs must not keep other names from going. */
  function containerOf(endpoint: EndpointId): EngineContainer | undefined {
    const id = names.containerId(endpoint);
    if (id === undefined) return undefined;
    const known = containers.get(id);
    if (known !== undefined) return { ...known, name: names.container(endpoint) ?? known.name };
    if (!asking.has(id) && asking.size < MOST_AT_ONCE) {
      asking.add(id);
      void askFor(id);
    }
    return undefined;
  }

  async function askFor(id: string): Promise<void> {
    // When there is no answer, the next look asks again.
    const told = await parts.container(id).catch(() => undefined);
    asking.delete(id);
    if (told === undefined) return;
    containers.set(id, told);
    tellStray(told);
    kick();
  }

  function tellStray({ name, labels }: EngineContainer): void {
    for (const part of strayServices(labels)) {
      const wrong = `'${printable(part)}' in the label berth.service of the container ${name} is no service such as _http._tcp:80`;
      events.emit('name.failed', wrong, { container: name });
    }
  }

  function forget(): void {
    const used = new Set([...state.endpoints.keys()].map((id) => names.containerId(id)));
    for (const id of containers.keys()) if (!used.has(id)) containers.delete(id);
  }

  names.onLearn(kick);
  host.onChange(kick);
  const unfollow = events.follow(({ event }) => {
    if (/^(endpoint|network|dhcp|attachment)\./.test(event)) kick();
  });

  const all = (): readonly NameState[] => [...mdns.states(), ...dns.states()];
  metrics.names(() => all().map(({ via, state: is }) => ({ via, state: is })));

  return {
    start() {
      kick();
      timer = setInterval(() => {
        looks += 1;
        forget();
        if (looks % VERIFY === 0) dns.retry();
        kick();
      }, parts.interval).unref();
    },
    states: all,
    statesOf: (endpoint) => all().filter((one) => one.endpoint === endpoint),
    async close() {
      closed = true;
      unfollow();
      clearTimeout(soon);
      clearInterval(timer);
      await Promise.all([dns.close(), mdns.close()]);
    },
  };
}
