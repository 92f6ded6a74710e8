/**
 * A network's gate. A store has conditions on keys, not on ranges of keys, so "nothing is in this network" cannot be one. Instead
 * whoever wants to know closes the gate, looks, and opens it in the transaction that acts on it. Everything that adds an endpoint
 * or a lease to a network requires in its transaction that the gate is absent.
 */

import { BerthError } from '../model/errors.ts';
import { keys, SCHEMA_VERSION } from '../model/keys.ts';
import type { Kind, Objects } from '../model/objects/kind.ts';
import type { Condition, Operation, Store } from '../store/store.ts';

export interface Gate {
  readonly key: string;
  /** It is still closed by us. */
  readonly conditions: readonly Condition[];
  /** It opens. */
  readonly operations: readonly Operation[];
}

/** Seconds until a gate opens by itself when whoever closed it has died. */
const TTL = 5;

/** Milliseconds to wait for somebody else's to open: longer than it stays closed when nobody opens it. */
const PATIENCE = 8000;

/** How often a gate that has opened by itself, because the store was slow, is closed again. */
const ATTEMPTS = 3;

/** What everything that adds an endpoint or a lease to a network requires: that it is there, and its gate open. */
export function gateOpen(network: string): Condition[] {
  return [
    { key: keys.object('network', network), is: 'present' },
    { key: keys.gate(network), is: 'absent' },
  ];
}

/** The network whose gate a change needs closed; undefined: none. */
export function needsGate(
  kind: Kind,
  key: string,
  body: Readonly<Record<string, unknown>> | undefined,
  objects: Objects,
): string | undefined {
  const existing = objects.get(kind.name, key);
  if (kind.name === 'network') return body === undefined ? key : undefined;
  if (kind.name !== 'endpointGroup') return undefined;
  if (body === undefined) return `${String(existing?.config.tenantName)}:${String(existing?.config.networkName)}`;
  // A new group that takes a range of addresses out of its network.
  const takes = existing === undefined && typeof body.ipPool === 'string' && body.ipPool !== '';
  const network = `${String(body.tenantName)}:${String(body.networkName)}`;
  return takes && objects.get('network', network) !== undefined ? network : undefined;
}

/**
 * Waits until a network's gate is open, as it may be for a moment only.
 *
 * @throws BerthError RACE_LOST when it is not by the time that the signal aborts; STORE_UNAVAILABLE
 */
export async function whenGateOpens(store: Store, network: string, signal: AbortSignal): Promise<void> {
  const key = keys.gate(network);
  const { entries, revision } = await store.list(key, { limit: 1 });
  if (entries[0]?.key !== key) return;
  // The watch is of a prefix, and the names of other networks may begin like this one's.
  for await (const message of store.watch(key, revision + 1, signal)) {
    if (message.type === 'compacted') return;
    if (message.changes.some((change) => change.type === 'delete' && change.key === key)) return;
  }
  throw new BerthError('RACE_LOST', `another change of the network ${network} is under way`);
}

/** The gate has opened before the work was done: nothing was changed. */
export class GateOpened extends Error {}

/**
 * Does some work while a gate is closed, which opens however the work ends.
 *
 * @param work may throw GateOpened, and is then done again.
 * @throws BerthError RACE_LOST
 */
export async function withGate<Value>(
  store: Store,
  network: string | undefined,
  work: (gate: Gate | undefined) => Promise<Value>,
): Promise<Value> {
  if (network === undefined) return await work(undefined);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const { gate, open } = await close(store, network);
    try {
      return await work(gate);
    } catch (error) {
      if (!(error instanceof GateOpened)) throw error;
    } finally {
      await open();
    }
  }
  throw new BerthError('RACE_LOST', `the store is too slow to change the network ${network}`);
}

/** @throws BerthError RACE_LOST */
async function close(store: Store, network: string): Promise<{ readonly gate: Gate; open(): Promise<void> }> {
  const key = keys.gate(network);
  const deadline = AbortSignal.timeout(PATIENCE);
  while (!deadline.aborted) {
    // A new one each time: while somebody else's gate was waited for, the last one has ended.
    const lease = await store.grantLease(TTL);
    // Ends the gate with it; a store that is away ends both by itself.
    const open = () => store.revokeLease(lease).catch(() => undefined);
    const value = JSON.stringify({ version: SCHEMA_VERSION });
    const result = await store.transact({ if: [{ key, is: 'absent' }], then: [{ do: 'put', key, value, lease }] });
    if (result.committed) {
      const conditions: Condition[] = [{ key, is: 'at', revision: result.revision }];
      return { gate: { key, conditions, operations: [{ do: 'delete', key }] }, open };
    }
    await open();
    for await (const message of store.watch(key, result.revision + 1, deadline)) {
      // The watch is of a prefix, and the names of other networks may begin like this one's.
      if (message.type === 'compacted' || message.changes.some((change) => change.type === 'delete')) break;
    }
  }
  throw new BerthError('RACE_LOST', `another change of the network ${network} is under way`);
}
