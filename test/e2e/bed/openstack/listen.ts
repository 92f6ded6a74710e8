/**
 * Listening in a machine's network from the test's own process: a program inside opens the sockets and hands them over; a
 * socket stays in the network in which it was made.
 *
 *   node listen.ts ADDRESS PORT …       the program inside
 */

import { spawn } from 'node:child_process';
import { createServer, type Server } from 'node:net';
import type { Machine } from '../machine.ts';

/** Listeners on the ports of an address, in the order of the ports. @throws when a port is taken or the address is not there. */
export async function listenIn(machine: Machine, address: string, ports: readonly number[]): Promise<Server[]> {
  const program = [process.execPath, import.meta.filename, address, ...ports.map(String)];
  const child = spawn('nsenter', ['-t', `${machine.pid()}`, '-n', '--', ...program], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let errors = '';
  child.stderr!.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const listeners = new Map<number, Server>();
  child.on('message', (port, listener) => listeners.set(port as number, listener as Server));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const found = ports.flatMap((port) => listeners.get(port) ?? []);
  if (code === 0 && found.length === ports.length) return found;
  for (const listener of found) listener.close();
  throw new Error(`Cannot listen on ${address}, ports ${ports.join(', ')}, in ${machine.name}: ${errors}`);
}

if (import.meta.main) {
  const [address, ...ports] = process.argv.slice(2);
  for (const port of ports.map(Number)) {
    const listener = createServer();
    await new Promise<void>((resolve, reject) => {
      listener.once('error', reject);
      listener.listen(port, address, 128, resolve);
    });
    await new Promise<void>((resolve, reject) => {
      process.send!(port, listener, {}, (error) => (error ? reject(error) : resolve()));
    });
    listener.close();
  }
  process.disconnect();
}
