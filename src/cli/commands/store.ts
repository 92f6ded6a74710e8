/** `berth store`: the flags. What it does is in `../store.ts`. */

import { type Command, Option } from 'commander';
import { guide } from '../help.ts';
import type { Binder } from '../session.ts';

export function storeCommands(program: Command, on: Binder, stateDir: () => Option): void {
  const group = program.command('store').description('where the state is kept');
  const file = (flags: string, help: string, variable: string) => new Option(flags, help).env(variable);
  guide(
    on(group.command('migrate'), async () => (await import('../store.ts')).migrate)
      .description('copy all state from one store into another')
      .requiredOption('--from <store>', 'sqlite, sqlite:PATH or etcd://HOST:PORT,…/PREFIX')
      .requiredOption('--to <store>', 'the same; it must be empty')
      .option('--force', 'replace what the target holds')
      .option('--dry-run', 'only say what would be done')
      .addOption(stateDir())
      .addOption(file('--etcd-ca <file>', 'the authority that signed the certificates of etcd', 'BERTH_ETCD_CA'))
      .addOption(file('--etcd-cert <file>', 'the certificate that we show to etcd', 'BERTH_ETCD_CERT'))
      .addOption(file('--etcd-key <file>', 'its private key', 'BERTH_ETCD_KEY'))
      .addOption(file('--etcd-user <name>', 'who we are to etcd', 'BERTH_ETCD_USER'))
      .addOption(
        file('--etcd-password-file <file>', 'a file whose first line is the password', 'BERTH_ETCD_PASSWORD_FILE'),
      ),
    {
      remark:
        'Stop the agent first; containers keep their network. The source is left as it is. What was copied is compared\nafterwards; run it again if it is interrupted: no agent starts on a store that is not whole.',
      examples: [
        ['berth store migrate --from sqlite --to etcd://etcd1:2379,etcd2:2379 --dry-run', 'only look'],
        ['berth store migrate --from sqlite --to etcd://etcd1:2379,etcd2:2379'],
        ['berth store migrate --from etcd://etcd1:2379/lab --to sqlite:/var/lib/berth/berth.db'],
      ],
    },
  );
}
