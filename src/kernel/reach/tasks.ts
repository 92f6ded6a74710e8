/** What the thread is at: one echo target or one question each, as a machine that is told of the time and of what came in. */

import type { Address } from '../../model/address.ts';
import type { Syscalls } from '../syscalls.ts';
import { echoRequest, headers, readEchoReply } from './echo.ts';
import {
  type EchoAnswer,
  type EchoRequest,
  type Obstacle,
  type QuestionAnswer,
  type QuestionRequest,
  SEARCH_STEPS,
} from './reach.ts';
import { createSearch } from './search.ts';
import { asObstacle, connectTo, nextObstacle, openDatagramSocket, openEchoSocket, receiveTimed } from './sockets.ts';

export interface Task {
  readonly fd: number;
  /** Sends what is due. */
  tick(now: number): void;
  /** Reads what has come in. */
  hear(now: number): void;
  /** When it wants to be called again; undefined when it is done. */
  due(): number | undefined;
}

const BUFFER = new Uint8Array(65_536);
const SMALL = 64;
const MSG_DONTWAIT = 0x40;

/** Errors, without repetitions, and what was learnt of MTUs with them. */
function collectObstacles(): { list: Obstacle[]; add(obstacle: Obstacle | undefined): void } {
  const list: Obstacle[] = [];
  return {
    list,
    add(obstacle) {
      if (obstacle === undefined || obstacle.code === 'EAGAIN') return;
      if (!list.some(({ code, from }) => code === obstacle.code && from === obstacle.from)) list.push(obstacle);
    },
  };
}

/**
 * @param clock the wall clock, in milliseconds and finer.
 * @throws BerthError KERNEL_REFUSED, KERNEL_LACKS
 */
export function echoTask(
  syscalls: Syscalls,
  request: EchoRequest,
  id: number,
  clock: () => number,
): Task & { answer(): EchoAnswer } {
  const { target, count, interval, patience, largest } = request;
  const { family } = target;
  const fd = openEchoSocket(syscalls, target);
  const obstacles = collectObstacles();
  const unconnected = connectTo(syscalls, fd, target);
  obstacles.add(unconnected);
  /** By sequence number. */
  const sentAt = new Map<number, { readonly now: number; readonly wall: number }>();
  const times: number[] = [];
  const least = family === 4 ? 68 : 1280;
  const search = largest === undefined || largest <= least ? undefined : createSearch(least, largest, SEARCH_STEPS);
  /** The number of the search's packet that is under way. */
  let searching: { readonly sequence: number; readonly size: number; readonly until: number } | undefined;
  let sequence = 0;
  let phase: 'echoing' | 'waiting' | 'searching' | 'over' = unconnected === undefined ? 'echoing' : 'over';
  /** When the next echo is due, or the last one is given up. */
  let until = 0;

  function send(size: number, now: number): number {
    sequence += 1;
    const bytes = echoRequest(family, { id, sequence }, size);
    sentAt.set(sequence, { now, wall: clock() });
    // An error of an earlier packet is told with the next one, which has then not been sent.
    let result = syscalls.send(fd, bytes, bytes.length, MSG_DONTWAIT);
    if (result < 0 && drainErrors() > 0) result = syscalls.send(fd, bytes, bytes.length, MSG_DONTWAIT);
    const obstacle = asObstacle(result);
    if (obstacle?.code === 'EMSGSIZE') return -sequence;
    obstacles.add(obstacle);
    return sequence;
  }

  function drainErrors(): number {
    let count = 0;
    for (let found = nextObstacle(syscalls, fd); found !== undefined; found = nextObstacle(syscalls, fd)) {
      count += 1;
      if (found.obstacle.code !== 'EMSGSIZE') obstacles.add(found.obstacle);
      else if (searching !== undefined) {
        search?.tooLarge(searching.size, found.mtu);
        searching = undefined;
      }
    }
    return count;
  }

  function seek(now: number): void {
    if (searching !== undefined && now >= searching.until) {
      search!.lost(searching.size);
      searching = undefined;
    }
    while (searching === undefined && phase === 'searching') {
      if (search!.done()) {
        phase = 'over';
        return;
      }
      const size = search!.next();
      const wait = Math.min(patience, Math.max(100, 5 * Math.max(...times)));
      searching = { sequence: sequence + 1, size, until: now + wait };
      if (send(size, now) > 0) return;
      drainErrors();
      if (searching !== undefined) search!.tooLarge(size);
      searching = undefined;
    }
  }

  return {
    fd,
    tick(now) {
      if (phase === 'echoing' && now >= until) {
        send(Math.max(SMALL, headers[family]), now);
        until = now + interval;
        if (sequence < count) return;
        phase = 'waiting';
        until = now + patience;
      }
      if (phase === 'waiting' && (times.length === count || now >= until)) {
        phase = search === undefined || times.length === 0 ? 'over' : 'searching';
      }
      if (phase === 'searching') seek(now);
    },
    hear(now) {
      for (;;) {
        const { length, at: came } = receiveTimed(syscalls, fd, BUFFER);
        if (length < 0) {
          if (drainErrors() === 0) return;
          continue;
        }
        const numbers = readEchoReply(family, BUFFER.subarray(0, length));
        if (numbers === undefined || numbers.id !== id) continue;
        const sent = sentAt.get(numbers.sequence);
        if (sent === undefined) continue;
        sentAt.delete(numbers.sequence);
        // The wall clock may have been set meanwhile.
        const took = came - sent.wall;
        if (numbers.sequence <= count) times.push(took > 0 && took < now - sent.now + 1 ? took : now - sent.now);
        if (searching?.sequence === numbers.sequence) {
          search!.passed(searching.size);
          searching = undefined;
        }
      }
    },
    due() {
      if (phase === 'over') return undefined;
      if (phase === 'searching') return searching?.until ?? 0;
      return times.length === count ? 0 : until;
    },
    answer: () => ({
      sent: Math.min(sequence, count),
      times,
      ...(search === undefined || times.length === 0 ? {} : { mtu: search.largest() }),
      obstacles: obstacles.list,
    }),
  };
}

