/** The daemon: opens what it stands on, recovers, serves, and drains when it is told to stop. */

import { createHash, randomUUID } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { hostname, uptime } from 'node:os';
import { type Logger, pino } from 'pino';
import * as z from 'zod';
import { connectEngine } from '../docker/engine-client.ts';
import { createPluginServer, type PluginServer } from '../docker/plugin-server.ts';
import { openIpam } from '../ipam/ipam.ts';
import { openKernel } from '../kernel/linux.ts';
import { version } from '../model/version.ts';
import type { Store } from '../store/store.ts';
import { createAdoption } from './adoption.ts';
import { apiSocket, serveApi } from './api-server.ts';
import { createAttachments } from './attachments.ts';
import { createAuditor } from './auditor.ts';
import { createCluster } from './cluster/cluster.ts';
import { hasNetworks, refuseHalfMigrated } from './cluster/migration.ts';
import { withoutStore } from './cluster/offline.ts';
import { followSegments } from './cluster/segments.ts';
import { createCollector } from './collector.ts';
import { type ApiConfig, type Config, type GivenConfig, loadConfig, type PluginConfig } from './config.ts';
import { createConflicts } from './conflicts/conflicts.ts';
import { crashPoints } from './crash-points.ts';
import { hostKey, openBook } from './dhcp/book.ts';
import { readMarks } from './dhcp/engine-files.ts';
import { createDhcp } from './dhcp/manager.ts';
import { mountPoints } from './dhcp/mounts.ts';
import { createPorts } from './dhcp/ports.ts';
import { followCluster } from './engine-networks/follow-cluster.ts';
import { openEvents } from './events.ts';
import { apiHandlers } from './handlers.ts';
import { watchHost } from './host.ts';
import { createLeases } from './leases.ts';
import { createLifecycle } from './lifecycle.ts';
import { createMetrics } from './metrics.ts';
import { createNames } from './names.ts';
import { createNetworkDriver } from './network-driver.ts';
import { startNeutron } from './neutron/start.ts';
import { serviceManager } from './notify.ts';
import { mayBeOccupied } from './occupied.ts';
import { listenAt, makeFolder, refuseServed, socketOf } from './places.ts';
import { createPluginDrivers } from './plugin-drivers.ts';
import { createReaching } from './reach/reaching.ts';
import { createRegistration } from './registration.ts';
import { createSandboxes } from './sandboxes.ts';
import { settleScopes } from './scopes.ts';
import { openState, storeNotes } from './state.ts';
import { createStatus } from './status.ts';
import { awayIsNoFailure, openStores } from './stores.ts';
import { createSwarmNetworks } from './swarm/networks.ts';

/** Engines that crash on a driver which returns a gateway (moby#51554). */
const REFUSES_GATEWAY = /^29\.0\.[0-2]($|[^0-9])/;

/**
 * Runs the agent until SIGTERM or SIGINT, in the foreground, logging to standard error.
 *
 * @param flags those that were given, by configuration key.
 * @param remarks on how it was started, for the log.
 * @throws BerthError BAD_CONFIG, STATE_LOCKED, STORE_CORRUPT, STORE_NEWER, SOCKET_IN_USE: nothing was changed.
 */
export async function runAgent(
  flags: Readonly<Record<string, string>>,
  remarks: readonly string[] = [],
  serveMaster?: ServeMaster,
): Promise<void> {
  // From the start: whoever stops it while it starts must not leave names behind that nobody answers.
  const { promise: told, resolve: tell } = Promise.withResolvers<NodeJS.Signals>();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, tell);
  const config = loadConfig(flags, process.env);
  const logger = pino({ level: config.logLevel, base: null }, pino.destination({ dest: 2, sync: true }));
  for (const remark of remarks) logger.warn({ event: 'agent.flag' }, remark);
  const agent = await startAgent(config, logger, serveMaster);
  const manager = await serviceManager(process.env);
  manager.ready();
  logger.info(
    { event: 'agent.ready', pid: process.pid },
    `Berth ${version} serves ${config.plugins.map(({ name }) => name).join(', ')}`,
  );
  const signal = await told;
  manager.stopping();
  logger.info({ event: 'agent.stopping' }, `stopping on ${signal}; the containers keep their network`);
  await agent.stop();
  manager.close();
}

/**
 * Serves the cluster's API on the agent's own store, where the configuration asks for it. It is handed in: the agent knows nothing of
 * masters.
 */
export type ServeMaster = (store: Store, settings: ApiConfig, logger: Logger) => Promise<{ close(): Promise<void> }>;

interface Agent {
  /** Answers what has been asked, then lets go of everything. The kernel keeps what it has. */
  stop(): Promise<void>;
}

