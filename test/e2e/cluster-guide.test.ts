/** Every line of docs/cluster.md, as it stands there, on three hosts. */

import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { openBed } from './bed/bed.ts';
import type { Host } from './bed/host.ts';
import { repository } from './bed/machine.ts';
import { waitFor } from './bed/process.ts';

interface Block {
  readonly hosts: readonly string[];
  readonly lines: string;
}

/** The blocks that say where they are run. */
function blocks(page: string): Block[] {
  return [...page.matchAll(/^```\n# on (.*)\n([\s\S]*?)^```$/gm)].map(([, where, lines]) => ({
    hosts: where!.match(/\bhost[1-3]\b/g)!,
    lines: lines!,
  }));
}

/**
 * There is no systemd in the bed: this starts what a unit of ours, or Debian's of etcd, says, with the settings that it names. The package of
 * etcd is there already.
 */
const SYSTEMCTL = `#!/bin/sh
for unit in "$@"; do :; done
case "$*" in *--now*|restart*) ;; *) exit 0 ;; esac
set -a
. /etc/default/\${unit%-master}
case $unit in
  etcd) command=etcd ;;
  *) command=$(sed -n 's|^ExecStart=/usr/local/bin/||p' ${join(repository, 'packaging')}/$unit.service) ;;
esac
mkdir -p /var/lib/berth /var/lib/etcd
setsid $command >>/var/log/$unit.log 2>&1 </dev/null &
`;

async function prepare(host: Host): Promise<void> {
  const bin = host.path('/root/bin');
  mkdirSync(bin, { recursive: true });
  for (const [name, text] of [
    ['systemctl', SYSTEMCTL],
    ['apt-get', '#!/bin/sh\n'],
  ] as const) {
    writeFileSync(join(bin, name), text);
    chmodSync(join(bin, name), 0o755);
  }
  mkdirSync(host.path('/etc/default'), { recursive: true });
  await host.docker('tag', await host.image(), 'busybox');
}

describe('the guide to a cluster', () => {
  it('works as it is written', { timeout: 240_000 }, async (t) => {
    const guide = blocks(readFileSync(join(repository, 'docs/cluster.md'), 'utf8'));
    assert.ok(guide.length >= 7, `${guide.length} blocks`);
    await using bed = await openBed('guide');
    bed.watch(t);
    const lan = await bed.lan({ subnet: '10.0.0.0/24', gateway: '10.0.0.254' });
    const hosts = await Promise.all(
      ['host1', 'host2', 'host3'].map(async (name, index) => {
        const host = await bed.host(name, { underlay: false });
        await lan.plug(host, { addresses: [`10.0.0.${index + 1}/24`], gateway: true });
        await prepare(host);
        return host;
      }),
    );
    const run = async (host: Host, lines: string): Promise<string> => {
      const number = host.name.at(-1)!;
      const own = lines.replace('HOST=host1 ADDRESS=10.0.0.1', `HOST=host${number} ADDRESS=10.0.0.${number}`);
      const path = `/root/bin:${join(repository, 'bin')}:/usr/sbin:/usr/bin:/sbin:/bin`;
      const { code, stdout, stderr } = await host.exec(['sh', '-c', `set -e\nexport PATH=${path}\n${own}`], {
        check: false,
        timeout: 60_000,
      });
      assert.equal(code, 0, `on ${host.name}:\n${own}\n${stdout}${stderr}`);
      return stdout;
    };

    const said: string[] = [];
    for (const { hosts: where, lines } of guide) {
      const on = hosts.filter(({ name }) => where.includes(name));
      if (lines.includes('berth status')) {
        await waitFor(
          'all hosts to be heard',
          async () => (await on[0]!.berth('status')).stdout.includes('3 heard'),
          60_000,
        );
      }
      if (lines.includes('berth network create')) {
        await waitFor(
          'a master',
          async () => (await on[0]!.berth('tenant', 'ls', '--master', 'http://10.0.0.1:9999')).code === 0,
        );
      }
      said.push(...(await Promise.all(on.map((host) => run(host, lines)))));
    }
    const all = said.join('\n');
    assert.match(
      all,
      /^cluster +3 hosts, 3 heard, kept in etcd:\/\/10\.0\.0\.1:2379,10\.0\.0\.2:2379,10\.0\.0\.3:2379\//m,
    );
    assert.match(all, /^Creating network default:shop$/m);
    assert.match(all, / 0% packet loss/);
    assert.match(all, /^default:shop: 2 containers, 2 pairs, 2 well, 0 not$/m);
  });
});