/** @throws BerthError KERNEL_REFUSED, KERNEL_LACKS */
export function questionTask(
  syscalls: Syscalls,
  { server, port, payload, patience }: QuestionRequest,
): Task & { answer(): QuestionAnswer } {
  const fd = openDatagramSocket(syscalls, server as Address);
  const obstacles = collectObstacles();
  const unconnected = connectTo(syscalls, fd, server, port);
  obstacles.add(unconnected);
  let answered: Uint8Array | undefined;
  let over = unconnected !== undefined;
  let asked = 0;
  let begun = 0;

  return {
    fd,
    tick(now) {
      if (over || answered !== undefined) return;
      if (asked === 0) begun = now;
      if (now >= begun + patience) {
        over = true;
        return;
      }
      if (asked > 0 && (asked > 1 || now < begun + patience / 2)) return;
      asked += 1;
      obstacles.add(asObstacle(syscalls.send(fd, payload, payload.length, MSG_DONTWAIT)));
    },
    hear() {
      const length = syscalls.recv(fd, BUFFER, MSG_DONTWAIT);
      if (length >= 0) answered ??= BUFFER.slice(0, length);
      for (let found = nextObstacle(syscalls, fd); found !== undefined; found = nextObstacle(syscalls, fd)) {
        obstacles.add(found.obstacle);
        // Nobody listens there.
        if (found.obstacle.code === 'ECONNREFUSED') over = true;
      }
    },
    due() {
      if (over || answered !== undefined) return undefined;
      if (asked === 0) return 0;
      return asked === 1 ? begun + patience / 2 : begun + patience;
    },
    answer: () => ({ ...(answered === undefined ? {} : { payload: answered }), obstacles: obstacles.list }),
  };
}
