/**
 * Asks neighbours whether they are there, as the kernel does before it sends to one (RFC 826; RFC 4861 §7.2.2). What the kernel
 * remembers of them is no answer to that, nor is what they tell everybody: only what comes back to us shows that frames pass
 * both ways.
 */

import { type Address, formatAddress, sameAddress } from '../../model/address.ts';
import type { PacketPort } from '../packets.ts';
import { arpRequest, readArp } from './arp.ts';
import { readFrame } from './ethernet.ts';
import { readNeighbourMessage, solicitation } from './neighbour-discovery.ts';

export interface NeighbourQuestion {
  readonly neighbour: Address;
  /** An address of the port's link, of the same family: where the answer is to go. */
  readonly from: Address;
}

/** Milliseconds between two questions: RETRANS_TIMER of RFC 4861 §10 is 1,000. */
const PAUSE = 500;

/**
 * Asks each again and again until it answers. The port must hear `arp` and `neighbours`.
 *
 * @param milliseconds how long answers are waited for, from when the first questions have gone out.
 * @param enough after as many answers nobody else is waited for.
 * @returns textual addresses of those that have answered.
 */
export function answeringNeighbours(
  port: PacketPort,
  questions: readonly NeighbourQuestion[],
  milliseconds: number,
  enough: number = questions.length,
): Promise<ReadonlySet<string>> {
  const { promise, resolve } = Promise.withResolvers<ReadonlySet<string>>();
  const answered = new Set<string>();
  let timers: readonly NodeJS.Timeout[] | undefined = [];
  const stopHearing = port.onFrame(hear);

  function ask(): void {
    for (const { neighbour, from } of questions) {
      if (answered.has(formatAddress(neighbour))) continue;
      port.send(
        neighbour.family === 4 ? arpRequest(port.mac, from, neighbour) : solicitation(port.mac, from, neighbour),
      );
    }
  }

  function hear(frame: Uint8Array): void {
    if (readFrame(frame)?.destination !== port.mac) return;
    const arp = readArp(frame);
    const message = readNeighbourMessage(frame);
    const about =
      arp?.operation === 'reply' ? arp.sender : message?.type === 'advertisement' ? message.target : undefined;
    if (about === undefined || !questions.some(({ neighbour }) => sameAddress(neighbour, about))) return;
    answered.add(formatAddress(about));
    if (answered.size >= enough) end();
  }

  function end(): void {
    if (timers === undefined) return;
    for (const timer of timers) clearTimeout(timer);
    timers = undefined;
    stopHearing();
    resolve(answered);
  }

  async function run(): Promise<void> {
    ask();
    await port.flushed();
    if (timers === undefined) return;
    timers = [setInterval(ask, PAUSE), setTimeout(() => void port.flushed().then(end), milliseconds)];
  }

  if (enough === 0) end();
  else void run();
  return promise;
}
