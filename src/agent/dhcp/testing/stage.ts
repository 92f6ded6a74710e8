/** The DHCP manager with a store in memory, a link with a server on it, and clocks that a test sets. */

import { pino } from 'pino';
import { decodeMessage, type Message, messageType, typeOf } from '../../../dhcp/message.ts';
import { type Answer, answer, framed } from '../../../dhcp/testing/server.ts';
import { decodeFrame } from '../../../dhcp/udp.ts';
import type { CreateEndpoint } from '../../../docker/driver.ts';
import type { EngineNetwork, ListedContainer } from '../../../docker/engine.ts';
import type { Kernel, KernelStep } from '../../../kernel/kernel.ts';
import type { PacketPort, PacketRequest } from '../../../kernel/packets.ts';
import { formatAddress } from '../../../model/address.ts';
import { BerthError } from '../../../model/errors.ts';
import type { EndpointId, NetworkId } from '../../../model/ids.ts';
import type { Mac } from '../../../model/mac.ts';
import type { Endpoint, Network } from '../../../model/network.ts';
import { formatPrefix } from '../../../model/prefix.ts';
import { createMemoryStore } from '../../../store/memory.ts';
import type { EventView } from '../../api.ts';
import { openEvents } from '../../events.ts';
import { createMetrics } from '../../metrics.ts';
import { createNames } from '../../names.ts';
import { openState, storeNotes } from '../../state.ts';
import { openBook } from '../book.ts';
import { createDhcp } from '../manager.ts';
import { createPorts } from '../ports.ts';
import type { Marks } from '../who.ts';
import { openServer6, serve6 } from './server6.ts';

export const network: Network = {
  id: 'n1'.padEnd(64, '0') as NetworkId,
  fabric: 'lan',
  plugin: 'berth-lan',
  subnets: [],
  leased: false,
  internal: false,
  options: { dhcp: 'true' },
  settings: { mode: 'bridge', bridge: 'br0', confirm: 'auto', confirmSeconds: 60, interfacePrefix: 'eth' },
  createdAt: 0,
};

/** Addresses are leased to MACs in the order in which they ask. */
export interface FakeServer {
  /** What each message was, and where it was heard: `discover br0`. */
  readonly heard: string[];
  readonly leased: Map<Mac, string>;
  /** Host names as they were told. */
  readonly names: Map<Mac, string>;
  /** Says nothing. */
  silent: boolean;
  /** Refuses whatever is requested, and offers nothing. */
  refuses: boolean;
  /** Gives an address that is asked for. */
  wishes: boolean;
  /** Of what it grants. */
  how: Answer;
  /** The next address. */
  next: number;
}

const names = Object.fromEntries(Object.entries(messageType).map(([name, type]) => [type, name]));

function serve(server: FakeServer, where: string, message: Message, say: (frame: Uint8Array) => void): void {
  const type = names[typeOf(message)!]!;
  server.heard.push(`${type} ${where}`);
  const hostName = message.options.get(12);
  if (hostName !== undefined) server.names.set(message.mac, Buffer.from(hostName).toString());
  if (type === 'release' || type === 'decline') server.leased.delete(message.mac);
  if (type === 'decline') server.next += 1;
  if (server.silent || (type !== 'discover' && type !== 'request')) return;
  if (server.refuses) {
    if (type === 'request') say(framed(answer(message, 'nak')));
    return;
  }
  const asked = message.options.get(50);
  const wanted = message.current === undefined ? asked?.join('.') : formatAddress(message.current);
  const free = (server.wishes ? wanted : undefined) ?? `192.168.7.${server.next}`;
  const held = server.leased.get(message.mac) ?? free;
  if (type === 'request' && wanted !== undefined && wanted !== held && server.leased.has(message.mac)) {
    say(framed(answer(message, 'nak')));
    return;
  }
  const yours = type === 'request' ? (wanted ?? held) : held;
  if (type === 'request') {
    if (!server.leased.has(message.mac)) server.next += 1;
    server.leased.set(message.mac, yours);
  }
  say(framed(answer(message, type === 'discover' ? 'offer' : 'ack', { ...server.how, yours })));
}

export type DhcpTestStage = Awaited<ReturnType<typeof openStage>>;

/**
 * @param store the one of a stage before, as after a restart of the agent.
 * @param options more of the network's.
 */
