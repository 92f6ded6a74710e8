/** Whether a neighbour answers by IP, found out without raw sockets. */

import { connect } from 'node:net';
import { type Address, formatAddress } from '../../../model/address.ts';

/** The discard service: nobody minds, and a refusal is an answer too. */
const PORT = 9;

/**
 * Opens a connection to a neighbour. Only what itself has said counts, be it that it refuses: many say nothing on purpose, and
 * the kernel's word that there is nobody (EHOSTUNREACH) comes late, when it remembers a MAC from before.
 *
 * @param link which a link-local address is on.
 * @param milliseconds how long to wait. The kernel repeats the question after 1, 3 and 7 s.
 */
export function answersByTcp(address: Address, link: string, milliseconds: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const text = formatAddress(address);
  const socket = connect({ host: text.startsWith('fe80:') ? `${text}%${link}` : text, port: PORT });
  const timer = setTimeout(() => done(false), milliseconds);
  function done(answer: boolean): void {
    clearTimeout(timer);
    socket.destroy();
    resolve(answer);
  }
  socket.once('connect', () => done(true));
  socket.once('error', ({ code }: NodeJS.ErrnoException) => done(code === 'ECONNREFUSED' || code === 'ECONNRESET'));
  return promise;
}
