/**
 * Who on the LAN can testify that the host is still reached after a NIC has become a bridge: the gateways, or else the neighbours,
 * that answered a moment before. They are asked anew each time, because what the kernel has learnt of them moves to the bridge with
 * all the rest and would make it believe in them for ten seconds more.
 */

import type { HostView, Kernel } from '../../../kernel/kernel.ts';
import { answeringNeighbours, type NeighbourQuestion } from '../../../kernel/packet/answers.ts';
import { type Address, formatAddress, sameAddress } from '../../../model/address.ts';
import { contains, prefixOf } from '../../../model/prefix.ts';
import { answersByTcp } from './reachable.ts';

export interface Witnesses {
  readonly gateways: boolean;
  /** Those that answered to ARP or neighbour discovery. */
  readonly present: readonly NeighbourQuestion[];
  /** Those of them that answered by TCP, too, as text: that shows what ARP cannot, a packet filter that lets nothing in any more. */
  readonly talking: ReadonlySet<string>;
}

/** Milliseconds. Together less than what a call of Docker's may take, and the second longer than most cards lose their carrier. */
const BEFORE = 1500;
const AFTER = 4000;
/** As many neighbours are asked where there is no gateway: one that answers will do. */
const MOST_NEIGHBOURS = 16;

/** @throws BerthError KERNEL_REFUSED, KERNEL_LACKS, KERNEL_BUSY: nobody could be asked. */
export async function findWitnesses(link: string, host: HostView, kernel: Kernel): Promise<Witnesses> {
  const gateways = host.routes.flatMap((route) => (route.link === link && route.via !== undefined ? [route.via] : []));
  const asked = questions(link, host, gateways);
  const [present, talking] = await Promise.all([ask(link, asked, BEFORE, kernel), talkers(link, asked, BEFORE)]);
  if (present.length > 0) return { gateways: true, present, talking };
  const neighbours = (await kernel.neighbours(link)).slice(0, MOST_NEIGHBOURS).map(({ address }) => address);
  const others = await ask(link, questions(link, host, neighbours), BEFORE, kernel);
  return { gateways: false, present: others, talking: new Set() };
}

/**
 * Whom of the witnesses the host does not reach any more through the bridge.
 *
 * @returns words for an error; undefined when all is well, or nobody could have told.
 */
export async function missedThrough(bridge: string, before: Witnesses, kernel: Kernel): Promise<string | undefined> {
  const { present, talking, gateways } = before;
  const [now, words] = await Promise.all([
    // Among neighbours a single one is enough, but whoever sleeps may be the first.
    ask(bridge, present, AFTER, kernel, gateways ? present.length : 1),
    talkers(
      bridge,
      present.filter(({ neighbour }) => talking.has(formatAddress(neighbour))),
      AFTER,
    ),
  ]);
  const texts = (some: readonly NeighbourQuestion[]) => some.map(({ neighbour }) => formatAddress(neighbour));
  const absent = texts(present).filter((text) => !texts(now).includes(text));
  if (!gateways) {
    const all = `none of its neighbours that answered before (${absent.join(', ')}) does any more`;
    return absent.length > 0 && now.length === 0 ? all : undefined;
  }
  if (absent.length > 0) return `the gateway ${absent.join(', ')} did not answer any more`;
  const silent = [...talking].filter((text) => !words.has(text));
  return silent.length === 0
    ? undefined
    : `the gateway ${silent.join(', ')} did not answer any more by TCP, though it is there: a packet filter of this host may name the NIC`;
}

/** Each is asked by an address of the link from the same subnet, or else any that the link has. */
function questions(link: string, host: HostView, neighbours: readonly Address[]): readonly NeighbourQuestion[] {
  const held = host.addresses.filter((one) => one.link === link).map(({ address }) => address);
  const unique = new Map(neighbours.map((neighbour) => [formatAddress(neighbour), neighbour]));
  return [...unique.values()].flatMap((neighbour): NeighbourQuestion[] => {
    const family = held.filter(({ address }) => address.family === neighbour.family);
    const from = family.find((own) => contains(prefixOf(own), neighbour)) ?? family[0];
    return from === undefined || sameAddress(from.address, neighbour) ? [] : [{ neighbour, from: from.address }];
  });
}

async function ask(
  link: string,
  asked: readonly NeighbourQuestion[],
  milliseconds: number,
  kernel: Kernel,
  enough?: number,
): Promise<readonly NeighbourQuestion[]> {
  if (asked.length === 0) return [];
  const port = await kernel.packets({ link, hears: ['arp', 'neighbours'] });
  try {
    const answered = await answeringNeighbours(port, asked, milliseconds, enough);
    return asked.filter(({ neighbour }) => answered.has(formatAddress(neighbour)));
  } finally {
    port.close();
  }
}

/** As text. */
async function talkers(
  link: string,
  asked: readonly NeighbourQuestion[],
  milliseconds: number,
): Promise<ReadonlySet<string>> {
  const found = await Promise.all(
    asked.map(async ({ neighbour }) =>
      (await answersByTcp(neighbour, link, milliseconds)) ? [formatAddress(neighbour)] : [],
    ),
  );
  return new Set(found.flat());
}
