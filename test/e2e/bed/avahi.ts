/** A real multicast DNS stack (avahi) on a plain machine of a LAN, with a message bus of its own for its clients. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Machine } from './machine.ts';
import { waitFor } from './process.ts';

export interface Avahi {
  /** The address of a name, of one family; undefined when nobody answers. */
  resolve(name: string, family?: 4 | 6): Promise<string | undefined>;
  /** The name of an address. */
  nameOf(address: string): Promise<string | undefined>;
  /** Services of a type that it knows or hears of: lines `name host address port`. */
  services(type: string): Promise<readonly string[]>;
  /** Has the machine answer for another name, until the process is stopped. */
  publish(name: string, address: string): Promise<{ stop(): Promise<number> }>;
}

/** @param hostName by which the machine calls itself. @param over what it speaks. */
export async function startAvahi(machine: Machine, hostName: string, card = 'eth0', over: 4 | 6 = 4): Promise<Avahi> {
  const bus = join(machine.dir, 'bus.conf');
  writeFileSync(
    bus,
    `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/></policy>
</busconfig>
`,
  );
  const configuration = join(machine.dir, 'avahi.conf');
  writeFileSync(
    configuration,
    `[server]
host-name=${hostName}
allow-interfaces=${card}
use-ipv4=${over === 4 ? 'yes' : 'no'}
use-ipv6=${over === 6 ? 'yes' : 'no'}
ratelimit-interval-usec=1000000
ratelimit-burst=1000
[publish]
publish-workstation=no
publish-hinfo=no
`,
  );
  await machine.sh('mkdir -p /run/dbus /run/avahi-daemon');
  await machine.spawn(['dbus-daemon', `--config-file=${bus}`, '--nofork', '--nopidfile']);
  await waitFor(
    'the message bus',
    async () => (await machine.sh('test -S /run/dbus/system_bus_socket', { check: false })).code === 0,
  );
  const daemon = await machine.spawn([
    'avahi-daemon',
    '-f',
    configuration,
    '--no-drop-root',
    '--no-chroot',
    '--no-rlimits',
    '--debug',
  ]);
  await daemon.waitForOutput(/Server startup complete/, 20_000);

  const ask = async (...command: readonly string[]): Promise<string | undefined> => {
    const { stdout } = await machine.exec(command, { check: false, timeout: 20_000 });
    return stdout.trim().split('\t')[1];
  };
  return {
    resolve: (name, family = 4) => ask('avahi-resolve', `-${family}`, '-n', name),
    nameOf: (address) => ask('avahi-resolve', '-a', address),
    async services(type) {
      const { stdout } = await machine.exec(['avahi-browse', '-rpt', type], { timeout: 20_000 });
      const resolved = stdout.split('\n').filter((line) => line.startsWith('='));
      // = ; interface ; protocol ; name ; type ; domain ; host ; address ; port ; text
      return resolved
        .map((line) => line.split(';'))
        .map(([, , , name, , , host, address, port]) => `${name} ${host} ${address} ${port}`)
        .toSorted();
    },
    async publish(name, address) {
      const publisher = await machine.spawn(['avahi-publish', '-a', '-R', name, address], { name: `publish-${name}` });
      await publisher.waitForOutput(/Established under name/, 20_000);
      return { stop: () => publisher.stop() };
    },
  };
}
