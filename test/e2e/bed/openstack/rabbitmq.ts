/** RabbitMQ, by which neutron-server and the agents of the hosts talk. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Service, service } from '../control.ts';
import type { Machine } from '../machine.ts';

const port = 5672;

export interface Bus extends Service {
  /** For oslo.messaging, from anywhere on the LAN. */
  readonly url: string;
}

/** Starts it on an address of the machine. */
export async function startRabbitmq(machine: Machine, address: string): Promise<Bus> {
  const folder = join(machine.dir, 'rabbitmq');
  mkdirSync(folder);
  const config = join(folder, 'rabbitmq.conf');
  // The user `guest` is otherwise let in by the loopback interface only.
  writeFileSync(
    config,
    `listeners.tcp.1 = ${address}:${port}\nloopback_users = none\ndisk_free_limit.absolute = 1MB\n`,
  );
  const plugins = join(folder, 'plugins');
  writeFileSync(plugins, '[].\n');
  const env = {
    HOME: folder,
    RABBITMQ_NODENAME: 'rabbit@localhost',
    RABBITMQ_CONFIG_FILE: config,
    RABBITMQ_ENABLED_PLUGINS_FILE: plugins,
    RABBITMQ_MNESIA_BASE: join(folder, 'mnesia'),
    RABBITMQ_LOG_BASE: join(folder, 'log'),
    RABBITMQ_PID_FILE: join(folder, 'pid'),
    // One scheduler that does not spin when it is idle.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '+S 1:1 +sbwt none',
  };
  const unit = service(
    'rabbitmq',
    () => machine.spawn(['/usr/lib/rabbitmq/bin/rabbitmq-server'], { name: 'rabbitmq', env }),
    async () =>
      (await machine.net(['busybox', 'nc', '-w', '1', address, `${port}`, '-e', 'true'], { check: false })).code === 0,
    120_000,
  );
  await unit.start();
  return { ...unit, url: `rabbit://guest:guest@${address}:${port}/` };
}
