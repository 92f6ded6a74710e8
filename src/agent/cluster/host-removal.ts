/** A host that is gone for good: what it held in the shared store goes too, as nobody else may free it. */

import { decodeLease } from '../../ipam/codec.ts';
import { BerthError } from '../../model/errors.ts';
import { keys } from '../../model/keys.ts';
import { hostHolder } from '../../objects/codec.ts';
import type { Operation, Store } from '../../store/store.ts';
import { decodeHost } from './records.ts';

export interface Removed {
  readonly endpoints: number;
  readonly leases: number;
}

/** Operations in one transaction, of the 128 that etcd takes. */
const BATCH = 100;
/** Leases read at a time. */
const PAGE = 1000;

/**
 * Removes the endpoints, the leases and the record of a host, in this order, so that it can be repeated after a break. Nothing is removed
 * from the moment on at which its agent is heard.
 *
 * @throws BerthError HOST_UNKNOWN, HOST_HEARD, and those of the store
 */
export async function removeHost(store: Store, host: string): Promise<Removed> {
  const found = await store.get(keys.host(host));
  if (found === undefined)
    throw new BerthError('HOST_UNKNOWN', `there is no host '${host.slice(0, 64)}' in the cluster`);

  const remove = async (doomed: readonly string[]): Promise<void> => {
    for (let at = 0; at < doomed.length; at += BATCH) {
      const then = doomed.slice(at, at + BATCH).map((key): Operation => ({ do: 'delete', key }));
      const { committed } = await store.transact({ if: [{ key: keys.agent(host), is: 'absent' }], then });
      if (!committed) throw new BerthError('HOST_HEARD', `the agent of the host ${host} runs`);
    }
  };
  await remove([keys.agent(host)]);

  const prefix = keys.hostEndpoints(host);
  const { entries: told } = await store.list(prefix);
  const endpoints = told.map(({ key, value: network }) => ({
    key,
    of: keys.clusterEndpoint(network, key.slice(prefix.length)),
  }));
  await remove(endpoints.flatMap(({ key, of }) => [of, key]));

  const leases = await leasesOf(store, await holdersOf(store, host, decodeHost(found).engine?.id));
  await remove(leases);
  await remove([keys.publisher(host), keys.host(host)]);
  return { endpoints: endpoints.length, leases: leases.length };
}

/** The host itself, and its engine from before it was in a cluster: unless another host, a machine of the same image, has that id too. */
async function holdersOf(store: Store, host: string, engine: string | undefined): Promise<ReadonlySet<string>> {
  const { entries } = await store.list(keys.hosts);
  const twins = entries.filter((entry) => entry.key !== keys.host(host) && decodeHost(entry).engine?.id === engine);
  return new Set([hostHolder(host), ...(engine === undefined || twins.length > 0 ? [] : [engine])]);
}

/** The keys of the leases that these hold, in any pool. */
async function leasesOf(store: Store, holders: ReadonlySet<string>): Promise<string[]> {
  const held: string[] = [];
  let after: string | undefined;
  do {
    const page = await store.list(keys.leases, { limit: PAGE, ...(after === undefined ? {} : { after }) });
    for (const { key, value } of page.entries) if (holders.has(decodeLease(key, value).engine)) held.push(key);
    after = page.more ? page.entries.at(-1)?.key : undefined;
  } while (after !== undefined);
  return held;
}
