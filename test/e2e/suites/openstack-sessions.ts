/** Sessions with the OpenStack of a bed, opened as a kuryr.conf asks for them. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { readKuryrConf } from '../../../src/openstack/conf/kuryr-conf.ts';
import { openSession, type Session } from '../../../src/openstack/keystone/session.ts';
import type { UserName } from '../bed/openstack/identity.ts';
import type { OpenStack } from '../bed/openstack/openstack.ts';

/** For what a test writes; it goes with the test. */
export const folder = mkdtempSync(join(tmpdir(), 'openstack-client-'));
const sessions: Session[] = [];
after(() => rmSync(folder, { recursive: true }));

/** A session as kuryr.conf asks for it. */
export function sessionFor(lines: Readonly<Record<string, string | undefined>>): Session {
  const file = join(folder, 'kuryr.conf');
  const text = Object.entries(lines).map(([key, value]) => (value === undefined ? '' : `${key} = ${value}`));
  writeFileSync(file, ['[neutron]', ...text].join('\n'), { mode: 0o600 });
  const session = openSession(readKuryrConf({ files: [file], dirs: [], env: {} }).conf.session);
  sessions.push(session);
  return session;
}

/** The lines of kuryr.conf for a user of the bed. */
export function asUser(stack: OpenStack, name: UserName): Record<string, string> {
  const user = stack.identity.users[name];
  return {
    auth_type: 'password',
    auth_url: stack.authUrl,
    username: user.name,
    user_domain_name: user.domain,
    password: user.password,
    project_name: user.project,
    project_domain_name: user.domain,
  };
}

/** Ends those that were opened since. */
export function closeSessions(): void {
  for (const session of sessions.splice(0)) session.close();
}
