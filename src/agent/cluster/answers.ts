/** Whether a machine is there, whatever runs on it. */

import { connect } from 'node:net';
import { type Address, formatAddress } from '../../model/address.ts';

/** RFC 863. Nobody serves it, and a machine that is there says so with a reset (RFC 9293 §3.10.7.1). */
const DISCARD = 9;
const PATIENCE = 2000;

/** Refusals of a machine, unlike those of a router on the way (RFC 792) or of our own kernel, which found nobody. */
const ALIVE = new Set(['ECONNREFUSED', 'ECONNRESET']);

/** Never rejects. Ends within two seconds. A firewall there that drops everything makes a machine look absent. */
export function answers(address: Address): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ host: formatAddress(address), port: DISCARD, timeout: PATIENCE });
  const end = (is: boolean): void => {
    socket.destroy();
    resolve(is);
  };
  socket.once('connect', () => end(true));
  socket.once('timeout', () => end(false));
  socket.once('error', (error: NodeJS.ErrnoException) => end(ALIVE.has(error.code ?? '')));
  return promise;
}
