/**
 * The database of this host's Open vSwitch, for a thread that may block: connects when it is first needed, follows what
 * changes from then on, and connects again when the database went.
 *
 * It follows by `monitor_cond`, which tells what is different in a row: a bridge with a thousand ports is not told whole, twice,
 * for each that comes; where that is unknown (before Open vSwitch 2.6), by the `monitor` of RFC 7047. Without conditions, though:
 * they could not name our ports without hiding that their marks were removed. And not by `monitor_cond_since`: where to go on
 * after a break does not matter, because everything is compared then.
 */

import { BerthError } from '../model/errors.ts';
import { ProtocolError } from './json-stream.ts';
import { type Operation, type Result, readResults } from './operations.ts';
import { DATABASE } from './ports.ts';
import { columnsOf, tables } from './rows.ts';
import { type BlockingStream, createSession, Disconnected, RequestRefused, type Session, TimedOut } from './session.ts';
import { type Changes, createSwitches, type Switches, type Touched } from './switches.ts';
import { readRow } from './values.ts';

export interface Client {
  /**
   * One transaction, tried once more when the connection turns out to have gone since its last use: so it has to be one
   * that may be repeated.
   *
   * @throws TransactionRefused
   * @throws BerthError OVS_UNREACHABLE, at once while the database is known to be silent.
   */
  transact(operations: readonly Operation[]): readonly Result[];
  /** As reported so far; undefined while there is no connection. */
  readonly switches: Switches | undefined;
  close(): void;
}

export interface ClientOptions {
  /** Connects. @throws Disconnected, TimedOut */
  readonly connect: (milliseconds: number) => BlockingStream;
  /** As a reader knows it: `unix:/run/openvswitch/db.sock`. */
  readonly address: string;
  /** Whether a connection that went is to be made again without being asked for. */
  readonly needed: () => boolean;
  /** Something was reported. Must not use the client. */
  readonly changed: (touched: Touched) => void;
  /** Connected, from the event loop: what happened before is not known. */
  readonly connected: () => void;
  /** Milliseconds of one exchange. */
  readonly timeout?: number;
  /** In milliseconds, for a clock that only goes forward. */
  readonly now?: () => number;
}

/** The thread does nothing else meanwhile, so it is short: the database answers in less than a millisecond. */
const TIMEOUT = 2_000;
/** Milliseconds before connecting again, growing twofold. */
const RECONNECT = { first: 100, most: 5_000 } as const;
/** For so long nobody waits again for one that was silent; growing twofold. */
const SILENCE = { first: 5_000, most: 30_000 } as const;

const MONITOR = 'berth';

/** After these a connection is of no more use. */
const broken = [Disconnected, TimedOut, ProtocolError] as const;

export function createClient(options: ClientOptions): Client {
  const { timeout = TIMEOUT, now = () => performance.now() } = options;
  let session: Session | undefined;
  let switches: Switches | undefined;
  let failures = 0;
  let silences = 0;
  let silent: { readonly until: number; readonly reason: string } | undefined;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  function unreachable(reason: string, cause?: unknown): BerthError {
    return new BerthError('OVS_UNREACHABLE', `the database of Open vSwitch at ${options.address}: ${reason}`, {
      cause,
    });
  }

  function open(): Session {
    if (silent !== undefined && now() < silent.until) throw unreachable(silent.reason);
    const stream = options.connect(timeout);
    const state = createSwitches();
    const report = (method: string, monitor: unknown, changes: Changes): void => {
      if (monitor !== MONITOR) return;
      options.changed(method === 'update2' ? state.reportDifferences(changes) : state.report(changes));
    };
    const fresh = createSession(stream, { timeout, now, report });
    try {
      follow(fresh, state);
    } catch (thrown) {
      fresh.close();
      throw thrown;
    }
    session = fresh;
    switches = state;
    failures = 0;
    silences = 0;
    silent = undefined;
    clearTimeout(timer);
    timer = undefined;
    stream.whenReadable(takeIn);
    setImmediate(() => {
      if (session === fresh) options.connected();
    });
    return fresh;
  }

  function follow(fresh: Session, state: Switches): void {
    const requests = Object.fromEntries(tables.map((table) => [table, { columns: columnsOf(table) }]));
    try {
      state.reportDifferences(readRow(fresh.call('monitor_cond', [DATABASE, MONITOR, requests])));
    } catch (thrown) {
      if (!(thrown instanceof RequestRefused)) throw thrown;
      state.report(readRow(fresh.call('monitor', [DATABASE, MONITOR, requests])));
    }
  }

  function takeIn(): void {
    try {
      session?.drain();
    } catch (thrown) {
      drop(thrown);
    }
  }

  /** Ends the connection. What it failed of decides when the next one is tried. */
  function drop(thrown: unknown): void {
    session?.close();
    session = undefined;
    switches = undefined;
    if (thrown instanceof TimedOut || thrown instanceof ProtocolError) {
      const pause = Math.min(SILENCE.first * 2 ** silences, SILENCE.most);
      silences += 1;
      silent = { until: now() + pause, reason: thrown.message };
    }
    if (timer !== undefined || closed) return;
    const wait = Math.min(RECONNECT.first * 2 ** failures, RECONNECT.most);
    failures += 1;
    timer = setTimeout(again, Math.max(wait, (silent?.until ?? 0) - now()));
    timer.unref();
  }

  function again(): void {
    timer = undefined;
    if (session !== undefined || !options.needed()) return;
    try {
      open();
    } catch (thrown) {
      drop(thrown);
    }
  }

  function exchange(operations: readonly Operation[]): readonly Result[] {
    const reused = session !== undefined;
    try {
      return readResults((session ?? open()).call('transact', [DATABASE, ...operations]), operations);
    } catch (thrown) {
      if (!broken.some((type) => thrown instanceof type)) throw thrown;
      drop(thrown);
      // It was restarted, say: that only shows when the connection is used.
      if (reused && thrown instanceof Disconnected) return exchange(operations);
      throw unreachable((thrown as Error).message, thrown);
    }
  }

  return {
    get switches() {
      return switches;
    },
    transact(operations) {
      if (closed) throw new BerthError('SHUTTING_DOWN', 'the connection to Open vSwitch is closed');
      try {
        return exchange(operations);
      } catch (thrown) {
        if (thrown instanceof RequestRefused) throw new BerthError('OVS_REFUSED', `Open vSwitch: ${thrown.message}`);
        throw thrown;
      }
    },
    close() {
      closed = true;
      clearTimeout(timer);
      session?.close();
      session = undefined;
      switches = undefined;
    },
  };
}
