/** `netctl login`: gets a token, and keeps it for the commands to come. */

import { MasterFailure, misuse } from '../failure.ts';
import type { CommandSpec } from '../spec.ts';
import { json } from '../text.ts';

export const login: CommandSpec = {
  name: 'login',
  usage: "authenticate to Contiv (you must specify auth_proxy's HTTPS address in the --netmaster flag)",
  args: [],
  flags: [],
  examples: ['--netmaster https://netmaster:9999 login', '--netmaster https://netmaster:9999 --token TOKEN login'],
  run: async (session) => {
    const { master } = session;
    const { terminal, credentials } = session.login!;
    if (!credentials.secure) {
      throw new MasterFailure('refused', 'login requires a https auth_proxy URL', {
        cause: 'a password and a token must not go over the network for all to read',
        next: 'Name the master with --netmaster https://HOST:PORT.',
      });
    }
    if (credentials.token !== undefined) {
      // Whether it is any good shows in the first thing that needs one.
      await master.list('globals');
      await credentials.keep(credentials.token);
    } else {
      const username = (await terminal.ask('Username: ')).trim();
      if (username === '') throw misuse('you must specify a username');
      const password = await terminal.askSecretly('Password: ');
      const { token } = await master.login(username, password).catch((error: unknown) => {
        throw loginFailure(error);
      });
      if (typeof token !== 'string' || token === '') {
        throw new MasterFailure('refused', 'Login failed: the answer has no token in it', {
          next: 'Ask its administrator for a token, and give it with --token.',
        });
      }
      await credentials.keep(token);
    }
    if (session.json) session.print(json({ file: credentials.file }));
    else session.print('Login succeeded.\n');
  },
};

/** Contiv's auth_proxy knows passwords; our masters know tokens only. */
function loginFailure(error: unknown): unknown {
  if (!(error instanceof MasterFailure) || error.kind === 'unreachable') return error;
  return new MasterFailure(error.kind, `Login failed: ${error.message}`, {
    next: 'See whether name and password are right. A master of Berth has tokens instead: netctl --token TOKEN login',
  });
}
