/** `berth master`: the cluster's API. */

import { type Command, Option } from 'commander';
import type { MasterOptions } from '../../master/config.ts';
import { type EtcdAccess, parseStoreLocation, storeForms } from '../../store/location.ts';
import { guide } from '../help.ts';

type RunMaster = (options: MasterOptions) => Promise<void>;

const load = async (): Promise<RunMaster> => (await import('../../master/main.ts')).runMaster;

/** Where `--store sqlite` is. */
const FILE = '/var/lib/berth/cluster.db';

function storeAccess(given: Readonly<Record<string, unknown>>): EtcdAccess {
  const access = {
    ca: given.etcdCa,
    cert: given.etcdCert,
    key: given.etcdKey,
    user: given.etcdUser,
    passwordFile: given.etcdPasswordFile,
  };
  return Object.fromEntries(Object.entries(access).filter(([, value]) => value !== undefined)) as EtcdAccess;
}

/** @param run for tests. */
export function masterCommand(program: Command, run: () => Promise<RunMaster> = load): Command {
  const command = program
    .command('master')
    .description('run a master in the foreground: it serves the API of the cluster, which netctl talks to')
    .addOption(
      new Option('--store <address>', `where the cluster is kept: ${storeForms}`)
        .env('BERTH_STORE')
        .default(`sqlite:${FILE}`),
    )
    .addOption(
      new Option('--etcd-ca <file>', 'the authority (PEM) that signed etcd’s certificates').env('BERTH_ETCD_CA'),
    )
    .addOption(new Option('--etcd-cert <file>', 'the certificate (PEM) that we show to etcd').env('BERTH_ETCD_CERT'))
    .addOption(new Option('--etcd-key <file>', 'its private key (PEM)').env('BERTH_ETCD_KEY'))
    .addOption(new Option('--etcd-user <name>', 'who we are to etcd, where it has users').env('BERTH_ETCD_USER'))
    .addOption(
      new Option('--etcd-password-file <file>', 'a file whose first line is the password').env(
        'BERTH_ETCD_PASSWORD_FILE',
      ),
    )
    .addOption(
      new Option('--listen <address:port>', 'where to listen; may be repeated')
        .env('BERTH_LISTEN')
        .argParser((value: string, before: readonly string[] | undefined) => [...(before ?? []), value]),
    )
    .addOption(new Option('--tls-cert <file>', 'certificate (PEM): serve HTTPS').env('BERTH_TLS_CERT'))
    .addOption(new Option('--tls-key <file>', 'key of the certificate (PEM)').env('BERTH_TLS_KEY'))
    .addOption(
      new Option('--token-file <file>', 'who may do what; without it, whoever reaches the API').env('BERTH_TOKEN_FILE'),
    )
    .addOption(
      new Option('--audit-log <file>', 'append who changed what to this file, not to the log').env('BERTH_AUDIT_LOG'),
    )
    .addOption(new Option('--log-level <level>', 'how much is logged').env('BERTH_LOG_LEVEL').default('info'))
    .addOption(
      new Option('--forward-mode <mode>', 'what a new cluster begins with: are networks of a tenant routed?')
        .choices(['routing', 'bridge'])
        .env('BERTH_FORWARD_MODE')
        .default('routing'),
    );
  command.action(async () => {
    const given = command.opts<Record<string, string | undefined> & { listen?: readonly string[] | string }>();
    const runMaster = await run();
    const { listen = '127.0.0.1:9999' } = given;
    await runMaster({
      store: parseStoreLocation(given.store!, '--store', FILE, storeAccess(given)),
      listen: typeof listen === 'string' ? listen.split(',') : listen,
      tlsCert: given.tlsCert,
      tlsKey: given.tlsKey,
      tokenFile: given.tokenFile,
      auditLog: given.auditLog,
      logLevel: given.logLevel!,
      forwardMode: given.forwardMode!,
      fabricMode: 'default',
      clusterMode: 'docker',
    });
  });
  return guide(command, {
    remark:
      'Listens on 127.0.0.1:9999 unless told otherwise. Any number of masters may run on one store, and any of them serves every\nrequest; a SQLite file is open in one process only. Logs go to stderr. The API is described in docs/api.md and, for\nprograms, at /api/v1/openapi.json. A line of the token file: NAME admin|read TOKEN [EXPIRY], with TOKEN the text itself or\nsha256: and its digest, and EXPIRY a time such as 2027-01-31T00:00:00Z.\n`netmaster` starts the same with Contiv’s flags; netmaster --help lists them.',
    examples: [
      ['berth master'],
      ['berth master --store etcd://10.0.0.1,10.0.0.2,10.0.0.3 --listen 0.0.0.0:9999', 'one of any number'],
      ['berth master --listen 0.0.0.0:9999 --token-file /etc/berth/tokens --tls-cert m.pem --tls-key m.key'],
      ['curl http://127.0.0.1:9999/api/v1/networks/', 'what networks there are'],
    ],
  });
}
