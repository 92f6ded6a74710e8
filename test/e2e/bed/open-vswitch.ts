/** An Open vSwitch of a host's own: this machine's programs, in the host's namespaces, on the datapath in user space. */

import type { Machine } from './machine.ts';
import { type Process, waitFor } from './process.ts';

export interface OpenVswitch {
  /** `ovs-vsctl`, which waits until the switch has done it. Its standard output, trimmed. */
  vsctl(...args: readonly string[]): Promise<string>;
  /** Both daemons; the database is on the host's disk. */
  start(): Promise<void>;
  /** SIGKILL of both. */
  kill(): Promise<void>;
  /** The daemon of the database, as long as it runs. */
  database(): Process;
}

const SOCKET = '/run/openvswitch/db.sock';
const DATABASE = '/etc/openvswitch/conf.db';

/** Starts it, with an empty database unless there is one on the host's disk. */
export async function openVswitch(host: Machine): Promise<OpenVswitch> {
  let daemons: Process[] = [];
  const log = ['-vconsole:info', '-vsyslog:off', '-vfile:off', '--no-chdir'];

  const self: OpenVswitch = {
    vsctl: async (...args) => (await host.exec(['ovs-vsctl', '--timeout=10', ...args])).stdout.trim(),
    async start() {
      await host.sh(`mkdir -p /run/openvswitch /etc/openvswitch
        [ -e ${DATABASE} ] || ovsdb-tool create ${DATABASE} /usr/share/openvswitch/vswitch.ovsschema`);
      const control = (name: string) => `--unixctl=/run/openvswitch/${name}.ctl`;
      const database = await host.spawn(['ovsdb-server', DATABASE, `--remote=punix:${SOCKET}`, control('db'), ...log]);
      daemons = [database];
      await waitFor('the database of Open vSwitch', async () => {
        if (!database.running()) throw new Error(`ovsdb-server ended:\n${await database.output()}`);
        const { code } = await host.exec(['ovs-vsctl', '--no-wait', '--timeout=1', 'init'], { check: false });
        return code === 0;
      });
      daemons.push(await host.spawn(['ovs-vswitchd', `unix:${SOCKET}`, control('switch'), ...log]));
    },
    async kill() {
      await Promise.all(daemons.map((daemon) => daemon.stop('SIGKILL')));
      daemons = [];
    },
    database: () => daemons[0]!,
  };
  await self.start();
  return self;
}

/**
 * Lets a machine compute the checksums of what it sends on a card. A switch in user space hands frames on as they are, and a
 * real card would have computed them.
 */
export async function withoutOffload(machine: Machine, card = 'eth0'): Promise<void> {
  await machine.net(['ethtool', '-K', card, 'tx', 'off']);
}