export async function openStage(store = createMemoryStore(), options: Readonly<Record<string, string>> = {}) {
  const server6 = openServer6();
  const server: FakeServer = {
    heard: [],
    leased: new Map(),
    names: new Map(),
    silent: false,
    refuses: false,
    wishes: false,
    how: {},
    next: 20,
  };
  const executed: KernelStep[] = [];
  const prepared: string[] = [];
  const missing = new Set<string>();
  const mounted = new Set<string>();
  const locked = new Set<string>();
  const exposed = new Map<string, readonly string[]>();
  const written = new Map<string, Marks>();
  const out = { flushed: Promise.resolve() };
  const kernel = {
    packets({ link, netns }: PacketRequest): Promise<PacketPort> {
      const listeners = new Set<(frame: Uint8Array) => void>();
      if (missing.has(link)) return Promise.reject(new BerthError('INTERFACE_UNKNOWN', `there is no ${link}`));
      return Promise.resolve({
        mac: '02:00:00:00:00:01' as Mac,
        index: 1,
        send(frame) {
          const say = (reply: Uint8Array) => {
            for (const listener of listeners) listener(reply);
          };
          const datagram = decodeFrame(frame);
          const message = datagram && decodeMessage(datagram.data);
          setImmediate(() => {
            if (message !== undefined) serve(server, netns === undefined ? link : `${link} in ${netns}`, message, say);
            else for (const reply of serve6(server6, frame)) say(reply);
          });
        },
        onFrame(listener) {
          listeners.add(listener);
          return () => void listeners.delete(listener);
        },
        flushed: () => out.flushed,
        onEnded() {},
        close: () => listeners.clear(),
      });
    },
    execute(steps: readonly KernelStep[]) {
      executed.push(...steps);
      return Promise.resolve();
    },
  } satisfies Partial<Kernel> as unknown as Kernel;
  const state = await openState(store, 'h');
  if (!state.networks.has(network.id))
    await state.putNetwork({ ...network, options: { ...network.options, ...options } });
  const told: EventView[] = [];
  const events = openEvents(pino({ level: 'silent' }));
  events.follow((event) => told.push(event));
  let containers: readonly ListedContainer[] = [];
  const book = await openBook(storeNotes(store, 'h'), () => undefined);
  const clock = { now: 1_000_000, monotonic: 0, slept: 0 };
  const started = performance.now();
  const passed = () => performance.now() - started;
  const dhcp = createDhcp({
    book,
    ports: createPorts(kernel),
    hostKey: 'this host',
    engine: {
      containers: () => Promise.resolve(containers),
      container: (wanted) => {
        const found = containers.find((one) => one.id === wanted);
        if (found !== undefined && locked.has(found.name)) return new Promise(() => undefined);
        const ports = exposed.get(found?.name ?? '');
        const marks = { root: `/roots/${found?.name}`, ...(ports === undefined ? {} : { exposes: ports }) };
        return Promise.resolve(found && { ...found, hostName: '', labels: {}, networkMode: '', ...marks });
      },
    },
    written: (wanted) => written.get(wanted),
    mountPoints: () => new Set([...mounted].map((name) => `/roots/${name}`)),
    state,
    kernel,
    names: createNames(),
    events,
    metrics: createMetrics(),
    now: () => Math.round(clock.now + passed()),
    monotonic: () => clock.monotonic + passed(),
    uptime: () => clock.monotonic + clock.slept + passed(),
    context: () => ({ host: { links: [], addresses: [], routes: [] } }) as never,
    prepare: (id) => {
      prepared.push(id);
      missing.clear();
      return Promise.resolve();
    },
    patience: 1000,
    engineIsNew: () => false,
    occupied: () => true,
  });
  return {
    store,
    server,
    server6,
    dhcp,
    state,
    clock,
    told,
    executed,
    prepared,
    missing,
    /** Containers whose root file system is mounted. */
    mounted,
    /** What the engine has written down, by the container's id. */
    written,
    /** When what is sent has gone out. */
    out,
    /** Containers of which the engine does not answer, as while they are being started. */
    locked,
    /** Ports by the name of the container. */
    exposed,
    events: () => told.map(({ event }) => event),
    /** The engine has these containers from now on. */
    async engineHas(...all: readonly ListedContainer[]) {
      containers = all;
      dhcp.containersChanged();
      await new Promise((resolve) => setImmediate(resolve));
    },
    /** As when the collector has looked: endpoints by the container that has them. */
    learn: (pairs: Readonly<Record<string, string>> = {}) =>
      dhcp.learn([
        {
          id: network.id,
          endpoints: Object.entries(pairs).map(([endpoint, container]) => ({
            id: id(endpoint),
            container: container.padEnd(64, '0'),
            name: container,
            addresses: [],
          })),
        } as unknown as EngineNetwork,
      ]),
    /** What was sent without waiting for an answer has been heard. */
    heard: () => new Promise<void>((resolve) => setTimeout(resolve, 5)),
    /** CreateEndpoint and Join; the container's address, and the endpoint. */
    async start(
      name: string,
      request: Partial<CreateEndpoint> = {},
    ): Promise<{ readonly address: string; readonly mac: Mac; readonly address6?: string }> {
      const leased = await dhcp.acquire(state.networks.get(network.id)!, {
        network: network.id,
        endpoint: id(name),
        addresses: [],
        options: {},
        publishes: false,
        ...request,
      });
      const endpoint: Endpoint = {
        id: id(name),
        network: network.id,
        phase: 'attached',
        ...leased,
        sandbox: `/run/${name}`,
        sandboxInterface: 'eth0',
        publishes: false,
        options: {},
        settings: null,
        createdAt: 0,
      };
      await state.putEndpoint(endpoint);
      dhcp.settled(id(name));
      dhcp.attached(id(name));
      const six = leased.addresses.find((one) => one.address.family === 6);
      return {
        address: formatAddress(leased.addresses[0]!.address),
        mac: leased.mac,
        ...(six === undefined ? {} : { address6: formatPrefix(six) }),
      };
    },
    stop: (name: string) => state.deleteEndpoint(id(name)),
  };
}

export const id = (name: string): EndpointId => name.padEnd(64, '0') as EndpointId;

/** A container that waits to be started, on the network. */
export function container(name: string, more: Partial<ListedContainer> = {}): ListedContainer {
  return { id: name.padEnd(64, '0'), name, running: false, networks: [{ key: 'lan', id: network.id }], ...more };
}
