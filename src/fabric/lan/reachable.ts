/** Whether a neighbour on the link answers, found out without raw sockets. */

import { createSocket } from 'node:dgram';
import { type Address, formatAddress } from '../../model/address.ts';

/** The discard service: nobody minds, and a refusal is an answer too. */
const PORT = 9;

/**
 * Sends one datagram to a neighbour and waits for the kernel to say that nobody answers for its address: EHOSTUNREACH comes
 * about 3 s after the first of three ARP or ND questions (mcast_solicit, net/core/neighbour.c). Everything else means that
 * it is there: a refused port as much as silence.
 *
 * @param milliseconds how long to wait; less than 3,200 cannot see an absence.
 */
export function reachable(address: Address, milliseconds: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = createSocket(address.family === 4 ? 'udp4' : 'udp6');
  const timer = setTimeout(() => done(true), milliseconds);
  const again = setInterval(() => socket.send('', 0, 0), 500);
  function done(answer: boolean): void {
    clearTimeout(timer);
    clearInterval(again);
    socket.removeAllListeners();
    socket.on('error', () => undefined);
    socket.close();
    resolve(answer);
  }
  socket.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'ECONNREFUSED') done(true);
    else if (error.code === 'EHOSTUNREACH' || error.code === 'ENETUNREACH') done(false);
  });
  socket.connect(PORT, formatAddress(address), (error?: Error) => {
    if (error !== undefined && error !== null) done(false);
    else socket.send('', 0, 0);
  });
  return promise;
}
