import { type Finding, ok, warn } from '../../check.ts';
import type { NeutronCheck } from '../checks.ts';

/** Milliseconds. The clocks are compared to the second, and an answer takes its time. */
const TOLERANCE = 30_000;

/** Berth reckons with Keystone's own times, but certificates are not valid yet or any more, and logs cannot be compared. */
export const clock: NeutronCheck = {
  name: 'clock',
  look({ clockAhead }): readonly Finding[] {
    if (clockAhead === undefined) return [];
    const seconds = Math.round(Math.abs(clockAhead) / 1000);
    if (Math.abs(clockAhead) <= TOLERANCE) return [ok(`differs from that of OpenStack by ${seconds} s`)];
    const how = clockAhead > 0 ? 'behind' : 'ahead of';
    return [warn(`the clock of this host is ${seconds} s ${how} that of OpenStack`, 'timedatectl set-ntp true')];
  },
};
