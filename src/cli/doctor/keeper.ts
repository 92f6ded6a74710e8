/** Who starts the agent of this host and keeps it: systemd, or the engine, whose managed plugin it is then. */

import type { EngineFacts, Facts } from './facts.ts';

/** The name that users call a managed plugin by, which is what networks name too. */
export const plainName = (name: string): string => name.replace(/:latest$/, '');

/** Berth itself as a managed plugin, as `make plugin` makes it, whatever tag it was given. */
export function managedBerth({
  engine,
}: {
  readonly engine: EngineFacts;
}): EngineFacts['managedPlugins'][number] | undefined {
  const ours = engine.managedPlugins.filter(({ isBerth }) => isBerth);
  return ours.find(({ enabled }) => enabled) ?? ours[0];
}

/** The commands for whoever keeps it. */
export function keeper(facts: Pick<Facts, 'engine' | 'unit'>): {
  readonly start: string;
  readonly restart: string;
  readonly log: string;
} {
  const managed = managedBerth(facts);
  if (managed !== undefined && !serviceIsOn(facts)) {
    const { name, enabled } = managed;
    const restart = `docker plugin disable --force ${name} && docker plugin enable ${name}`;
    // The engine writes what plugins say into its own log.
    return { start: enabled ? restart : `docker plugin enable ${name}`, restart, log: 'journalctl -u docker -n 50' };
  }
  return {
    start: facts.unit === undefined ? 'berth agent' : 'systemctl start berth',
    restart: 'systemctl restart berth',
    log: 'journalctl -u berth -n 50',
  };
}

/** The service runs, or will after a reboot. */
export function serviceIsOn({ unit }: Pick<Facts, 'unit'>): boolean {
  return unit !== undefined && (unit.activeState === 'active' || unit.fileState === 'enabled');
}
