/** Paths of an API without what differs between objects, so that calls can be counted by what they do. */

/** What names a kind of object or an action: these are few, whatever ids and tags there are. */
const WORD = /^(?:v[0-9.]+|[a-z_-]+)$/;

/** `/v2.0/networks/7f…/tags/blue` → `/v2.0/networks/{id}/tags/{tag}`. */
export function pathTemplate(path: string): string {
  const segments = path.split('/');
  return segments
    .map((segment, index) => {
      if (segments[index - 1] === 'tags') return '{tag}';
      return segment === '' || WORD.test(segment) ? segment : '{id}';
    })
    .join('/');
}
