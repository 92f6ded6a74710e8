/** Keystone 22 (Zed) on SQLite with Fernet tokens. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Machine } from '../machine.ts';
import {
  bootstrapRegion,
  type Identity,
  type Interface,
  interfaces,
  password,
  type Region,
  regions,
  seedIdentity,
} from './identity.ts';
import { ini } from './ini.ts';
import { fromTemplate, withSqlite, writeAhead } from './template.ts';
import { type WsgiService, wsgiService } from './wsgi.ts';

export interface KeystoneOptions {
  /** Where the product finds it, with the version. */
  readonly url: string;
  readonly networkUrl: (region: Region, kind: Interface) => string;
  /** Seconds that a token is valid; default 3600. */
  readonly tokenLifetime?: number;
}

export interface KeystoneServer extends WsgiService {
  readonly identity: Identity;
}

/** Port of 127.0.0.1 in the machine, for Neutron. */
export const keystonePort = 5000;

/** Starts it, from the template. */
export async function startKeystone(machine: Machine, options: KeystoneOptions): Promise<KeystoneServer> {
  const folder = join(machine.dir, 'keystone');
  mkdirSync(folder);
  const template = {
    name: 'keystone',
    packages: ['keystone', 'python3-sqlalchemy'],
    sources: ['keystone.ts', 'identity.ts'],
    make: (made: string) => makeTemplate(machine, made),
  };
  await fromTemplate(template, folder);
  configure(machine, folder, options.tokenLifetime);
  withSqlite(join(folder, 'keystone.sqlite'), (database) => {
    const set = database.prepare(
      `UPDATE endpoint SET url = ? WHERE region_id = ? AND interface = ?
         AND service_id IN (SELECT id FROM service WHERE type = ?)`,
    );
    for (const region of regions) {
      for (const kind of interfaces) {
        set.run(options.networkUrl(region, kind), region, kind, 'network');
        set.run(options.url, region, kind, 'identity');
      }
    }
  });
  const unit = server(machine, folder);
  await unit.start();
  const identity = JSON.parse(readFileSync(join(folder, 'identity.json'), 'utf8')) as Identity;
  return { ...unit, identity };
}

function server(machine: Machine, folder: string): WsgiService {
  return wsgiService(machine, {
    name: 'keystone',
    program: '/usr/bin/keystone-wsgi-public',
    port: keystonePort,
    env: { OS_KEYSTONE_CONFIG_DIR: folder, OS_KEYSTONE_CONFIG_FILES: 'keystone.conf' },
    probe: '/v3',
  });
}

function configure(machine: Machine, folder: string, tokenLifetime = 3600): string {
  const file = join(folder, 'keystone.conf');
  const text = ini({
    DEFAULT: { log_file: join(machine.dir, 'log/keystone.log') },
    database: { connection: `sqlite:///${folder}/keystone.sqlite?timeout=30` },
    token: { provider: 'fernet', expiration: tokenLifetime, allow_expired_window: 0 },
    fernet_tokens: { key_repository: join(folder, 'fernet') },
    credential: { key_repository: join(folder, 'credential') },
    oslo_policy: { enforce_scope: false },
    cache: { enabled: false },
    // The price of a password is none of the tests' business: the lowest that bcrypt takes.
    identity: { password_hash_rounds: 4 },
  });
  writeFileSync(file, text);
  return file;
}

/** Database, keys and `identity.json`: 10 s. */
async function makeTemplate(machine: Machine, folder: string): Promise<void> {
  // The template's folder is this machine's, which the bed's machines see as it is.
  const config = configure(machine, folder);
  const manage = (...args: readonly string[]) => machine.exec(['keystone-manage', '--config-file', config, ...args]);
  const database = join(folder, 'keystone.sqlite');
  await manage('db_sync');
  writeAhead(database);
  const owner = ['--keystone-user', 'root', '--keystone-group', 'root'];
  await manage('fernet_setup', ...owner);
  await manage('credential_setup', ...owner);
  const url = `http://127.0.0.1:${keystonePort}/v3`;
  const urls = interfaces.flatMap((kind) => [`--bootstrap-${kind}-url`, url]);
  await manage('bootstrap', '--bootstrap-password', password, '--bootstrap-region-id', bootstrapRegion, ...urls);
  const seeding = server(machine, folder);
  await seeding.start();
  writeFileSync(join(folder, 'identity.json'), JSON.stringify(await seedIdentity(seeding.socket(), url)));
  await seeding.stop();
  withSqlite(database, (open) => open.exec('PRAGMA wal_checkpoint(TRUNCATE)'));
}
