/** The API's stream of changes: a line for each event. */

import { configView } from '../model/objects/view.ts';
import type { ObjectEvent } from '../objects/watch.ts';

type Line = Readonly<Record<string, unknown>>;

/**
 * `{type: 'put', kind, key, revision, object}`, `{type: 'delete', kind, key, revision}`; `{type: 'synchronized', revision}` when
 * all that there was has been told; `{type: 'compacted', revision}` as the last line when what was to follow is forgotten.
 *
 * @param tenant only its objects, and itself.
 */
export async function* linesOf(events: AsyncIterable<ObjectEvent>, tenant: string | undefined): AsyncGenerator<Line> {
  const wanted = (key: string) => tenant === undefined || key === tenant || key.startsWith(`${tenant}:`);
  for await (const event of events) {
    if (event.type === 'put') {
      const { kind, key, revision } = event.object;
      if (wanted(key)) yield { type: event.type, kind, key, revision, object: { key, ...configView(event.object) } };
    } else if (event.type !== 'delete' || wanted(event.key)) {
      yield event;
    }
  }
}
