/** Whether a neighbour on the link answers, found out without raw sockets. */

import { connect } from 'node:net';
import { type Address, formatAddress } from '../../../model/address.ts';

/** The discard service: nobody minds, and a refusal is an answer too. */
const PORT = 9;
/** A neighbour is given up after three ARP or ND questions, a second apart (mcast_solicit, net/core/neighbour.c). */
const GIVEN_UP = 2000;

/**
 * Opens a connection to a neighbour and waits for the kernel to say that nobody answers for its address: EHOSTUNREACH comes
 * about 3 s after the first question. Everything else means that it is there: a refused port as much as silence, and an
 * EHOSTUNREACH that comes sooner was sent by a packet filter. (A datagram would not do: without IP_RECVERR the kernel keeps
 * this error to itself.)
 *
 * @param milliseconds how long to wait; less than 3,500 cannot see an absence.
 */
export function reachable(address: Address, milliseconds: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const began = performance.now();
  const socket = connect({ host: formatAddress(address), port: PORT });
  const timer = setTimeout(() => done(true), milliseconds);
  function done(answer: boolean): void {
    clearTimeout(timer);
    socket.destroy();
    resolve(answer);
  }
  socket.once('connect', () => done(true));
  socket.once('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'ENETUNREACH') done(false);
    else done(error.code !== 'EHOSTUNREACH' || performance.now() - began < GIVEN_UP);
  });
  return promise;
}
