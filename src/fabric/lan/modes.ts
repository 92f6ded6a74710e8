/** The ways onto the wire that there are. A new one is a file in `modes/`, its settings, and a line here. */

import type { LanMode } from './mode.ts';
import { bridge } from './modes/bridge.ts';
import { dummy } from './modes/dummy.ts';
import { ipvlan } from './modes/ipvlan.ts';
import { macvlan } from './modes/macvlan.ts';
import { nic } from './modes/nic.ts';
import { ovs } from './modes/ovs.ts';
import type { ModeName, Settings } from './settings.ts';

type Modes = { readonly [Name in ModeName]: LanMode<Extract<Settings, { mode: Name }>> };

export const modes: Modes = { bridge, macvlan, ipvlan, nic, ovs, dummy };

/** The mode of these settings, which therefore takes them: the table says so, but the compiler cannot follow that through a lookup. */
export function modeOf(settings: Pick<Settings, 'mode'>): LanMode {
  return modes[settings.mode] as unknown as LanMode;
}
