/** Neutron's database on a server: for several processes of neutron-server at once. */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Service, service } from '../control.ts';
import type { Machine } from '../machine.ts';
import { fromTemplate } from './template.ts';

const socket = '/run/mariadb.sock';
const schema = 'neutron-schema.py';
/** For SQLAlchemy, within the machine. */
const url = `mysql+pymysql://root@localhost/neutron?unix_socket=${socket}&charset=utf8`;

/** Starts the server with Neutron's tables, from the template, and returns the URL of the database. */
export async function neutronMariadb(machine: Machine): Promise<string> {
  const folder = join(machine.dir, 'mariadb');
  mkdirSync(folder);
  const template = {
    name: 'mariadb',
    packages: ['mariadb-server', 'python3-neutron', 'python3-sqlalchemy'],
    sources: [schema, 'mariadb.ts'],
    make: (made: string) => makeTemplate(machine, made),
  };
  await fromTemplate(template, folder);
  await server(machine, folder).start();
  return url;
}

function server(machine: Machine, folder: string): Service {
  const command = [
    'mariadbd',
    '--no-defaults',
    '--user=root',
    `--datadir=${folder}`,
    `--socket=${socket}`,
    '--skip-networking',
    '--pid-file=/run/mariadb.pid',
    '--innodb-buffer-pool-size=64M',
    '--innodb-log-file-size=16M',
    '--performance-schema=0',
    // Nothing here outlives a power failure.
    '--innodb-flush-log-at-trx-commit=0',
    '--sync-binlog=0',
  ];
  return service(
    'mariadb',
    () => machine.spawn(command, { name: 'mariadb' }),
    async () => (await machine.exec(['mariadb-admin', ...client, 'ping'], { check: false })).code === 0,
    120_000,
  );
}

const client = ['--no-defaults', `--socket=${socket}`, '--user=root'];

/** 110 MB; 10 s. */
async function makeTemplate(machine: Machine, folder: string): Promise<void> {
  const install = ['--no-defaults', '--user=root', `--datadir=${folder}`, '--skip-test-db'];
  await machine.exec(['mariadb-install-db', ...install, '--auth-root-authentication-method=normal'], {
    timeout: 120_000,
  });
  const making = server(machine, folder);
  await making.start();
  await machine.exec(['mariadb', ...client, '-e', 'CREATE DATABASE neutron CHARACTER SET utf8']);
  await machine.exec(['/usr/bin/python3', join(import.meta.dirname, schema), url], { timeout: 240_000 });
  await making.stop();
}
