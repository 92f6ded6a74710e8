/** The services of OpenStack as Debian runs them: WSGI programs in uWSGI. */

import { type Service, service } from '../control.ts';
import type { Machine } from '../machine.ts';
import { childrenOf, freeze, thaw } from '../process.ts';
import { ask } from './rest.ts';

export interface WsgiOptions {
  readonly name: string;
  readonly program: string;
  readonly args?: string;
  /** A port of 127.0.0.1 in the machine, besides the socket. */
  readonly port: number;
  readonly processes?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Answers when the service serves. */
  readonly probe: string;
}

export interface WsgiService extends Service {
  /** Path of its unix socket from outside of the machine. */
  socket(): string;
}

/** Not started yet. The first answer takes the time of loading the application: 2 to 4 s. */
export function wsgiService(machine: Machine, options: WsgiOptions): WsgiService {
  const { name, processes = 1 } = options;
  const socket = `/run/${name}.sock`;
  const command = [
    'uwsgi',
    '--plugins=python3',
    '--need-app',
    '--enable-threads',
    '--die-on-term',
    `--processes=${processes}`,
    // A single process is its own master, and can then be frozen as one.
    ...(processes > 1 ? ['--master', '--lazy-apps', '--thunder-lock', '--no-orphans'] : []),
    '--listen=100',
    // As in Debian's own files: both services count the length of their answers themselves, and do it wrong.
    '--buffer-size=65535',
    '--rem-header=Content-Length',
    '--add-header=Connection: close',
    `--http-socket=${socket}`,
    `--http-socket=127.0.0.1:${options.port}`,
    `--wsgi-file=${options.program}`,
    ...(options.args === undefined ? [] : [`--pyargv=${options.args}`]),
    '--log-format=%(method) %(uri) %(status) %(msecs)ms',
  ];
  const path = () => machine.path(socket);
  const unit = service(
    name,
    () => machine.spawn(command, { name: `${name}-uwsgi`, ...(options.env ? { env: options.env } : {}) }),
    () =>
      ask({ socketPath: path() }, options.probe, { timeout: 20_000 }).then(
        ({ status }) => status < 500,
        () => false,
      ),
    120_000,
  );
  const tree = () => [unit.process().pid, ...childrenOf(unit.process().pid)];
  return {
    ...unit,
    socket: path,
    freeze: async () => {
      await unit.freeze();
      for (const pid of tree().slice(1)) await freeze(pid);
    },
    thaw: () => {
      for (const pid of tree().slice(1)) thaw(pid);
      unit.thaw();
    },
  };
}
