/** What must be done for an engine to have the networks that it is to have. Pure. */

import type { EngineNetwork } from '../../docker/engine.ts';
import { labels, type WantedNetwork } from './wanted.ts';

export interface Plan {
  /** Those that must be made, once what is to be removed is gone. */
  readonly make: readonly WantedNetwork[];
  /** Those of ours that nobody wants any more, or not as they are. */
  readonly remove: readonly Removal[];
  /** Those whose name a user's own Docker network has. */
  readonly blocked: readonly { readonly wanted: WantedNetwork; readonly by: EngineNetwork }[];
  /** What is there, by what it stands for. */
  readonly present: ReadonlyMap<string, EngineNetwork>;
}

export interface Removal {
  readonly network: EngineNetwork;
  /** Of `WantedNetwork`. */
  readonly key: string;
  readonly reason: 'gone' | 'changed' | 'double';
}

/**
 * @param adopted what a Docker network that a user made has become, by its id: `network TENANT:NETWORK`.
 */
export function planNetworks(
  wanted: ReadonlyMap<string, WantedNetwork>,
  listed: readonly EngineNetwork[],
  adopted: ReadonlyMap<string, string> = new Map(),
): Plan {
  const present = new Map<string, EngineNetwork>();
  const remove: Removal[] = [];
  const others = new Map<string, EngineNetwork>();
  for (const network of listed) {
    const known = adopted.get(network.id);
    if (known === undefined) continue;
    if (wanted.has(known)) present.set(known, network);
    else remove.push({ network, key: known, reason: 'gone' });
  }
  for (const network of listed) {
    const key = keyOf(network);
    if (adopted.has(network.id)) continue;
    if (key === undefined) {
      others.set(network.name, network);
      continue;
    }
    const one = wanted.get(key);
    if (one === undefined) remove.push({ network, key, reason: 'gone' });
    else if (!isAs(one, network)) remove.push({ network, key, reason: 'changed' });
    else if (present.has(key)) remove.push({ network, key, reason: 'double' });
    else present.set(key, network);
  }
  const make: WantedNetwork[] = [];
  const blocked: { wanted: WantedNetwork; by: EngineNetwork }[] = [];
  for (const [key, one] of wanted) {
    if (present.has(key)) continue;
    const by = others.get(one.name);
    if (by === undefined) make.push(one);
    // A user has made it as we would have.
    else if (standsFor(one, by)) present.set(key, by);
    else blocked.push({ wanted: one, by });
  }
  return { make, remove, blocked, present };
}

/** What a network of ours stands for; undefined: it is none of ours. */
export function keyOf({ labels: given }: Pick<EngineNetwork, 'labels'>): string | undefined {
  const network = given[labels.network];
  if (network === undefined) return undefined;
  const group = given[labels.group];
  return group === undefined ? `network ${network}` : `group ${group}`;
}

function isAs(wanted: WantedNetwork, network: EngineNetwork): boolean {
  return (
    network.name === wanted.name &&
    network.driver === wanted.driver &&
    network.labels[labels.made] === wanted.labels[labels.made]
  );
}

function standsFor(wanted: WantedNetwork, network: EngineNetwork): boolean {
  const { tenant = 'default', network: name, group } = network.options;
  const { options } = wanted;
  return (
    network.driver === wanted.driver && tenant === options.tenant && name === options.network && group === options.group
  );
}
