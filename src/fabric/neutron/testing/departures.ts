import { afterEach } from 'node:test';
import { createDepartures, type Departures } from '../departures.ts';

const open = new Set<Departures>();
/** What a test leaves under way would ask the cloud of the next. */
afterEach(() => {
  for (const departures of open) departures.close();
  open.clear();
});

/** Removals that are repeated within milliseconds, and ended with the test. */
export function quickDepartures(): Departures {
  const departures = createDepartures(() => {}, { attempt: 5000, firstWait: 1, longestWait: 4 });
  open.add(departures);
  return departures;
}
