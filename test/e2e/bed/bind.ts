/** A real DNS server (BIND) on a machine of a LAN, which takes updates that are signed with its key. */

import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Machine } from './machine.ts';
import type { Process } from './process.ts';

export interface Bind {
  readonly machine: Machine;
  /** The key as `tsig-keygen` writes it. */
  readonly key: string;
  /** Asks the server itself: the answers, as `dig +short` shows them, sorted. */
  ask(name: string, type: string): Promise<readonly string[]>;
  /** Changes a zone as somebody else would, by a script for `nsupdate`. */
  change(...lines: readonly string[]): Promise<void>;
  stop(): Promise<void>;
  /** Starts it again with what its zones had. */
  start(): Promise<void>;
  freeze(): Promise<void>;
  thaw(): void;
  log(): Promise<string>;
}

/** Starts it with these zones. It ends with the machine. */
export async function startBind(machine: Machine, zones: readonly string[]): Promise<Bind> {
  const home = join(machine.dir, 'bind');
  mkdirSync(home, { recursive: true });
  const key = (await machine.net(['tsig-keygen', '-a', 'hmac-sha256', 'berth'])).stdout;
  const file = (name: string, text: string): string => {
    const path = join(home, name);
    writeFileSync(path, text);
    return path;
  };
  const keyFile = file('key', key);
  chmodSync(keyFile, 0o600);
  for (const zone of zones)
    file(`${zone}.db`, `$TTL 60\n@ SOA ns.example. admin.example. 1 3600 600 86400 60\n@ NS ns.example.\n`);
  const configuration = file(
    'named.conf',
    `options { directory "${home}"; pid-file none; session-keyfile none; recursion no; dnssec-validation no; listen-on-v6 { any; }; };
controls { };
${key}
${zones
  .map((zone) => `zone "${zone}" { type primary; file "${home}/${zone}.db"; allow-update { key berth; }; };`)
  .join('\n')}
`,
  );
  let running: Process | undefined;
  async function start(): Promise<void> {
    running = await machine.netSpawn(['named', '-g', '-n', '1', '-c', configuration], { name: 'named' });
    await running.waitForOutput(/ running$/m);
  }
  await start();
  return {
    machine,
    key,
    async ask(name, type) {
      const command = ['dig', '+short', '+norecurse', '+time=2', '+tries=2', '@127.0.0.1', name, type];
      const { stdout } = await machine.net(command);
      return stdout.split('\n').filter(Boolean).toSorted();
    },
    async change(...lines) {
      const script = ['server 127.0.0.1', ...lines, 'send', ''].join('\n');
      await machine.net(['nsupdate', '-k', keyFile], { input: script });
    },
    async stop() {
      await running?.stop();
      running = undefined;
    },
    start,
    freeze: () => running!.freeze(),
    thaw: () => running!.thaw(),
    log: async () => (await running?.output()) ?? '',
  };
}
