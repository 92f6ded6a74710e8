/** `berth store migrate`: from one store to another. */

import { existsSync } from 'node:fs';
import { BerthError } from '../model/errors.ts';
import { type EtcdAccess, formatStoreLocation, parseStoreLocation, type StoreLocation } from '../store/location.ts';
import { createMemoryStore } from '../store/memory.ts';
import { type Migration, migrateStore } from '../store/migrate.ts';
import { openStore } from '../store/open.ts';
import type { Store } from '../store/store.ts';
import { type ExitCode, exitCode } from './failure.ts';
import type { Session } from './session.ts';

type Options = Readonly<Record<string, unknown>>;

export async function migrate(session: Session, _args: unknown, options: Options): Promise<ExitCode> {
  const [from, to] = [locate(options, 'from'), locate(options, 'to')];
  const dryRun = options.dryRun === true;
  const [origin, destination] = [formatStoreLocation(from), formatStoreLocation(to)];
  if (origin === destination) throw new BerthError('BAD_CONFIG', `--from and --to are the same store, ${origin}`);
  if (from.kind === 'sqlite' && !existsSync(from.path)) {
    throw new BerthError('BAD_CONFIG', `there is no state file ${from.path}`);
  }
  await using cleanup = new AsyncDisposableStack();
  const open = async (store: Promise<Store> | Store) => {
    const opened = await store;
    cleanup.defer(() => opened.close());
    return opened;
  };
  const source = await open(openStore(from));
  // Looking must not make a state file.
  const nothing = dryRun && to.kind === 'sqlite' && !existsSync(to.path);
  const target = await open(nothing ? createMemoryStore() : openStore(to));
  const work = migrateStore(source, target, {
    origin,
    dryRun,
    force: options.force === true,
    progress(done, of) {
      if (session.stderr.isTTY === true)
        session.stderr.write(`\r\x1b[K${done} of ${of} keys${done === of ? '\n' : ''}`);
    },
  });
  const migration = await work;
  session.show({ from: origin, to: destination, dryRun, ...migration }, () =>
    text(migration, origin, destination, dryRun),
  );
  return exitCode.ok;
}

function locate(options: Options, side: 'from' | 'to'): StoreLocation {
  const text = String(options[side]);
  const access: Record<string, string> = {};
  const settings = {
    ca: 'etcdCa',
    cert: 'etcdCert',
    key: 'etcdKey',
    user: 'etcdUser',
    passwordFile: 'etcdPasswordFile',
  };
  if (text.startsWith('etcd')) {
    for (const [setting, option] of Object.entries(settings)) {
      if (typeof options[option] === 'string') access[setting] = options[option];
    }
  }
  const file = `${String(options.stateDir).replace(/\/+$/, '')}/berth.db`;
  return parseStoreLocation(text, `--${side}`, file, access satisfies EtcdAccess);
}

function text({ keys, bytes, written, removed }: Migration, from: string, to: string, dryRun: boolean): string {
  const size = `${keys} keys, ${Math.ceil(bytes / 1024)} KiB`;
  const change = `${written} to write, ${removed} to remove`;
  if (dryRun) return `${from} holds ${size}; in ${to}: ${change}\nNothing was changed.\n`;
  return `${size} are in ${to} now, as in ${from}, which was left as it is (${written} written, ${removed} removed)\n`;
}
