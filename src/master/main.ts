/** The master: serves the cluster's API until it is told to stop. Any number of them may run on one store. */

import { type Logger, pino } from 'pino';
import { BerthError } from '../model/errors.ts';
import { kindOf } from '../model/objects/kinds.ts';
import { version } from '../model/version.ts';
import { openRegistry, type Registry } from '../objects/registry.ts';
import { openStore } from '../store/open.ts';
import type { Store } from '../store/store.ts';
import { openAccess, tokenAccess } from './access.ts';
import { type MasterOptions, parseListen, readTls } from './config.ts';
import { type ApiServer, serveApi } from './server.ts';

/**
 * Runs a master until SIGTERM or SIGINT, in the foreground, logging to standard error.
 *
 * @throws BerthError BAD_CONFIG, STATE_LOCKED, STORE_CORRUPT, STORE_NEWER, STORE_DENIED, STORE_UNAVAILABLE
 */
export async function runMaster(options: MasterOptions): Promise<void> {
  const { promise: told, resolve: tell } = Promise.withResolvers<NodeJS.Signals>();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, tell);
  const logger = pino({ level: options.logLevel, base: null }, pino.destination({ dest: 2, sync: true }));
  await using cleanup = new AsyncDisposableStack();
  const store = await openStore(options.store);
  cleanup.defer(() => store.close());
  const master = await startMaster(store, options, logger);
  cleanup.defer(() => master.close());
  const where = master.servers.map(({ address: { host, port } }) => `${host}:${port}`);
  logger.info(
    { event: 'master.ready', listen: where },
    `Berth ${version} serves the cluster's API on ${where.join(', ')}`,
  );
  const signal = await told;
  logger.info({ event: 'master.stopping' }, `stopping on ${signal}`);
}

export interface Master {
  readonly servers: readonly ApiServer[];
  readonly registry: Registry;
  close(): Promise<void>;
}

/**
 * A master on a store that somebody else has opened and will close: of one process together with the agent, or of a test.
 *
 * @throws BerthError BAD_CONFIG, and those of the store
 */
export async function startMaster(
  store: Store,
  options: Omit<MasterOptions, 'store' | 'logLevel'>,
  logger: Logger,
): Promise<Master> {
  const tls = readTls(options);
  const access = options.tokenFile === undefined ? openAccess : await tokenAccess(options.tokenFile);
  const listens = options.listen.map(parseListen);
  const audit = options.auditLog === undefined ? logger : openAudit(options.auditLog);
  const registry = openRegistry(store);
  await begin(registry, options, logger);
  if (options.tokenFile === undefined) {
    logger.warn({ event: 'master.open' }, 'no --token-file: whoever reaches the API may change the cluster');
  }
  const servers: ApiServer[] = [];
  const close = async () => {
    await Promise.all(servers.map((server) => server.close()));
    registry.close();
  };
  try {
    for (const listen of listens) {
      const server = await serveApi(
        {
          store,
          registry,
          clusterMode: options.clusterMode,
          access,
          tls,
          audit: (who, change) => audit.info({ event: 'audit', who: who.name ?? null, from: who.address, ...change }),
          defect: (error) => logger.error({ event: 'master.defect', err: error.cause ?? error }, 'a defect of Berth'),
          log(who, request) {
            const entry = { who: who.name ?? null, from: who.address, ...request };
            if (request.status === 401 || request.status === 403) audit.warn({ event: 'refused', ...entry });
            else logger.debug({ event: 'request', ...entry });
          },
        },
        listen,
      );
      servers.push(server);
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { servers, registry, close };
}

/** Each line is in the file before the change is answered. @throws BerthError BAD_CONFIG */
function openAudit(path: string): Logger {
  try {
    return pino({ base: null }, pino.destination({ dest: path, sync: true, mode: 0o600 }));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new BerthError('BAD_CONFIG', `the audit log cannot be written: ${why}`, { cause: error });
  }
}

/** What every cluster has from its first start on; a cluster that has it already keeps it as it is. */
async function begin(
  registry: Registry,
  { forwardMode, fabricMode }: Pick<MasterOptions, 'forwardMode' | 'fabricMode'>,
  logger: Logger,
): Promise<void> {
  const objects = await registry.current();
  const settings = objects.get('global', 'global')?.config;
  if (settings === undefined) {
    const body = { name: 'global', fwdMode: forwardMode, networkInfraType: fabricMode };
    await unlessThere(registry.put(kindOf('global'), 'global', body, 'none'));
  } else if (settings.fwdMode !== forwardMode) {
    logger.info(
      { event: 'master.settings' },
      `the cluster keeps its forwarding mode ${String(settings.fwdMode)}; change it with: netctl global set --fwd-mode ${forwardMode}`,
    );
  }
  if (objects.get('tenant', 'default') === undefined) {
    await unlessThere(registry.put(kindOf('tenant'), 'default', { tenantName: 'default' }, 'none'));
  }
}

/** Another master may be the first. */
async function unlessThere(making: Promise<unknown>): Promise<void> {
  await making.catch((error: unknown) => {
    if (!(error instanceof BerthError) || error.code !== 'REVISION_CHANGED') throw error;
  });
}