async function startAgent(given: GivenConfig, logger: Logger, serveMaster?: ServeMaster): Promise<Agent> {
  const startedAt = new Date();
  makeFolder(given.stateDir, 0o700);
  makeFolder(given.runDir, 0o755);
  makeFolder(given.pluginDir, 0o755);
  const crash = crashPoints(process.env);
  await using cleanup = new AsyncDisposableStack();

  const events = openEvents(logger);
  const stores = await openStores(given, events, crash.store);
  cleanup.defer(() => stores.close());
  const notes = storeNotes(stores.local, hostname());
  const config: Config = { ...given, plugins: await settleScopes(given.plugins, connectEngine(given.docker), notes) };
  // Before anything is done: whoever serves there has containers that are none of ours.
  await refuseServed([apiSocket(config.runDir), ...config.plugins.flatMap((plugin) => socketOf(config, plugin) ?? [])]);
  if (!stores.away()) await refuseHalfMigrated(stores.shared);
  const kernel = crash.kernel(await openKernel({ ovsDatabase: config.ovsDatabase }));
  cleanup.defer(() => kernel.close());
  const host = await watchHost(kernel);
  const metrics = createMetrics();
  const plugins = new Map<string, PluginConfig>(config.plugins.map((plugin) => [plugin.name, plugin]));
  const state = await openState(stores.local, hostname());
  const names = createNames((id) => state.endpoints.get(id)?.attachment?.container);
  const [now, monotonic] = [Date.now, () => performance.now()];
  const knownEngine = z
    .string()
    .optional()
    .parse(await notes.get('engine'));

  const identity = await hostKey(notes, machineId(), randomUUID);
  const cluster =
    stores.isShared || config.api !== undefined || (await hasNetworks(stores.shared))
      ? await createCluster({
          store: stores.shared,
          away: stores.away,
          config,
          identity,
          state,
          names,
          kernel,
          host,
          notes,
          events,
          container: (id) => engine.container(id),
          engine: () => collector.engine(),
          now,
          monotonic,
        })
      : undefined;
  if (cluster !== undefined) cleanup.defer(() => cluster.close());

  const parts = { config, notes, events, metrics, state, now, monotonic };
  const neutron = await startNeutron({ ...parts, env: process.env, crash: crash.neutron });
  if (neutron !== undefined) cleanup.defer(() => neutron.close());

  const lifecycle = createLifecycle({
    state,
    kernel,
    host,
    notes,
    events,
    cluster: cluster?.view,
    neutron: neutron?.view,
    defaults: { bridge: config.bridge, ovsDatabase: config.ovsDatabase },
    engineRefusesGateway: () => REFUSES_GATEWAY.test(collector.engine().info?.version ?? ''),
    linger: config.linger,
  });
  cleanup.defer(() => lifecycle.close());
  const ipam = await withoutStore({
    ipam: await openIpam(stores.shared, { bases: config.defaultPools }),
    away: stores.away,
    notes,
    events,
  });
  const segments = cluster && followSegments({ cluster, lifecycle, host, ipam, state, events });
  const conflicts = createConflicts({
    state,
    kernel,
    host,
    names,
    events,
    metrics,
    prepare: lifecycle.prepare,
    now,
    monotonic,
  });
  cleanup.defer(() => conflicts.close());
  const leases = createLeases({
    ipam,
    state,
    host,
    names,
    plugins,
    conflicts,
    cluster: cluster && { ...cluster, store: stores.shared, events },
    engineId: () => collector.engine().id,
    monotonic,
  });
  const following = new AbortController();
  const engine = connectEngine(config.docker, { signal: following.signal });
  const dhcp = createDhcp({
    book: await openBook(notes, (key) =>
      events.emit('dhcp.unreadable', `the DHCP lease ${key} in the store is not readable`),
    ),
    ports: createPorts(kernel),
    hostKey: identity,
    engine,
    state,
    kernel,
    names,
    events,
    metrics,
    now,
    monotonic,
    uptime: () => uptime() * 1000,
    context: lifecycle.context,
    prepare: lifecycle.prepare,
    patience: 8000,
    engineIsNew: leases.engineIsNew,
    occupied: mayBeOccupied,
    mountPoints,
    written: (container) => readMarks(collector.engine().info?.folder ?? '/var/lib/docker', container),
  });
  cleanup.defer(() => dhcp.close());
  const networkDriver = createNetworkDriver({
    dhcp,
    state,
    lifecycle,
    leases,
    names,
    conflicts,
    host,
    plugins,
    now,
    occupied: mayBeOccupied,
  });
  const sandboxes = createSandboxes({ state, kernel, host, lifecycle, events, found: dhcp.attached });
  cleanup.defer(() => sandboxes.close());
  const attachments = createAttachments({
    dhcp,
    state,
    lifecycle,
    leases,
    names,
    host,
    now,
    engine,
    kernel,
    conflicts,
    events,
    strange: () => collector.engine().strange,
    interval: config.auditInterval,
  });
  const managed = process.env.BERTH_MANAGED === 'true';
  const engineNetworks = followCluster({
    managed,
    cluster,
    store: stores.shared,
    plugins,
    engine,
    collector: () => collector,
    state,
    lifecycle,
    ipam,
    events,
    interval: config.auditInterval,
    now,
    monotonic,
  });
  cleanup.defer(() => engineNetworks.close());
  const collector = createCollector({
    engine,
    dhcp,
    hear(event) {
      attachments.hear(event);
      engineNetworks.hear(event);
    },
    state,
    lifecycle,
    leases: neutron === undefined ? leases : neutron.withLeases(leases),
    names,
    events,
    metrics,
    plugins,
    grace: config.gcGrace,
    interval: config.auditInterval,
    adoption: createAdoption({ state, lifecycle, leases, host, plugins, neutron: neutron?.takeover(lifecycle), now }),
    audit: async () => void (await auditor.audit(true)),
    knownEngine,
    rememberEngine: (id) => notes.put('engine', id),
    monotonic,
  });
  const auditor = createAuditor({ state, kernel, host, lifecycle, events, metrics, interval: config.auditInterval });
  const reaching = createReaching({
    host: config.host,
    cluster,
    store: stores.shared,
    state,
    names,
    lifecycle,
    kernel,
    hostFacts: host,
    auditor,
    events,
  });
  cleanup.defer(() => reaching.close());
  const servers: PluginServer[] = [];
  const status = createStatus({
    config,
    cluster,
    neutron,
    startedAt,
    state,
    lifecycle,
    leases,
    dhcp,
    names,
    conflicts,
    attachments,
    collector,
    engineNetworks,
    auditor,
    storeHealth: stores.health,
    addressOf: (plugin) => servers[config.plugins.indexOf(plugin)]?.addresses[0],
  });
  const registration = await createRegistration({
    state,
    names,
    events,
    metrics,
    notes,
    host,
    kernel,
    container: (id) => engine.container(id),
    identity,
    interval: config.auditInterval,
  });
  cleanup.defer(() => registration.close());
  metrics.gauges(() => ({ ...status.counts(), objects: status.objects(), journal: state.pending() }));

  if (config.api !== undefined && serveMaster !== undefined) {
    const master = await serveMaster(stores.shared, config.api, logger);
    cleanup.defer(() => master.close());
  }
  await cluster?.start();
  await neutron?.recover();
  await lifecycle.recover();
  await attachments.recover();
  // What a network that was on its way out when we died still held; where the store is away, the next look does it.
  if (!stores.away()) await leases.freeReleased().catch(awayIsNoFailure);
  await ipam.settle();
  events.follow(({ event }) => {
    if (event === 'store.recovered') void ipam.settle();
  });
  await auditor.pass();
  segments?.();
  auditor.start();
  cleanup.defer(() => auditor.stop());
  attachments.start();
  cleanup.defer(() => attachments.stop());
  dhcp.start();
  registration.start();
  reaching.start();
  for (const endpoint of state.endpoints.values()) {
    if (endpoint.phase === 'attached' && endpoint.sandboxInterface === undefined) sandboxes.watch(endpoint.id);
    if (endpoint.sandbox !== undefined && existsSync(endpoint.sandbox)) conflicts.resume(endpoint.id);
  }

  const api = await serveApi(
    {
      handlers: apiHandlers({
        hosts: { cluster, store: stores.shared },
        reaching,
        state,
        lifecycle,
        attachments,
        leases,
        dhcp,
        names,
        conflicts,
        registration,
        auditor,
        collector,
        neutron,
        status: status.view,
      }),
      follow: events.follow,
      metrics: () => metrics.registry.metrics(),
      health: status.health,
    },
    config.runDir,
    config.metricsAddress,
  );
  cleanup.defer(() => api.close());

  cleanup.defer(async () => {
    await Promise.all(servers.map((server) => server.close()));
    await lifecycle.settled();
  });
  const driversOf = createPluginDrivers({
    state,
    lifecycle,
    networkDriver,
    leases,
    ipam,
    dhcp,
    attachments,
    sandboxes,
    swarmNetworks: createSwarmNetworks({ cluster, nodes: () => collector.engine().info?.nodes }),
    engineNetworks,
    collector,
    cluster,
    neutron,
    plugins,
    bridge: config.bridge,
    managed,
  });
  for (const plugin of config.plugins) {
    const server = createPluginServer({
      name: plugin.name,
      ...driversOf(plugin),
      logger,
      onCall: ({ method, code, milliseconds }) => {
        metrics.pluginCall(plugin.name, method, code ?? 'ok', milliseconds / 1000);
        if (method !== 'Plugin.Activate') return;
        leases.engineStarted();
        collector.engineStarted();
      },
    });
    servers.push(server);
    await server.listen(listenAt(config, plugin));
  }

  const followed = Promise.all([collector.follow(following.signal), leases.follow(following.signal)]);
  cleanup.defer(async () => {
    following.abort();
    await followed;
  });

  const running = cleanup.move();
  return { stop: () => running.disposeAsync() };
}

/** machine-id(5). */
function machineId(): string | undefined {
  const path = '/etc/machine-id';
  const text = statSync(path, { throwIfNoEntry: false })?.isFile() === true ? readFileSync(path, 'utf8').trim() : '';
  return /^[0-9a-f]{32}$/.test(text)
    ? createHash('sha256').update(`berth ${text} ${hostname()}`).digest('hex')
    : undefined;
}
