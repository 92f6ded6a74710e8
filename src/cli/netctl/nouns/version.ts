/** `netctl version`: of this program and of the master. */

import type { CommandSpec } from '../spec.ts';
import { json, text } from '../text.ts';
import { clientVersion, versionLines } from '../version.ts';

export const version: CommandSpec = {
  name: 'version',
  usage: 'Version Information',
  args: [],
  flags: [],
  run: async (session) => {
    const server = await session.master.version();
    if (session.json) session.print(json({ client: clientVersion, server }));
    else {
      session.print(`Client Version:\n${versionLines(clientVersion)}\n`);
      const said = (field: string): string => text(server, field);
      session.print(
        `Server Version:\n${versionLines({ Version: said('Version'), GitCommit: said('GitCommit'), BuildTime: said('BuildTime') })}`,
      );
    }
  },
};
