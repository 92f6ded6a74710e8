/** A DHCP client of either family is a machine that knows no time and no wire: here it has a clock, a port to a link, and patience. */

/** Raw frames of one link, sent and heard. */
export interface Port {
  send(frame: Uint8Array): void | Promise<void>;
  /** @returns a function that ends it. */
  onFrame(listener: (frame: Uint8Array) => void): () => void;
}

/** What a machine does next. */
interface Move<Exchange, Sent, Offer, Outcome> {
  readonly exchange: Exchange;
  readonly send?: Sent;
  /** An offer was chosen and `send` requests it. */
  readonly chosen?: Offer;
  /** Milliseconds of the clock. */
  readonly wakeAt: number;
  /** It is over. */
  readonly outcome?: Outcome;
}

export interface Machine<Exchange, Sent, Offer, Outcome, Step extends Move<Exchange, Sent, Offer, Outcome>> {
  /** Sent before anything else. */
  readonly greeting?: Uint8Array;
  begin(now: number): Step;
  wake(exchange: Exchange, now: number): Step;
  /** @returns undefined for what is none of this exchange's business. */
  receive(exchange: Exchange, frame: Uint8Array, now: number): Step | undefined;
  /** What somebody asks who has to be answered whatever the state: a frame for a frame. */
  reply?(frame: Uint8Array): Uint8Array | undefined;
  encode(sent: Sent): Uint8Array;
  /** Called with each step, before anything follows from it. */
  notice(step: Step): void;
  /** How it ends when nobody has answered in time. */
  giveUp(exchange: Exchange | undefined, offered: boolean): Outcome;
}

export interface DialogueOptions<Offer> {
  /** Milliseconds after which it is given up. */
  readonly patience: number;
  /** An offer was chosen: it is requested when this has resolved, so that a crash does not forget a lease. */
  readonly chosen?: (offer: Offer) => Promise<void>;
  readonly signal?: AbortSignal;
  /** Milliseconds of a clock that nobody sets. */
  readonly monotonic: () => number;
}

/** Longest wait of a timer (2^31 - 1 ms); longer ones fire at once. */
const LONGEST = 0x7fffffff;

/** From the first message to an outcome or the end of patience. @throws what the port or `chosen` throw. */
export async function converse<Exchange, Sent, Offer, Outcome, Step extends Move<Exchange, Sent, Offer, Outcome>>(
  port: Port,
  machine: Machine<Exchange, Sent, Offer, Outcome, Step>,
  { patience, chosen, signal, monotonic }: DialogueOptions<Offer>,
): Promise<Outcome> {
  const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
  const deadline = monotonic() + patience;
  let current: Pick<Step, 'exchange' | 'wakeAt'> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let offered = false;
  let over = false;
  let sending = Promise.resolve();

  function take(step: Step): void {
    current = step;
    machine.notice(step);
    if (step.outcome !== undefined) {
      finish(step.outcome);
      return;
    }
    wait(step.wakeAt);
    const { send, chosen: offer } = step;
    if (send === undefined) return;
    // One after the other: a repeated request must not overtake the writing down of what it asks for.
    sending = sending.then(() => transmit(send, offer));
    sending.catch(fail);
  }

  function wait(until: number): void {
    clearTimeout(timer);
    timer = setTimeout(ring, Math.min(Math.max(0, Math.min(until, deadline) - monotonic()), LONGEST));
  }

  async function transmit(send: Sent, offer: Offer | undefined): Promise<void> {
    if (offer !== undefined) {
      offered = true;
      await chosen?.(offer);
    }
    // Given up while it was written down: what is not asked for is not granted.
    if (!over) await port.send(machine.encode(send));
  }

  function ring(): void {
    const now = monotonic();
    if (now >= deadline || current === undefined) giveUp();
    else if (now < current.wakeAt) wait(current.wakeAt);
    else take(machine.wake(current.exchange, now));
  }

  function hear(frame: Uint8Array): void {
    if (over) return;
    const reply = machine.reply?.(frame);
    if (reply !== undefined) {
      void Promise.resolve(port.send(reply)).catch(fail);
      return;
    }
    const step = current && machine.receive(current.exchange, frame, monotonic());
    if (step !== undefined) take(step);
  }

  function giveUp(): void {
    finish(machine.giveUp(current?.exchange, offered));
  }

  function finish(outcome: Outcome): void {
    over = true;
    resolve(outcome);
  }

  function fail(error: unknown): void {
    over = true;
    reject(error);
  }

  const deaf = port.onFrame(hear);
  signal?.addEventListener('abort', giveUp, { once: true });
  try {
    if (machine.greeting !== undefined) await port.send(machine.greeting);
    take(machine.begin(monotonic()));
    if (signal?.aborted === true) giveUp();
    return await promise;
  } finally {
    over = true;
    clearTimeout(timer);
    deaf();
    signal?.removeEventListener('abort', giveUp);
  }
}
