/** Contiv's daemons under their old names: the lines of its users, word by word, on two hosts. */

import assert from 'node:assert/strict';
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { openBed } from './bed/bed.ts';
import { type Machine, repository } from './bed/machine.ts';
import { type Process, waitFor } from './bed/process.ts';

const FLAGS = '--etcd-endpoints http://172.16.112.128:2379 --mode docker --netmode vlan --fwdmode bridge';

/** A line as a user types it. */
function words(line: string): string[] {
  const [program, ...rest] = line.split(/\s+/);
  return [join(repository, 'bin', program!), ...rest];
}

async function logged(daemon: Process, what: RegExp): Promise<string> {
  return waitFor(
    `${what} in the log`,
    async () => {
      const log = await daemon.output();
      return what.test(log) ? log : undefined;
    },
    30_000,
  );
}

describe('netmaster and netplugin', () => {
  it('start as Contiv’s did, and serve netctl and Docker', { timeout: 120_000 }, async (t) => {
    await using bed = await openBed('netplugin');
    bed.watch(t);
    const lan = await bed.lan({ subnet: '172.16.112.0/24', gateway: '172.16.112.1' });
    const host = async (name: string, address: string) => {
      const made = await bed.host(name, { underlay: false });
      await lan.plug(made, { addresses: [`${address}/24`], gateway: true });
      return made;
    };
    const [host1, host2] = await Promise.all([host('host1', '172.16.112.128'), host('host2', '172.16.112.133')]);
    const urls = [
      '--listen-client-urls',
      'http://172.16.112.128:2379',
      '--advertise-client-urls',
      'http://172.16.112.128:2379',
    ];
    await host1.spawn(['etcd', '--data-dir', '/var/lib/etcd', '--logger', 'zap', '--log-level', 'warn', ...urls], {
      name: 'etcd',
    });

    const start = (on: Machine, line: string) => on.spawn(words(line), { name: line.split(' ')[0]! });
    await logged(await start(host1, `netmaster ${FLAGS}`), /"event":"master.ready"/);
    const plugins = await Promise.all([start(host1, `netplugin ${FLAGS}`), start(host2, `netplugin ${FLAGS}`)]);
    for (const [index, on] of [host1, host2].entries()) {
      const log = await logged(plugins[index]!, /"event":"agent.ready"/);
      assert.match(log, /--netmode vlan has no effect/);
      assert.ok(lstatSync(on.path('/run/docker/plugins/netplugin.sock')).isSocket());
      const { stdout } = await on.exec(words('berth status'));
      assert.match(stdout, /plugins +netplugin \(fabric cluster/);
    }

    const netctl = 'netctl --netmaster http://172.16.112.128:9999';
    const made = await host1.exec(words(`${netctl} network create --subnet 10.103.1.0/24 test-net`));
    assert.equal(made.stdout, 'Creating network default:test-net\n');
    for (const on of [host1, host2]) {
      const { stdout } = await on.exec(words(`${netctl} network ls`));
      assert.match(stdout, /^default +test-net +data +vxlan +0 +10\.103\.1\.0\/24/m);
    }

    for (const daemon of plugins) assert.equal(await daemon.stop('SIGTERM', 20_000), 0);
    const refused = await host1.exec(words(`netplugin ${FLAGS} --vxlan-port none`), { check: false });
    assert.equal(refused.code, 22);
    assert.match(refused.stderr, /^netplugin: --vxlan-port must be a port/);
  });
});
