/** The kernel follows what is heard of the cluster, as far as this host carries it. */

import type { Lifecycle } from '../lifecycle.ts';
import type { Cluster } from './cluster.ts';

type Heard = Pick<Cluster, 'onRemotes' | 'onObjects' | 'objects' | 'carry'>;

export function followSegments(
  cluster: Heard,
  lifecycle: Pick<Lifecycle, 'segments' | 'onSegments' | 'refreshSegment'>,
): void {
  /** Those of the cluster: others are known by the ids of networks. */
  const segments = (): readonly string[] => lifecycle.segments().filter((segment) => segment.includes(':'));
  const due = new Set<string>();

  /** Several changes at once are one. */
  function refresh(changed: readonly string[]): void {
    for (const segment of changed) {
      if (due.has(segment)) continue;
      due.add(segment);
      setImmediate(() => {
        due.delete(segment);
        lifecycle.refreshSegment(segment);
      });
    }
  }

  // Changes of networks themselves concern nobody who is on them: they are made and go, and are not changed.
  const settings = () => JSON.stringify(cluster.objects()?.get('global', 'global')?.config ?? {});
  let known = settings();
  cluster.onObjects(() => {
    const now = settings();
    if (now === known) return;
    known = now;
    refresh(segments());
  });
  lifecycle.onSegments(() => cluster.carry(segments()));
  cluster.onRemotes((network) => refresh(network === undefined ? segments() : [network]));
}
