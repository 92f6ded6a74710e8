/** docs/neutron-install.md, line by line. */

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from '../bed/host.ts';
import { repository } from '../bed/machine.ts';
import type { OpenStack } from '../bed/openstack/openstack.ts';

/**
 * Does what the page says up to the first container: a user, Neutron's policy, and Berth on a host whose own has been stopped.
 *
 * @returns what runs the page's lines about a container; what they wrote.
 */
export async function followInstallation(stack: OpenStack, host: Host): Promise<() => Promise<string>> {
  const page = readFileSync(join(repository, 'docs/neutron-install.md'), 'utf8');
  const blocks = [...page.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, kind, lines]) => ({ kind, lines: lines! }));
  const [controller, ...more] = blocks.filter(({ lines }) => lines.startsWith('# on the controller\n'));
  const onHost = blocks.filter(({ lines }) => lines.startsWith('# on the host\n'));
  const [conf] = blocks.filter(({ kind }) => kind === 'ini');
  const [role] = blocks.filter(({ kind }) => kind === 'yaml');
  assert.deepEqual([more.length, onHost.length], [0, 2]);

  // One client for all lines, which takes seconds to start.
  const commands = controller!.lines.replaceAll(/^(# .*|openstack )/gm, '');
  const { admin } = stack.identity.users;
  const told = await stack.machine.exec(['/usr/bin/openstack'], {
    input: commands,
    env: {
      PATH: '/usr/bin:/bin',
      HOME: '/tmp',
      OS_AUTH_URL: stack.authUrl,
      OS_USERNAME: admin.name,
      OS_PASSWORD: admin.password,
      OS_PROJECT_NAME: admin.project,
      OS_USER_DOMAIN_NAME: admin.domain,
      OS_PROJECT_DOMAIN_NAME: admin.domain,
      OS_IDENTITY_API_VERSION: '3',
    },
    timeout: 60_000,
  });
  assert.doesNotMatch(told.stderr, /\S/, told.stdout);
  const rules = (text: string) =>
    Object.fromEntries([...text.matchAll(/^"([^"]+)": "([^"]+)"$/gm)].map(([, rule, check]) => [rule!, check!]));
  const policy = readFileSync(join(repository, 'docs/neutron-policy.md'), 'utf8');
  stack.setPolicy({ ...rules(/```yaml\n([^`]*)```/.exec(policy)![1]!), ...rules(role!.lines) });

  const bin = host.path('/root/bin');
  for (const folder of [bin, host.path('/etc/kuryr'), host.path('/etc/default')])
    mkdirSync(folder, { recursive: true });
  writeFileSync(
    host.path('/etc/kuryr/kuryr.conf'),
    conf!.lines.replace(/^auth_url = .*$/m, `auth_url = ${stack.authUrl}`),
  );
  // As the unit does, which systemd takes for started when Berth is ready.
  const systemctl = `#!/bin/sh
set -a
. /etc/default/berth
setsid berth agent >>/var/log/berth-unit.log 2>&1 </dev/null &
until berth status >/dev/null 2>&1; do sleep 0.2; done`;
  writeFileSync(join(bin, 'systemctl'), systemctl, { mode: 0o755 });
  await host.docker('tag', await host.image(), 'busybox');
  const [setUp, container] = onHost;
  const run = async (lines: string): Promise<string> => {
    const path = `/root/bin:${join(repository, 'bin')}:/usr/sbin:/usr/bin:/sbin:/bin`;
    const { code, stdout, stderr } = await host.exec(['sh', '-c', `set -e\nexport PATH=${path}\n${lines}`], {
      check: false,
      timeout: 60_000,
    });
    assert.equal(code, 0, `${lines}\n${stdout}${stderr}`);
    return stdout;
  };
  const examined = await run(setUp!.lines);
  assert.match(examined, /0 warnings, 0 failures/);
  return () => run(container!.lines);
}
