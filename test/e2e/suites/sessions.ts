/** Long-lived TCP sessions of another machine with the host, which must not notice what happens to the host's card. */

import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import type { Host } from '../bed/host.ts';
import type { Machine } from '../bed/machine.ts';
import { type Process, waitFor } from '../bed/process.ts';

const program = fileURLToPath(new URL('./echo-session.ts', import.meta.url));

export interface Sessions {
  /** Lines sent from now on come back, on each session that there has been since the beginning. */
  goOn(): Promise<void>;
  close(): Promise<void>;
}

/** Opens a session to each address; both ends go on until `close`. */
export async function openSessions(host: Host, from: Machine, addresses: readonly string[]): Promise<Sessions> {
  const port = 2222;
  const server = await host.netSpawn(['node', program, 'serve', `${port}`], { name: 'echo-server' });
  await server.waitForOutput(/listening/);
  const talkers = await Promise.all(
    addresses.map((address, number) =>
      from.netSpawn(['node', program, 'talk', address, `${port}`], { name: `echo-${number}` }),
    ),
  );
  const sessions: Sessions = {
    async goOn() {
      await Promise.all(talkers.map((talker) => moreOf(talker)));
    },
    async close() {
      for (const process of [...talkers, server]) await process.stop('SIGKILL');
      for (const talker of talkers) assert.doesNotMatch(await talker.output(), /CUT/);
    },
  };
  await sessions.goOn();
  return sessions;
}

/** The last number that came back. */
async function progress(talker: Process): Promise<number> {
  const output = await talker.output();
  assert.doesNotMatch(output, /CUT/);
  return Number(output.trimEnd().split('\n').at(-1)?.split(' ')[0] || -1);
}

/** A line that was sent in the meantime may be on its way already: many more come back only if the session works now. */
async function moreOf(talker: Process): Promise<void> {
  const before = await progress(talker);
  await waitFor('the session to go on', async () => (await progress(talker)) >= before + 50, 30_000, 50);
}
