/**
 * Tags by which networks and subnets of Neutron are known as used by a Docker network of a host. A tag is a part of the URL by which
 * it is put on an object, and Neutron's routes take one with a slash (however it is encoded) for another path, and what follows a dot
 * for a format (neutron/api/extensions.py, Routes' mapper.resource).
 */

import type { Bounds } from '../../openstack/bounds.ts';
import type { Readable, Taggable } from '../../openstack/neutron/collection.ts';

/** What begins every tag of Berth's. */
export const OUR_TAGS = 'berth:';

/**
 * The tag of the Docker network that has this mark: `berth:HOST:ID` for `berth/HOST/ID`. What may not be in a tag is `~` and its
 * hexadecimal code. Of the beginning of a mark, the beginning of its tag.
 */
export function tagOf(mark: string): string {
  const hex = (character: string) => `~${character.codePointAt(0)!.toString(16).padStart(2, '0')}`;
  return mark
    .split('/')
    .map((part) => part.replace(/[^A-Za-z0-9_-]/gu, hex))
    .join(':');
}

type Tagged = Readable<{ readonly id: string; readonly tags?: readonly string[] | undefined }> & Taggable;

/**
 * Puts tags on an object and takes others from it; tags that no path can name too, for they are sent all together. So who tags it at the
 * same time may undo this, or this that: it is looked, and done again.
 */
export async function retag(
  kind: Tagged,
  id: string,
  change: { readonly add?: readonly string[]; readonly remove?: readonly string[] },
  bounds: Bounds,
): Promise<void> {
  const { add = [], remove = [] } = change;
  for (;;) {
    const tags = (await kind.get(id, bounds))?.tags;
    if (tags === undefined) return;
    const wanted = [...new Set([...tags, ...add])].filter((tag) => !remove.includes(tag));
    if (wanted.length === tags.length && wanted.every((tag) => tags.includes(tag))) return;
    await kind.setTags(id, wanted, bounds);
  }
}
