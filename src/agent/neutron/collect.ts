/** `berth gc`, as far as Neutron is concerned. */

import type { EngineNetwork } from '../../docker/engine.ts';
import { asBerthError } from '../../model/errors.ts';
import { within } from '../../openstack/bounds.ts';
import type { GarbageView } from '../api.ts';
import type { Events } from '../events.ts';
import type { Metrics } from '../metrics.ts';
import { findOrphans, type OrphansParts } from './orphans.ts';

export interface CollectParts extends OrphansParts {
  readonly events: Pick<Events, 'emit'>;
  readonly metrics: Pick<Metrics, 'garbage'>;
}

/** Milliseconds: a cloud may have very many networks. */
const PATIENCE = 120_000;

/**
 * Lists what is orphaned; with `apply` it is removed as well. That Neutron does not answer is in the list, too: what else is garbage
 * does not wait for it.
 *
 * @param engine as for `findOrphans`.
 */
export async function collectFromNeutron(
  parts: CollectParts,
  engine: readonly EngineNetwork[],
  apply: boolean,
): Promise<readonly GarbageView[]> {
  const bounds = within(PATIENCE);
  let orphans: Awaited<ReturnType<typeof findOrphans>>;
  try {
    orphans = await findOrphans(parts, engine, bounds);
  } catch (error) {
    const reason = `what is orphaned there is not known: ${asBerthError(error).message}`;
    return [{ kind: 'neutron', id: parts.host, reason, removed: false }];
  }
  const views: GarbageView[] = [];
  for (const { kind, id, reason, remove } of orphans) {
    const view = { kind, id, reason, removed: false };
    if (!apply || remove === undefined) {
      views.push(view);
      continue;
    }
    try {
      await remove(bounds);
      parts.metrics.garbage(kind);
      parts.events.emit('neutron.freed', `${kind} ${id} was removed: ${reason}`);
      views.push({ ...view, removed: true });
    } catch (error) {
      views.push({ ...view, reason: `${reason}; it cannot be removed: ${asBerthError(error).message}` });
    }
  }
  return views;
}
