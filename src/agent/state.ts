/**
 * The networks and endpoints of this host, in memory, with every change written to the store first. The journal stands beside
 * them: an entry says that the kernel is being changed, so that a restart finishes what a crash interrupted.
 */

import { formatAddress } from '../model/address.ts';
import type { EndpointId, NetworkId } from '../model/ids.ts';
import { keys, SCHEMA_VERSION } from '../model/keys.ts';
import type { Endpoint, Network } from '../model/network.ts';
import type { Operation, Store } from '../store/store.ts';
import {
  decodeEndpoint,
  decodeJournal,
  decodeNetwork,
  decodeNote,
  encodeEndpoint,
  encodeNetwork,
  type JournalEntry,
} from './records.ts';

export interface State {
  readonly networks: ReadonlyMap<NetworkId, Network>;
  readonly endpoints: ReadonlyMap<EndpointId, Endpoint>;
  /** What was found in the journal at start. */
  readonly interrupted: readonly JournalEntry[];
  /** Entries that are open now. */
  pending(): number;

  endpointsOf(network: NetworkId): readonly Endpoint[];
  /** Whether an endpoint of it is attached. Asked for each network at each Join. */
  carries(network: NetworkId): boolean;
  /** The endpoint that holds an address (text) on a network. */
  holder(network: NetworkId, address: string): Endpoint | undefined;
  macHolder(network: NetworkId, mac: string): Endpoint | undefined;

  /** Writes a network, and opens or closes a journal entry in the same transaction. */
  putNetwork(network: Network, journal?: JournalStep): Promise<void>;
  deleteNetwork(id: NetworkId, journal?: JournalStep): Promise<void>;
  putEndpoint(endpoint: Endpoint, journal?: JournalStep): Promise<void>;
  deleteEndpoint(id: EndpointId, journal?: JournalStep): Promise<void>;
  closeJournal(name: string): Promise<void>;
  /** Changes an endpoint in memory only, for what is worthless after a restart. */
  amendEndpoint(endpoint: Endpoint): void;
  /** Called after each change of a network or an endpoint, at once: to be used to begin something, not to do it. */
  onChange(listener: () => void): void;
}

export type JournalStep = { readonly open: JournalEntry } | { readonly close: string };

/**
 * Reads everything once.
 *
 * @throws BerthError STORE_CORRUPT, STORE_NEWER, STORE_UNAVAILABLE
 */
export async function openState(store: Store, host: string): Promise<State> {
  const networks = new Map<NetworkId, Network>();
  const endpoints = new Map<EndpointId, Endpoint>();
  const byNetwork = new Map<NetworkId, Map<EndpointId, Endpoint>>();
  const holders = new Map<string, EndpointId>();
  const journal = new Map<string, JournalEntry>();
  const listeners: (() => void)[] = [];
  const changed = (): void => {
    for (const listener of listeners) listener();
  };

  const names = (endpoint: Endpoint): string[] => [
    `${endpoint.network} ${endpoint.mac}`,
    ...endpoint.addresses.map(({ address }) => `${endpoint.network} ${formatAddress(address)}`),
  ];

  function forget(id: EndpointId): void {
    const old = endpoints.get(id);
    if (old === undefined) return;
    for (const name of names(old)) if (holders.get(name) === id) holders.delete(name);
    byNetwork.get(old.network)?.delete(id);
    endpoints.delete(id);
  }

  function remember(endpoint: Endpoint): void {
    forget(endpoint.id);
    endpoints.set(endpoint.id, endpoint);
    let siblings = byNetwork.get(endpoint.network);
    if (siblings === undefined) {
      siblings = new Map();
      byNetwork.set(endpoint.network, siblings);
    }
    siblings.set(endpoint.id, endpoint);
    // An endpoint that is going no longer holds anything: the engine may give its address to the next at once.
    if (endpoint.phase !== 'removing') for (const name of names(endpoint)) holders.set(name, endpoint.id);
  }

  function journalOperation(step: JournalStep | undefined): Operation[] {
    if (step === undefined) return [];
    if ('close' in step) return [{ do: 'delete', key: keys.journal(host, step.close) }];
    const value = JSON.stringify({ version: SCHEMA_VERSION, ...step.open });
    return [{ do: 'put', key: keys.journal(host, step.open.name), value }];
  }

  async function write(operation: Operation, step: JournalStep | undefined, relaxed = false): Promise<void> {
    await store.transact({ then: [operation, ...journalOperation(step)], relaxed });
    if (step === undefined) return;
    if ('close' in step) journal.delete(step.close);
    else journal.set(step.open.name, step.open);
  }

  for (const { key, value } of (await store.list(keys.networks)).entries) {
    const network = decodeNetwork(key, value);
    networks.set(network.id, network);
  }
  for (const { key, value } of (await store.list(keys.endpoints)).entries) remember(decodeEndpoint(key, value));
  const interrupted = (await store.list(keys.journals(host))).entries.map(({ key, value }) =>
    decodeJournal(key, value),
  );
  for (const entry of interrupted) journal.set(entry.name, entry);

  return {
    networks,
    endpoints,
    interrupted,
    pending: () => journal.size,
    endpointsOf: (network) => [...(byNetwork.get(network)?.values() ?? [])],
    carries(network) {
      for (const { phase } of byNetwork.get(network)?.values() ?? []) if (phase === 'attached') return true;
      return false;
    },
    holder: (network, address) => endpoints.get(holders.get(`${network} ${address}`) as EndpointId),
    macHolder: (network, mac) => endpoints.get(holders.get(`${network} ${mac}`) as EndpointId),
    async putNetwork(network, step) {
      await write({ do: 'put', key: keys.network(network.id), value: encodeNetwork(network) }, step);
      networks.set(network.id, network);
      changed();
    },
    async deleteNetwork(id, step) {
      await write({ do: 'delete', key: keys.network(id) }, step);
      networks.delete(id);
      changed();
    },
    async putEndpoint(endpoint, step) {
      await write(
        { do: 'put', key: keys.endpoint(endpoint.id), value: encodeEndpoint(endpoint) },
        step,
        fades(endpoint),
      );
      remember(endpoint);
      changed();
    },
    async deleteEndpoint(id, step) {
      await write({ do: 'delete', key: keys.endpoint(id) }, step, fades(endpoints.get(id)));
      forget(id);
      changed();
    },
    async closeJournal(name) {
      await store.transact({ then: [{ do: 'delete', key: keys.journal(host, name) }], relaxed: true });
      journal.delete(name);
    },
    amendEndpoint: remember,
    onChange: (listener) => void listeners.push(listener),
  };
}

/**
 * Whether an endpoint need not be known after a power failure: neither its container nor its links outlive one. An attachment
 * does, for it is plugged again when its container is started again.
 */
function fades(endpoint: Endpoint | undefined): boolean {
  return endpoint?.attachment === undefined;
}

/** Durable notes for fabrics, on the store. */
export function storeNotes(store: Store, host: string): import('../fabric/fabric.ts').Notes {
  const prefix = `berth/note/${host}/`;
  return {
    async get(name) {
      const entry = await store.get(prefix + name);
      return entry === undefined ? undefined : decodeNote(entry.key, entry.value);
    },
    async list(beginning) {
      const { entries } = await store.list(prefix + beginning);
      return new Map(entries.map(({ key, value }) => [key.slice(prefix.length), decodeNote(key, value)]));
    },
    async put(name, value) {
      await store.transact({ then: [{ do: 'put', key: prefix + name, value: JSON.stringify(value) }] });
    },
    async delete(name) {
      await store.transact({ then: [{ do: 'delete', key: prefix + name }] });
    },
  };
}
