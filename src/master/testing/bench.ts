/** A master for tests: on a store in memory unless told otherwise, on a port of its own. */

import { pino } from 'pino';
import { keys } from '../../model/keys.ts';
import { type ClusterEndpoint, encodeClusterEndpoint } from '../../objects/codec.ts';
import { gateOpen } from '../../objects/gate.ts';
import { createMemoryStore } from '../../store/memory.ts';
import type { Store } from '../../store/store.ts';
import type { MasterOptions } from '../config.ts';
import { type Master, startMaster } from '../main.ts';

export interface Reply {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
  /** The body as JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests say what they expect.
  readonly json: any;
}

export interface Bench {
  readonly store: Store;
  readonly master: Master;
  readonly url: string;
  /** @param path after `/api/v1/`, or from the root with a slash. @param body an object, or text that is sent as it is. */
  call(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<Reply>;
  /** What the audit says of writes. */
  readonly audit: readonly Readonly<Record<string, unknown>>[];
  /** What is logged of faults of ours. */
  readonly defects: readonly Readonly<Record<string, unknown>>[];
  /** What it says of requests without the right token. */
  readonly refused: readonly Readonly<Record<string, unknown>>[];
  [Symbol.asyncDispose](): Promise<void>;
}

export async function startBench(options: Partial<MasterOptions> = {}, store?: Store): Promise<Bench> {
  const own = store ?? createMemoryStore();
  const audit: Record<string, unknown>[] = [];
  const refused: Record<string, unknown>[] = [];
  const defects: Record<string, unknown>[] = [];
  const lines = {
    write(line: string) {
      const entry = JSON.parse(line) as Record<string, unknown>;
      if (entry.event === 'audit') audit.push(entry);
      if (entry.event === 'refused') refused.push(entry);
      if (entry.event === 'master.defect') defects.push(entry);
    },
  };
  const logger = pino({ level: 'info', base: null }, lines);
  const master = await startMaster(
    own,
    { listen: ['127.0.0.1:0'], forwardMode: 'bridge', fabricMode: 'default', clusterMode: 'docker', ...options },
    logger,
  );
  const scheme = options.tlsCert === undefined ? 'http' : 'https';
  const url = `${scheme}://127.0.0.1:${master.servers[0]!.address.port}`;
  return {
    store: own,
    master,
    url,
    audit,
    refused,
    defects,
    async call(method, path, body, headers = {}) {
      const response = await fetch(path.startsWith('/') ? `${url}${path}` : `${url}/api/v1/${path}`, {
        method,
        headers: { 'content-type': 'application/json', ...headers },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      });
      const text = await response.text();
      return {
        status: response.status,
        text: text.trimEnd(),
        headers: response.headers,
        get json() {
          return JSON.parse(text);
        },
      };
    },
    async [Symbol.asyncDispose]() {
      await master.close();
      if (store === undefined) await own.close();
    },
  };
}

/** Writes what an agent writes when a container is on a network. @param network `TENANT:NETWORK` */
export async function addEndpoint(
  store: Store,
  network: string,
  id: string,
  more: Partial<ClusterEndpoint> = {},
): Promise<void> {
  const endpoint: ClusterEndpoint = {
    id,
    network,
    host: 'host1',
    addresses: ['10.1.1.1'],
    mac: '02:02:0a:01:01:01',
    ...more,
  };
  const { committed } = await store.transact({
    if: gateOpen(network),
    then: [{ do: 'put', key: keys.clusterEndpoint(network, id), value: encodeClusterEndpoint(endpoint) }],
  });
  if (!committed) throw new Error(`the network ${network} is not there, or its gate is closed`);
}
