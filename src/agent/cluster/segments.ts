/** The kernel follows what is heard of the cluster, as far as this host carries it. */

import { formatAddress } from '../../model/address.ts';
import type { HostFacts } from '../host.ts';
import type { Lifecycle } from '../lifecycle.ts';
import type { Cluster } from './cluster.ts';
import { keepOwnAddresses, type OwnAddressesParts } from './own-addresses.ts';

export interface SegmentsParts extends Omit<OwnAddressesParts, 'tell' | 'host'> {
  readonly cluster: Pick<Cluster, 'host' | 'onRemotes' | 'onObjects' | 'objects' | 'carry' | 'hold'>;
  readonly lifecycle: Pick<Lifecycle, 'segments' | 'onSegments' | 'refreshSegment'>;
  readonly host: Pick<HostFacts, 'onChange'>;
}

/**
 * @returns to be called when the kernel has been compared with what was declared at the start: until then it is not known what is there,
 *   and applying any of it would make the packet filter anew.
 */
export function followSegments({ cluster, lifecycle, host, ...parts }: SegmentsParts): () => void {
  /** Those of the cluster: others are known by the ids of networks. */
  const segments = (): readonly string[] => lifecycle.segments().filter((segment) => segment.includes(':'));
  const due = new Set<string>();
  const { promise: compared, resolve: begin } = Promise.withResolvers<void>();

  /** Several changes at once are one. */
  function refresh(changed: readonly string[]): void {
    for (const segment of changed) {
      if (due.has(segment)) continue;
      due.add(segment);
      void compared.then(() =>
        setImmediate(() => {
          due.delete(segment);
          lifecycle.refreshSegment(segment);
        }),
      );
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

  // The host speaks to other networks from its own addresses, once the kernel has them.
  const own = new Set<string>();
  let there = '';
  host.onChange(({ addresses }) => {
    if (own.size === 0 && there === '') return;
    const now = addresses.flatMap(({ address }) => {
      const shown = formatAddress(address.address);
      return own.has(shown) ? [shown] : [];
    });
    if (now.join() === there) return;
    there = now.join();
    refresh(segments());
  });
  const held = new Map<string, readonly string[]>();
  keepOwnAddresses({
    ...parts,
    host: cluster.host,
    tell(network, addresses) {
      held.set(
        network,
        addresses.map(({ address }) => formatAddress(address)),
      );
      own.clear();
      for (const shown of [...held.values()].flat()) own.add(shown);
      cluster.hold(network, addresses);
      refresh([network]);
    },
  });
  cluster.onRemotes((network) => refresh(network === undefined ? segments() : [network]));
  return begin;
}
