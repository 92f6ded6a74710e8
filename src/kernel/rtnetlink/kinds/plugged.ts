/** Links that were made for a container: where they are now. */

import type { Link } from '../../objects.ts';
import type { LinkRecord } from '../link.ts';
import type { Session } from '../session.ts';

export interface Place {
  readonly record: LinkRecord;
  readonly session: Session;
}

export function pluggedOf(link: Link): Extract<Link, { type: 'macvlan' }>['plugged'] {
  return 'plugged' in link ? link.plugged : undefined;
}

/**
 * Where a link is: in the container that it was plugged into, under its name there, or here under its own, where the engine
 * puts it back when it unplugs the container. The container's place comes first; usually there is one place at most.
 */
export function placesOf(link: Link, session: Session): readonly Place[] {
  const plugged = pluggedOf(link);
  const places: Place[] = [];
  if (typeof plugged === 'object') {
    const there = session.elsewhere(plugged.netns);
    const record = there?.links.byName(plugged.name);
    // Under this name there may be another interface by now: ours bears our mark.
    if (there !== undefined && record !== undefined && record.type === link.type && record.alias === link.alias) {
      places.push({ record, session: there });
    }
  }
  const record = session.links.byName(link.name);
  if (record !== undefined) places.push({ record, session });
  return places;
}
