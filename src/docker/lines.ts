/** Lines of a byte stream, for newline-delimited JSON. */

import type { IncomingMessage } from 'node:http';

/** An event carries a container's labels; nobody has labels of this size. */
const MAX_LINE = 1024 * 1024;

/**
 * Yields each non-empty line without its end. Ends when the stream ends or breaks off; a line that was not finished is dropped.
 *
 * @throws RangeError when a line is longer than 1 MiB.
 */
export async function* readLines(stream: IncomingMessage): AsyncGenerator<string> {
  stream.setEncoding('utf8');
  let rest = '';
  try {
    for await (const chunk of stream as AsyncIterable<string>) {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop()!;
      if (rest.length > MAX_LINE) throw new RangeError('a line is longer than 1 MiB');
      for (const line of lines) if (line.trim() !== '') yield line;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ECONNRESET') throw error;
  }
}
