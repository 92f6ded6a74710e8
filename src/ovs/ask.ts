/** One question to the database of Open vSwitch, for a thread that may not block: connects, asks, and hangs up. */

import { connect, type NetConnectOpts } from 'node:net';
import { asBerthError, BerthError } from '../model/errors.ts';
import { type DatabaseAddress, formatDatabaseAddress } from './address.ts';
import { type Conversation, createConversation } from './conversation.ts';
import { type Operation, type Result, readResults } from './operations.ts';
import { DATABASE, readPorts, selectPorts } from './ports.ts';
import type { Bridge, Port } from './switches.ts';

/** Docker waits meanwhile. */
const TIMEOUT = 2_000;

/**
 * The bridges of this host's Open vSwitch, and their ports.
 *
 * @throws BerthError OVS_UNREACHABLE, OVS_REFUSED
 */
export async function askSwitches(
  address: DatabaseAddress,
  timeout = TIMEOUT,
): Promise<{ readonly bridges: readonly Bridge[]; readonly ports: readonly Port[] }> {
  const operations = selectPorts();
  try {
    const switches = readPorts(operations, await ask(address, operations, timeout));
    return { bridges: switches.bridges(), ports: switches.ports() };
  } catch (thrown) {
    if (thrown instanceof BerthError) throw thrown;
    throw unreachable(address, asBerthError(thrown).message, thrown);
  }
}

function unreachable(address: DatabaseAddress, reason: string, cause?: unknown): BerthError {
  const where = formatDatabaseAddress(address);
  return new BerthError('OVS_UNREACHABLE', `the database of Open vSwitch at ${where}: ${reason}`, { cause });
}

function ask(address: DatabaseAddress, operations: readonly Operation[], timeout: number): Promise<readonly Result[]> {
  const { promise, resolve, reject } = Promise.withResolvers<readonly Result[]>();
  const { kind: _, ...target } = address;
  const socket = connect(target as NetConnectOpts);
  // Not a timeout of the socket's: a server that trickles would put that off for ever.
  const timer = setTimeout(() => reject(new Error(`it did not answer within ${timeout / 1000} s`)), timeout);
  let conversation: Conversation | undefined;
  let number = 0;
  socket.on('connect', () => {
    conversation = createConversation({ send: (bytes) => socket.write(bytes) });
    number = conversation.ask('transact', [DATABASE, ...operations]);
  });
  socket.on('data', (bytes) => {
    try {
      conversation!.take(bytes);
      const answer = conversation!.answer(number);
      if (answer === undefined) return;
      if ('error' in answer) {
        throw new BerthError('OVS_REFUSED', `Open vSwitch refused to be read: ${JSON.stringify(answer.error)}`);
      }
      resolve(readResults(answer.result, operations));
    } catch (thrown) {
      reject(thrown as Error);
    }
  });
  socket.on('error', (error: NodeJS.ErrnoException) => reject(new Error(reasons[error.code ?? ''] ?? error.message)));
  socket.on('close', () => reject(new Error('it closed the connection')));
  return promise.finally(() => {
    clearTimeout(timer);
    socket.destroy();
  });
}

/** Why a socket cannot be connected, in words. */
const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such socket',
  ECONNREFUSED: 'nobody listens there',
  EACCES: 'permission denied',
};
