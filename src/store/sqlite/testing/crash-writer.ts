/** Writes until it is killed, and says on its output what has been acknowledged. Arguments: the file, where to count from. */

import { openSqliteStore } from '../store.ts';

const [path, from] = process.argv.slice(2);
const store = await openSqliteStore(path!);
let next = Number(from);

async function write(): Promise<void> {
  for (;;) {
    const n = next++;
    const value = `${n}:${'x'.repeat(n % 3000)}`;
    const result = await store.transact({
      if: [{ key: `left/${n}`, is: 'absent' }],
      then: [
        { do: 'put', key: `left/${n}`, value },
        { do: 'put', key: `right/${n}`, value },
        { do: 'delete', key: `right/${n - 500}` },
        { do: 'delete', key: `left/${n - 500}` },
      ],
      // A process that dies loses none of these either.
      relaxed: n % 2 === 1,
    });
    if (!result.committed) throw new Error(`left/${n} was there already`);
    // Into a pipe this is synchronous, and unlike writeSync it waits for a reader that is slow.
    process.stdout.write(`${n}\n`);
  }
}

await Promise.all(Array.from({ length: 8 }, write));
