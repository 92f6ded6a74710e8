/** Everything that this host has to do with Neutron, put together. */

import type { IpamDriver, NetworkDriver } from '../../docker/driver.ts';
import type { EngineNetwork } from '../../docker/engine.ts';
import type { Notes } from '../../fabric/fabric.ts';
import { createAddressChoice } from '../../fabric/neutron/address-choice.ts';
import { wiredByProgram } from '../../fabric/neutron/binding.ts';
import { executableFor } from '../../fabric/neutron/bindings/executable.ts';
import { tapName } from '../../fabric/neutron/bindings/pair.ts';
import { type Book, openBook } from '../../fabric/neutron/book.ts';
import { createDepartures } from '../../fabric/neutron/departures.ts';
import { createGroups } from '../../fabric/neutron/exposed.ts';
import { createFinding } from '../../fabric/neutron/finding.ts';
import { createNetworks } from '../../fabric/neutron/networks.ts';
import { createOutside } from '../../fabric/neutron/outside.ts';
import { createPools } from '../../fabric/neutron/pools.ts';
import { createWishResolver } from '../../fabric/neutron/port-wishes.ts';
import { createPorts, type Place } from '../../fabric/neutron/ports.ts';
import { networkSettings } from '../../fabric/neutron/settings.ts';
import type { NeutronView } from '../../fabric/neutron/view.ts';
import type { HostLink } from '../../kernel/kernel.ts';
import { asBerthError } from '../../model/errors.ts';
import type { EndpointId, NetworkId } from '../../model/ids.ts';
import type { Bounds } from '../../openstack/bounds.ts';
import type { Neutron } from '../../openstack/neutron/neutron.ts';
import type { GarbageView, LeaseView, PoolView } from '../api.ts';
import type { Events } from '../events.ts';
import type { Lifecycle } from '../lifecycle.ts';
import type { Names } from '../names.ts';
import type { State } from '../state.ts';
import { createActivation } from './activation.ts';
import { neutronLeases, neutronPools } from './address-views.ts';
import { createAsking } from './asking.ts';
import { type CollectParts, collectFromNeutron } from './collect.ts';
import { createNeutronDriver } from './driver.ts';
import { createFollowing } from './following.ts';
import { createNested, type NestedConfig, unfasten } from './nested.ts';
import { createPlugging, unbind } from './plugging.ts';
import type { Reachability } from './reachability.ts';
import type { NeutronStatusView } from './status-view.ts';
import { createSweep } from './sweep.ts';
import { createTakeover, type Takeover } from './takeover.ts';

export interface NeutronConfig {
  /** As Neutron's agent on this host calls it. */
  readonly host: string;
  readonly defaultPools: { readonly 4: string; readonly 6: string };
  readonly dhcp: boolean;
  readonly interfacePrefix: string;
  /** Who chooses MAC addresses of containers: with `neutron`, ports can be made ahead. */
  readonly macs: 'engine' | 'neutron';
  /** Where there are executables that wire ports. */
  readonly bindir: string;
  readonly nested?: NestedConfig;
  /** Absent: nobody waits for a port to become active. Milliseconds; undefined: as long as there is time. */
  readonly activation?: { readonly timeout: number | undefined };
  /** How subnet pools are called that kuryr-libnetwork makes. */
  readonly kuryrPools: string;
  /** Where this is from. */
  readonly files: readonly string[];
  /** Ports that containers expose are opened in a security group: `process_external_connectivity`. */
  readonly opensExposed: boolean;
}

export interface NeutronServiceParts extends Pick<CollectParts, 'metrics'> {
  readonly client: Neutron;
  readonly reachability: Pick<Reachability, 'view' | 'problems'>;
  readonly config: NeutronConfig;
  readonly notes: Notes;
  readonly events: Pick<Events, 'emit'>;
  readonly state: State;
  /** Milliseconds: how long something may be without an owner, and how often that is looked for. */
  readonly grace: number;
  readonly interval: number;
  now(): number;
  monotonic(): number;
}

export interface NeutronService {
  readonly view: NeutronView;
  status(): NeutronStatusView;
  /** A sentence each. */
  problems(): readonly string[];
  pools(): readonly PoolView[];
  /** Addresses that this host has of Neutron. */
  leases(names: Names): readonly LeaseView[];
  /**
   * What is orphaned in Neutron or here; with `apply`, it is removed.
   *
   * @param engine its networks that Berth serves, and the containers on them.
   */
  collect(engine: readonly EngineNetwork[], apply: boolean): Promise<readonly GarbageView[]>;
  /** Neutron has answered again: what waits for that is tried now. */
  hurry(): void;
  endpointGone(endpoint: EndpointId): Promise<void>;
  /** Finishes what a crash interrupted, in the background. */
  recover(): Promise<void>;
  drivers(parts: { readonly lifecycle: Lifecycle; readonly base: NetworkDriver }): {
    readonly network: NetworkDriver;
    readonly ipam: IpamDriver;
  };
  /** Of networks that the engine has and we do not. */
  takeover(lifecycle: Lifecycle): Takeover;
  close(): void;
}

