/** Notes in memory, for tests of what is written down and when. */

import type { Json } from '../../../model/network.ts';
import type { Notes } from '../../fabric.ts';

export interface MemoryNotes extends Notes {
  readonly kept: ReadonlyMap<string, Json>;
}

export function memoryNotes(kept = new Map<string, Json>()): MemoryNotes {
  return {
    kept,
    get: (name) => Promise.resolve(kept.get(name)),
    list: (beginning) => Promise.resolve(new Map([...kept].filter(([name]) => name.startsWith(beginning)))),
    put: (name, value) => Promise.resolve(void kept.set(name, JSON.parse(JSON.stringify(value)) as Json)),
    delete: (name) => Promise.resolve(void kept.delete(name)),
  };
}
