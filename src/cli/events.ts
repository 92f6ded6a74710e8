/** `berth events`: what happens, as it happens. */

import type { EventView } from '../agent/api.ts';
import { exitCode } from './failure.ts';
import type { Work } from './session.ts';

export const events: Work = async (session) => {
  // Ctrl-C is the usual end of this command, but scripts can still tell it from an agent that went away.
  process.once('SIGINT', () => process.exit(exitCode.interrupted));
  for await (const event of session.client.follow<EventView>('/v1/events')) {
    session.stdout.write(session.options.json ? `${JSON.stringify(event)}\n` : `${eventText(event)}\n`);
  }
  session.stderr.write('berth: the agent has ended\n');
  return exitCode.unreachable;
};

export function eventText({ time, event, message }: EventView): string {
  return `${time}  ${event.padEnd(20)}  ${message.replaceAll(/\p{Cc}/gu, '?')}`;
}