export async function createNeutronService(parts: NeutronServiceParts): Promise<NeutronService> {
  const { client, config, notes, events, state, now, reachability } = parts;
  const { host } = config;
  const book: Book = await openBook(notes, (key) =>
    events.emit('neutron.unreadable', `the record ${key} in the store is not readable`),
  );
  const departures = createDepartures((key, sentence) =>
    events.emit('neutron.failed', `cannot remove ${key} from Neutron yet: ${sentence}`),
  );
  const choice = createAddressChoice(client);
  const pools = createPools({ book, neutron: client, defaults: { pools: config.defaultPools }, now });
  const networks = createNetworks({
    book,
    neutron: client,
    departures,
    host,
    settle: parts.grace,
    now,
    defaults: config,
    left: (network, sentence) => events.emit('neutron.left', sentence, { network }),
  });
  const agents = async (bounds: Bounds) => {
    const found = await client.agents.list({ host }, { ...bounds, fields: ['agent_type', 'alive'] });
    return found.map(({ agent_type, alive }) => `${agent_type} (${alive ? 'alive' : 'not alive'})`);
  };
  const failed = (endpoint: EndpointId, sentence: string) => events.emit('neutron.failed', sentence, { endpoint });
  let links: () => readonly HostLink[] = () => [];
  const ports = createPorts({
    book,
    isAlive: (endpoint) => (state.endpoints.get(endpoint)?.phase ?? 'removing') !== 'removing',
    isPlugged: (port) => links().some(({ name }) => name === tapName({ port })),
    neutron: client,
    departures,
    choice,
    host,
    owner: 'compute:kuryr',
    settle: parts.grace,
    nested: config.nested !== undefined,
    warm: {
      enabled: config.macs === 'neutron' && config.nested === undefined,
      failed: (network, sentence) => events.emit('neutron.failed', sentence, { network }),
    },
    unfasten: (record, fastened, bounds) =>
      fastened.by === 'executable'
        ? unbind(record, fastened, bounds, failed)
        : unfasten(client, record.port, fastened, bounds),
    now,
  });
  const { activation, bindir } = config;
  const active = activation && createActivation({ ...activation, neutron: client, host, agents });
  const nested = config.nested && createNested({ ...config.nested, neutron: client, ports });
  const plugging = createPlugging({ ports, bindir, active, failed });
  const groups = createGroups({ book, neutron: client, departures, settle: parts.grace, now });
  const outside = createOutside({
    book,
    neutron: client,
    ports,
    groups,
    departures,
    host,
    opensExposed: config.opensExposed,
    settle: parts.grace,
    now,
  });

  /** The network's warm ports first: with them it cannot be removed. */
  async function leave(network: NetworkId): Promise<void> {
    await ports.warm.close(network);
    await networks.leave(network);
  }

  const places = (): readonly Place[] =>
    [...state.networks.values()]
      .filter(({ id, fabric }) => fabric === 'neutron' && book.networks.get(id)?.phase === 'held')
      .map((network) => ({ network: network.id, settings: networkSettings(network) }));

  const finding = createFinding(client, host);
  let looking: NodeJS.Timeout | undefined;
  function look(sweep: () => Promise<void>): void {
    looking = setInterval(() => {
      void ports.warm.check(places());
      void sweep().catch((error: unknown) =>
        events.emit('neutron.failed', `cannot write down what goes: ${asBerthError(error).message}`),
      );
    }, parts.interval);
    looking.unref();
  }

  return {
    view: { close: leave },
    status: () => ({
      host,
      files: config.files,
      services: reachability.view(),
      ports: book.ports.all().filter(({ phase }) => phase === 'held').length,
      networks: book.networks.all().filter(({ phase }) => phase === 'held').length,
      waiting: departures.waiting(),
    }),
    problems() {
      const { count, problem } = departures.waiting();
      const late = problem === undefined ? [] : [`${count} of this host wait to be removed from Neutron: ${problem}`];
      return [...reachability.problems(), ...late];
    },
    pools: () => neutronPools(book),
    leases: (names) => neutronLeases(book, names),
    collect: (engine, apply) => collectFromNeutron({ ...parts, book, host }, engine, apply),
    hurry() {
      departures.hurry();
      ports.warm.hurry();
    },
    async endpointGone(endpoint) {
      await outside.close(endpoint);
      await ports.endpointGone(endpoint);
    },
    async recover() {
      await outside.recover();
      await ports.recover();
      await groups.recover();
      await networks.recover();
      void ports.warm.check(places());
    },
    drivers({ lifecycle, base }) {
      links = () => lifecycle.context().host.links;
      const asking = createAsking(parts.monotonic);
      look(
        createSweep({
          ...parts,
          book,
          networks: { close: leave },
          ports,
          outside,
          groups,
          serialise: lifecycle.serialise,
          quiet: asking.quiet,
        }),
      );
      const drivers = createNeutronDriver({
        state,
        lifecycle,
        book,
        pools,
        networks,
        ports,
        outside,
        following: createFollowing({
          state,
          lifecycle,
          book,
          finding,
          networks,
          host,
          now,
        }),
        host,
        resolve: createWishResolver(client),
        base,
        plugging,
        nested,
        macs: config.macs,
        hasProgram: (type) => wiredByProgram(type) && executableFor(type, bindir) !== undefined,
        now,
        agents,
      });
      return asking.watched(drivers);
    },
    takeover: (lifecycle) =>
      createTakeover({
        state,
        lifecycle,
        book,
        finding,
        networks,
        neutron: client,
        events,
        host,
        kuryrPools: config.kuryrPools,
        nested: config.nested !== undefined,
        now,
      }),
    close() {
      clearInterval(looking);
      ports.warm.stop();
      departures.close();
      client.close();
    },
  };
}
