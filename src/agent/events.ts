/** What happened, for `berth events` and the log: one line each, followed live by whoever asks. */

import { EventEmitter } from 'node:events';
import type { Logger } from 'pino';
import type { EventView } from './api.ts';

export interface Events {
  /** @param event such as `endpoint.attached`. @param message one sentence. */
  emit(event: string, message: string, attributes?: Readonly<Record<string, string>>): void;
  /** @returns a function that ends the following. */
  follow(listener: (event: EventView) => void): () => void;
}

export function openEvents(logger: Logger): Events {
  const emitter = new EventEmitter();
  // One listener per `berth events`; there is no leak to warn of.
  emitter.setMaxListeners(0);
  return {
    emit(event, message, attributes = {}) {
      logger.info({ event, ...attributes }, message);
      emitter.emit('event', { time: new Date().toISOString(), event, message, attributes } satisfies EventView);
    },
    follow(listener) {
      emitter.on('event', listener);
      return () => emitter.off('event', listener);
    },
  };
}
